"""
What the tests of the API and of the command line put in place of the other roles.

`RecordedNode` gives fixed answers and keeps what it was asked; `tests.live` runs the same
calls against a real node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Factory, define, frozen
from twisted.internet.defer import Deferred, maybeDeferred

from hostedge.errors import ConfigError
from hostedge.model.kind import Kind
from hostedge.model.parse import Words

SITE = {
    "account": "demo",
    "apps": [{"name": "hello", "runtime": "command", "command": ["true"]}],
    "domains": [
        {
            "name": "demo.test",
            "mappings": [
                {"path": "/", "app": "hello"},
                {"path": "/old", "redirect": "https://demo.test/new"},
            ],
        }
    ],
}


@frozen
class ToApp:
    """A mapping to an app."""

    app: str


@frozen
class Redirect:
    """A mapping that redirects."""

    redirect: str


@frozen
class Command:
    """A runtime."""

    command: tuple[str, ...]


@frozen
class OneWord:
    """One word of the site file."""

    word: str
    value: type


def words() -> Words:
    """A small language: two mappings, one runtime."""
    mappings: tuple[Kind, ...] = (OneWord("app", ToApp), OneWord("redirect", Redirect))
    return Words(mappings, (OneWord("command", Command),))


@define
class RecordedNode:
    """`api.parts.Node`, with what it is told to answer."""

    asked: list[tuple[Any, ...]] = Factory(list)
    apps: list[dict[str, Any]] = Factory(list)
    steps: list[dict[str, Any]] = Factory(list)
    report: dict[str, Any] = Factory(dict)
    refusals: list[dict[str, Any]] = Factory(list)
    active: list[dict[str, Any]] = Factory(list)
    known: list[dict[str, Any]] = Factory(list)
    journeys: dict[str, dict[str, Any]] = Factory(dict)
    happened: list[dict[str, Any]] = Factory(list)
    # what the keeper counts; nothing: it does not answer
    counts: dict[str, Any] = Factory(dict)
    refusal: str = ""
    # of the last upgrade
    record: dict[str, Any] | None = None
    error: Exception | None = None
    # what `announce` waits for
    live: Callable[[int], Any] = lambda revision: None

    async def _answer(self, answer: Any, *asked: object) -> Any:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return answer

    def announce(self, revision: int) -> Deferred[None]:
        self.asked.append(("announce", revision))
        return maybeDeferred(self.live, revision)

    async def status(self) -> Any:
        return await self._answer(self.report, "status")

    async def daemons(self) -> Any:
        return await self._answer(self.apps, "daemons")

    async def daemon(self, app: str) -> Any:
        found = [each for each in self.apps if each["app"] == app]
        return await self._answer(found[0] if found else None, "daemon", app)

    async def journey(self, app: str) -> Any:
        return await self._answer(self.journeys.get(app), "journey", app)

    async def events(self, after: int, app: str, wait: bool) -> Any:
        found = [e for e in self.happened if e["number"] > after or after < 0]
        return await self._answer(found, "events", after, app, wait)

    async def daemon_counts(self) -> Any:
        if not self.counts:
            raise ConfigError("keeper", "does not answer now")
        return await self._answer(self.counts, "daemon_counts")

    async def refused(self, cause: str, site: str, id: str) -> Any:
        return await self._answer(self.refusals, "refused", cause, site, id)

    async def sites(self) -> Any:
        return await self._answer(self.active, "sites")

    async def backends(self) -> Any:
        return await self._answer(self.known, "backends")

    async def restart(self, app: str) -> Any:
        return await self._answer(self.refusal, "restart", app)

    async def upgrade(self) -> Any:
        return await self._answer(self.refusal, "upgrade")

    def upgraded(self) -> dict[str, Any] | None:
        return self.record

    async def explain(self, url: str, method: str, at: int) -> Any:
        return await self._answer(self.steps, "explain", url, method, at)
