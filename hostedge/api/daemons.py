"""
The calls about apps: what they are doing, what they have said, what has happened to them.

In:  `api.app`, with requests that were let in.
Out: values for JSON; who follows is answered when there is something, or after `PATIENCE`.

What daemons say and why they fail is their owner's: it goes out here, never to a visitor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.task import deferLater
from twisted.web.server import Request

from hostedge.api import daemon_logs
from hostedge.api.calls import Refused, asked, query
from hostedge.api.daemon_logs import Said
from hostedge.api.parts import InThread, Node, Outcome, Store
from hostedge.model.keys import account_key
from hostedge.model.names import object_name
from hostedge.model.site import App
from hostedge.supervise.logs import app_log

PATIENCE = 20.0  # seconds
LOOK = 0.2  # seconds between two looks at a log that somebody follows
LINES = 100  # unless asked for
MOST_LINES = 10_000
EVENTS = 50  # unless asked for
MOST_EVENTS = 1000


class DaemonCalls:
    """Nothing is kept here between two calls."""

    def __init__(self, node: Node, store: Store, reading: InThread, logs: Path, clock: Any) -> None:
        self._node = node
        self._store = store
        self._reading = reading
        self._logs = logs
        self._clock = clock

    async def _stored(self, account: str, app: str) -> App:
        """
        What the store says of an app.

        Raises:
            Refused: it has no such app.
        """
        found: App | None = await self._reading(self._find, account, app)
        if found is None:
            raise Refused(404, f"{account}/{app}", "there is no such app")
        return found

    def _find(self, account: str, app: str) -> App | None:
        site = next(self._store.export(account), None)
        apps = () if site is None else site.apps
        return next((each for each in apps if each.name == app), None)

    async def one(self, account: str, app: str) -> dict[str, Any]:
        """
        What is known of an app, and how its last start went that failed.

        Raises:
            Refused: there is no such app.
        """
        name = f"{account}/{app}"
        known = await asked(self._node.daemon(name))
        if known is None:
            is_wanted = (await self._stored(account, app)).enabled
            reason = "its first request starts it" if is_wanted else "switched off by its owner"
            known = {"app": name, "state": "COLD", "reason": reason}
        return {"app": known, "journey": await asked(self._node.journey(name))}

    async def journey(self, account: str, app: str) -> dict[str, Any]:
        """
        How the last start went that failed.

        Raises:
            Refused: none has, or there is no such app.
        """
        name = f"{account}/{app}"
        found = await asked(self._node.journey(name))
        if found is None:
            await self._stored(account, app)
            raise Refused(404, name, "no start of it has failed since the keeper began")
        return found

    async def events(self, request: Request) -> dict[str, Any]:
        """
        What has happened: the last so many, those since a time, or those after a number.

        Raises:
            Refused: the call is written wrongly.
        """
        app, after = query(request, "app"), query(request, "after")
        since, wait = query(request, "since"), query(request, "wait") == "1"
        last = 0
        if after:
            last = _number("after", after, 1 << 60)
            found = await asked(self._node.events(last, app, wait))
        elif since:
            begin = _moment(since)
            every = [each async for each in self._all(app)]
            last = every[-1]["number"] if every else 0
            found = [each for each in every if each["time"] >= begin]
        else:
            count = _number("last", query(request, "last") or str(EVENTS), MOST_EVENTS)
            found = await asked(self._node.events(-max(count, 1), app, False))
            last = found[-1]["number"] if found else 0
            found = found[-count:] if count else []
        return {"events": found, "next": found[-1]["number"] if found else last}

    async def _all(self, app: str) -> AsyncIterator[dict[str, Any]]:
        after = 0
        while page := await asked(self._node.events(after, app, False)):
            for each in page:
                yield each
            after = page[-1]["number"]

    async def log(self, request: Request, account: str, app: str) -> dict[str, Any]:
        """
        The last lines that an app has written, or those after a mark.

        Raises:
            Refused: the call is written wrongly, or there is no such log.
        """
        lines, after = query(request, "lines"), query(request, "after")
        wait = query(request, "wait") == "1"
        path = app_log(self._logs, *_names(account, app))
        try:
            if after:
                said = await self._follow(path, after, wait)
            else:
                count = _number("lines", lines or str(LINES), MOST_LINES)
                said = await self._reading(daemon_logs.last_lines, path, count, wait)
        except ValueError as error:
            raise Refused(400, "after", str(error)) from None
        except OSError as error:
            await self._stored(account, app)
            if isinstance(error, FileNotFoundError):
                # not started yet; its first line is the next one
                said = Said([], "0.0")
            else:
                raise Refused(
                    409, str(path), f"cannot be read: {error.strerror or error}"
                ) from None
        return {"lines": said.lines, "next": said.mark, "cut": said.cut and after != "0.0"}

    async def _follow(self, path: Path, mark: str, wait: bool) -> Said:
        until = self._clock.seconds() + PATIENCE
        while True:
            if daemon_logs.has_more(path, mark):
                said = await self._reading(daemon_logs.next_lines, path, mark)
                if said is not None:
                    return said  # type: ignore[no-any-return]
            if not wait or self._clock.seconds() >= until:
                return Said([], mark)
            await deferLater(self._clock, LOOK)

    # an account that is suspended

    def suspend(self, account: str, suspended: bool, who: str) -> Outcome:
        """
        Change whether an account is suspended; in the thread that writes.

        Raises:
            Refused: there is no such account.
        """
        site = next(self._store.export(account), None)
        if site is None:
            raise Refused(404, "account", f"there is no account {account}")
        value = evolve(site.account, suspended=suspended)
        return self._store.put(account, account_key(account), value, who)

    async def running(self, account: str) -> list[dict[str, Any]]:
        """The apps of an account that have processes, or will have."""
        known = await asked(self._node.daemons())
        return [
            {name: each.get(name) for name in ("app", "state", "generation", "pid", "pids")}
            for each in known
            if each["app"].startswith(f"{account}/")
            and each["state"] not in ("COLD", "BACKOFF", "FAILED", "DISABLED")
        ]


def _names(account: str, app: str) -> tuple[str, str]:
    """
    Raises:
        Refused: they can be no names, and might be a path.
    """
    try:
        return object_name(account), object_name(app)
    except ValueError:
        raise Refused(404, f"{account}/{app}", "there is no such app") from None


def _number(where: str, text: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) > most:
        raise Refused(400, where, f"want a number up to {most}, not {text!r}")
    return int(text)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "since", f"want a time like 2026-11-22T10:00Z, not {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
