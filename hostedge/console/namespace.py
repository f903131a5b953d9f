"""
What the manhole has to say: its verbs. None of them does what the API cannot.

In:  `console.sessions` makes one set of names for each session.
Out: questions to the other roles; answers that are laid out as the command line has them.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial, wraps
from textwrap import wrap
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

from hostedge.api.calls import Refused
from hostedge.cli.daemons import app_lines, one_app
from hostedge.cli.follow import event_line
from hostedge.cli.running import explain_lines, listeners, processes, status_lines
from hostedge.cli.table import WIDTH, table
from hostedge.cli.times import moment
from hostedge.console.evaluate import Elsewhere
from hostedge.console.inside import NAMES
from hostedge.console.layout import Answer, Printed, freeze
from hostedge.console.remote import Remote
from hostedge.console.stored import Stored
from hostedge.errors import ConfigError
from hostedge.settings import Settings

# what the API answers for a URL, a method, and a revision or a time
Explain = Callable[[str, str, str], Awaitable[dict[str, Any]]]

P = ParamSpec("P")
T = TypeVar("T")

# how it is written, and what it does; all that `help()` says
VERBS = (
    ("status()", "the node's processes, listeners and counters"),
    ("edges()", "the edges: connections, requests in flight, revision"),
    ("daemons()", "the apps that were asked for, and how each is"),
    ('daemon("demo/hello")', "all of one app, with its last start that failed"),
    ('events("demo/hello")', "what has happened to it; without a name, to all"),
    ('explain("https://NAME/")', "what an edge would do with a request, and why"),
    ('hosts(0, "shop")', "what edge 0 has compiled, names with `shop` in them"),
    ('store.domain("NAME")', "the route store; more: help(store)"),
    ("edge(0)", "what there is to look at inside edge 0"),
    ("edge(0).hosts.stats()", "an expression that is evaluated inside edge 0"),
    ('edge(0)("len(counters)")', "the same, as a text; whatever Python can say"),
    ("help(store)", "what an object is and can do"),
    ("exit()", "leave, as Ctrl-D does"),
)


class Node(Protocol):
    """The other roles, as control reaches them: `links.control.ControlLinks`."""

    def status(self) -> Awaitable[dict[str, Any]]: ...

    def daemons(self) -> Awaitable[list[dict[str, Any]]]: ...

    def daemon(self, app: str) -> Awaitable[dict[str, Any] | None]: ...

    def journey(self, app: str) -> Awaitable[dict[str, Any] | None]: ...

    def events(self, after: int, app: str, wait: bool) -> Awaitable[list[dict[str, Any]]]: ...

    def evaluate(self, index: int, source: str) -> Awaitable[tuple[str, bool]]:
        """What it came to, and whether it failed."""


def asked(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Deferred[T]]:
    """The verb begins when it is called, and its answer may be looked at more than once."""

    @wraps(verb)
    def begin(*values: P.args, **named: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(verb(*values, **named))

    return begin


class Verbs:
    """Each is one function of the namespace; `store` and `edge` lead further."""

    def __init__(self, node: Node, explain: Explain, store: Stored, settings: Settings) -> None:
        self._node = node
        self._explain = explain
        self._store = store
        self._settings = settings

    def names(self) -> dict[str, Any]:
        """What a session begins with."""
        return {
            "status": self.status,
            "edges": self.edges,
            "daemons": self.daemons,
            "daemon": self.daemon,
            "events": self.events,
            "explain": self.explain,
            "hosts": self.hosts,
            "store": self._store,
            "edge": self.edge,
            "help": self.help,
            "exit": leave,
            "quit": leave,
        }

    @asked
    async def status(self) -> Answer:
        """The node's processes, its listeners, and the counters that are not zero."""
        report = await self._node.status()
        report["processes"] = processes(self._settings)
        report["listeners"] = listeners(self._settings)
        return Answer(freeze(report), status_lines)

    @asked
    async def edges(self) -> Answer:
        """The edges that live, and what each is doing."""
        report = await self._node.status()
        return Answer(freeze(report["edges"]), _edge_lines)

    @asked
    async def daemons(self) -> Answer:
        """Every app that the keeper knows of; others are cold."""
        return Answer(freeze(await self._node.daemons()), app_lines)

    @asked
    async def daemon(self, name: str) -> Answer:
        """All that the keeper knows of ACCOUNT/APP, and how its last start went that failed."""
        known = await self._node.daemon(name) or {"app": name, "state": "COLD"}
        journey = await self._node.journey(name)
        return Answer(freeze({"app": known, "journey": journey}), one_app)

    @asked
    async def events(self, app: str = "", last: int = 50) -> Answer:
        """What has happened to ACCOUNT/APP, to all of ACCOUNT/, or to every app."""
        told = await self._node.events(-max(last, 1), app, False)
        return Answer(freeze(told), _event_lines)

    @asked
    async def explain(self, url: str, method: str = "GET", at: int | str = "") -> Answer:
        """What an edge would do with a request; or would have, at a revision or a time."""
        try:
            answer = await self._explain(url, method, moment(str(at)))
        except Refused as refused:
            raise ConfigError(refused.where, refused.problem) from None
        return Answer(freeze(answer), explain_lines)

    @asked
    async def hosts(self, edge: int = 0, name: str = "") -> Answer:
        """What an edge has compiled: host, account, revision and the paths that are mapped."""
        # printed it is one line: laid out for a reader it would not go into an answer
        text = await self._inside(edge, f"print(compiled({name!r}))")
        return Answer(freeze(ast.literal_eval(text)), _host_lines)

    def edge(self, index: int) -> Remote:
        """What is asked of this is evaluated inside an edge: edge(0).hosts.stats()"""

        return Remote(partial(self._inside, index))

    # for Tab
    edge.offers = tuple(NAMES)  # type: ignore[attr-defined]

    async def _inside(self, index: int, source: str) -> str:
        """
        What this comes to inside an edge.

        Raises:
            Elsewhere: it failed there.
            ConfigError: there is no such edge, or it has not answered.
        """
        text, failed = await self._node.evaluate(index, source)
        if failed:
            raise Elsewhere(text)
        return text

    def help(self, about: object = None) -> Printed:
        """The verbs; or, of an object, what it is and can do."""
        if about is None:
            return Printed("\n".join(f"{how:<26} {what}" for how, what in VERBS))
        return Printed("\n".join(_described(about)))


def leave() -> None:
    """End the session."""
    raise SystemExit


def _described(about: object) -> Iterator[str]:
    """What a thing says of itself, and of what it has a name for."""
    for paragraph in (inspect.getdoc(about) or repr(about)).split("\n\n"):
        yield from wrap(paragraph, WIDTH)
    for name in dir(about):
        member = getattr(type(about), name, None)
        if name.startswith("_") or not inspect.isroutine(member):
            continue
        says = " ".join((inspect.getdoc(member) or "").partition("\n\n")[0].split())
        yield _written(name, member)
        yield from wrap(says, WIDTH, initial_indent="    ", subsequent_indent="    ")


def _written(name: str, routine: Any) -> str:
    """How a call is written: the names of what it takes, and what they are by themselves."""
    try:
        signature = inspect.signature(routine)
    except ValueError:
        return f"{name}(…)"
    takes = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in signature.parameters.values()
        if each.name != "self"
    ]
    return f"{name}{inspect.Signature(takes)}"


def _event_lines(events: Any, width: int) -> Iterator[str]:
    return map(event_line, events)


def _edge_lines(edges: Any, width: int) -> Iterator[str]:
    head = ("EDGE", "PID", "LINKED", "CONNECTIONS", "IN FLIGHT", "REVISION", "HOSTS")
    rows = [
        (
            each["index"],
            each["pid"],
            "yes" if each["linked"] else "no",
            each.get("connections"),
            each.get("in_flight"),
            each.get("revision"),
            each.get("hosts", {}).get("hosts"),
        )
        for each in edges
    ]
    right = ("EDGE", "PID", "CONNECTIONS", "IN FLIGHT", "REVISION", "HOSTS")
    yield from table(head, rows, right=right, width=width)


def _host_lines(answer: Any, width: int) -> Iterator[str]:
    hosts = answer["hosts"]
    if hosts:
        rows = [
            (each["name"], each["account"], each["revision"], " ".join(each["mappings"]))
            for each in hosts
        ]
        head = ("HOST", "ACCOUNT", "REVISION", "MAPPINGS")
        yield from table(head, rows, right=("REVISION",), width=width)
    yield f"{len(hosts)} of {answer['kept']} hosts that this edge has compiled."
