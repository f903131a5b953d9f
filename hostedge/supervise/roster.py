"""
Whose turn it is to start: start tokens, fair between accounts.

In:  `supervise.daemons` asks and gives back for each app.
Out: the apps that may start now, in order.

A node starts at most `places` apps at a time and of each account as many as it may; accounts take
turns, and the apps of one account come in the order in which they asked.
"""

from __future__ import annotations

from collections import OrderedDict


class Roster:
    """An app stands in line, holds a token, or neither."""

    def __init__(self, places: int) -> None:
        self._places = places
        # accounts in the order of their next turn; no account has an empty line
        self._lines: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        # account -> its apps that start now; no account has none
        self._holders: dict[str, set[str]] = {}
        self._held = 0
        # account -> how many of its apps may start together; known for those in `_lines`
        self._most: dict[str, int] = {}

    def __bool__(self) -> bool:
        """Does anybody stand in line?"""
        return bool(self._lines)

    def ask(self, account: str, app: str, most: int = 1) -> None:
        """Stand in line, once; `most` apps of this account may start at the same time."""
        if app not in self._holders.get(account, ()):
            self._lines.setdefault(account, OrderedDict())[app] = None
            self._most[account] = max(most, 1)

    def release(self, account: str, app: str) -> bool:
        """Give the token back or leave the line; True if there was either."""
        holders = self._holders.get(account, set())
        if app in holders:
            holders.remove(app)
            self._held -= 1
            if not holders:
                del self._holders[account]
            return True
        line = self._lines.get(account)
        if line is None or app not in line:
            return False
        del line[app]
        if not line:
            self._forget_line(account)
        return True

    def _forget_line(self, account: str) -> None:
        del self._lines[account], self._most[account]

    def next(self) -> str:
        """Give out one token; the app that has it now, empty if none is free or nobody waits."""
        if self._held >= self._places:
            return ""
        for account in self._lines:
            if len(self._holders.get(account, ())) < self._most[account]:
                break
        else:
            return ""
        line = self._lines[account]
        app, _ = line.popitem(last=False)
        self._holders.setdefault(account, set()).add(app)
        self._held += 1
        if line:
            # the others of this account wait behind every other account
            self._lines.move_to_end(account)
        else:
            self._forget_line(account)
        return app
