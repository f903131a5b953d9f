"""
What an operator sees inside an edge, and what that says.

In:  `links.edge` with what was typed for this edge in the manhole.
Out: one text: what was printed, then the value, or the traceback; at most 60,000 bytes. And
     whether it failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hostedge.console.evaluate import Output, evaluate, told
from hostedge.console.layout import Printed, shown
from hostedge.routes.compile import HostRoutes
from hostedge.routes.match import Node

WIDTH = 80
MOST = 60_000  # bytes: a value of AMP has 64 KiB
HOSTS = 40_000  # characters of hosts in one answer
PATHS = 8  # of a host
CONNECTIONS = 500

# what there is by name, and what it is; `compose.edge` gives those that are not made here
NAMES = {
    "edge": "the edge itself: report(), listeners",
    "hosts": "the hosts it has compiled: stats(), lookup(name)",
    "compiled": "those hosts as values: compiled('shop')",
    "backends": "the apps and pools it sends requests to: activity()",
    "certificates": "those in use: explain(name), len()",
    "counters": "everything it has counted",
    "connections": "its clients: connections()",
    "settings": "the node's settings",
    "help": "this list",
}


class Kept(Protocol):
    """The compiled hosts: `store.hosts.Hosts`."""

    def kept(self) -> Iterable[tuple[str, HostRoutes]]: ...


class Entrance(Protocol):
    """What the connections of a listener share."""

    scheme: bytes

    @property
    def connections(self) -> Iterable[Any]: ...


class Inside:
    """
    Each text that is evaluated begins with these names; what it gives names to is forgotten
    with it.
    """

    log = Logger()

    def __init__(self, hosts: Kept, entrances: Sequence[Entrance], **parts: object) -> None:
        self._hosts = hosts
        self._entrances = entrances
        self._parts = parts

    def evaluate(self, source: str) -> Deferred[tuple[str, bool]]:
        """Run it; fires with what there is to be shown and whether it failed, never a Failure."""
        self.log.info("the manhole asks for {source!r}", source=source)
        return Deferred.fromCoroutine(self._evaluate(source))

    async def _evaluate(self, source: str) -> tuple[str, bool]:
        printed: list[str] = []
        failed = False
        output = Output(printed.append)
        try:
            value = await evaluate(source, self._names(output), output)
            said = "" if value is None else shown(value, WIDTH)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - as typed
            said, failed = told(error), True
        text = "".join(printed) + said
        return text.encode(errors="replace")[:MOST].decode(errors="ignore"), failed

    def _names(self, output: Output) -> dict[str, Any]:
        def say(*values: object, **options: Any) -> None:
            options.setdefault("file", output)
            print(*values, **options)

        return {
            **self._parts,
            "hosts": self._hosts,
            "compiled": self.compiled,
            "connections": self.connections,
            "help": listed,
            "print": say,
        }

    def compiled(self, name: str = "") -> dict[str, object]:
        """The compiled hosts whose names contain this, as many as go into an answer."""
        kept = 0
        room = HOSTS
        rows: list[dict[str, object]] = []
        for host, routes in self._hosts.kept():
            kept += 1
            if name not in host or room < 0:
                continue
            paths = [path.decode(errors="replace") for path in _paths(routes.tree)]
            if len(paths) > PATHS:
                paths = [*paths[:PATHS], f"and {len(paths) - PATHS} more"]
            row = {
                "name": host,
                "account": routes.account,
                "revision": routes.revision,
                "mappings": paths,
            }
            room -= len(repr(row))
            if room >= 0:
                rows.append(row)
        return {"kept": kept, "hosts": sorted(rows, key=lambda row: str(row["name"]))}

    def connections(self) -> list[tuple[str, str, int, str]]:
        """Scheme, address and port of clients, and whether one is being answered."""
        rows: list[tuple[str, str, int, str]] = []
        for entrance in self._entrances:
            for each in entrance.connections:
                if len(rows) == CONNECTIONS:
                    return rows
                doing = "busy" if each.is_busy else "idle"
                client, port = getattr(each, "client", ""), getattr(each, "client_port", 0)
                rows.append((entrance.scheme.decode(), client, port, doing))
        return rows


def listed() -> Printed:
    """What there is to look at."""
    return Printed("\n".join(f"{name:<14}{what}" for name, what in NAMES.items()))


def _paths(node: Node) -> Iterator[bytes]:
    if node.leaf is not None:
        yield node.prefix or b"/"
    for child in node.children.values():
        yield from _paths(child)
