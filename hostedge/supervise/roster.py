"""
Whose turn it is to start: start tokens, fair between accounts.

In:  `supervise.daemons` asks and gives back for each app.
Out: the apps that may start now, in order.

A node starts at most `places` apps at a time and one of each account; accounts take turns, and
the apps of one account come in the order in which they asked.
"""

from __future__ import annotations

from collections import OrderedDict


class Roster:
    """An app stands in line, holds a token, or neither."""

    def __init__(self, places: int) -> None:
        self._places = places
        # accounts in the order of their next turn; no account has an empty line
        self._lines: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        # account -> the app that starts now
        self._holders: dict[str, str] = {}

    def ask(self, account: str, app: str) -> None:
        """Stand in line, once."""
        if self._holders.get(account) != app:
            self._lines.setdefault(account, OrderedDict())[app] = None

    def release(self, account: str, app: str) -> bool:
        """Give the token back or leave the line; True if there was either."""
        if self._holders.get(account) == app:
            del self._holders[account]
            return True
        line = self._lines.get(account)
        if line is None or app not in line:
            return False
        del line[app]
        if not line:
            del self._lines[account]
        return True

    def grant(self) -> list[str]:
        """Give out all tokens that are free."""
        granted: list[str] = []
        for account in list(self._lines):
            if len(self._holders) >= self._places:
                break
            if account in self._holders:
                continue
            line = self._lines.pop(account)
            app, _ = line.popitem(last=False)
            self._holders[account] = app
            granted.append(app)
            if line:
                # the others of this account wait behind every other account
                self._lines[account] = line
        return granted
