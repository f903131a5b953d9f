"""
An edge in one process, as `compose` puts it together, and a case file played on it.

In:  tests, with a `Case`; `tests.http.test_cases` for all of them.
Out: `Outcome`: what the client, the servers behind and the counters say.

All but the two ends of the wire is real: routes are compiled of a site file's mappings, relays have
connections of UNIX sockets. The client is a transport in memory, or a socket where a port for
proxies is what it comes to.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from attrs import evolve, frozen
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from hostedge.edge import EdgeParts, accept_plain, make_claim, make_pages, make_router
from hostedge.http.answering import CLIENT_GONE
from hostedge.http.backends import Backends
from hostedge.http.entrance import Entrance
from hostedge.http.h1 import H1
from hostedge.http.spool import Disk
from hostedge.http.trust import believing
from hostedge.http.wheel import Wheel
from hostedge.mappings.known import KINDS as MAPPINGS
from hostedge.model.parse import Words, parse_site
from hostedge.model.site import Found
from hostedge.net.announced import Announcements
from hostedge.net.descriptors import Files
from hostedge.net.rates import Rates, RateTable
from hostedge.net.sources import Requests, SourceTable
from hostedge.observe.access_log import format_line
from hostedge.observe.counters import make_counters
from hostedge.observe.refused import Refusals
from hostedge.observe.sites import Sites
from hostedge.observe.tally import Tally
from hostedge.routes.compile import compile_host
from hostedge.routes.hostname import ordered
from hostedge.runtimes.known import KINDS as RUNTIMES
from hostedge.settings import Settings
from hostedge.store.hosts import Hosts
from hostedge.wire.networks import parse_networks
from hostedge.wire.upgrade import accept_for
from hostedge.ws.passage import Sockets
from tests.http.casefile import ACCEPT, Case, Step
from tests.http.network import Network, PlayedApp, PlayedKeeper
from tests.http.parts import DATE, ClientEnd
from tests.live.recorder import Arrived, read, whole

WORDS = Words(MAPPINGS, RUNTIMES)
NAMES = ("a.test", "a.example", "xn--mnchen-3ya.test", "127.0.0.1")
POOLS = ("backend", "other")
# what the kernel hands over at a time
PIECE = 65536
# how much time passes at once
GRAIN = 0.5
LAST_TURNS = 20
# an answer that was broken off is told as a whole up to here
LONG = 1000
# room for bodies on the disk
ENOUGH = 1 << 40
# the opcode of the last frame
CLOSE = 8
# what a transport holds before it stops who writes
ROOM = 65536
# what is no fault, and told by what the servers behind have seen
USUAL = ("http_connections", "http_requests", "upstream_connects", "upstream_reused")
_KEY = re.compile(rb"\r\nSec-WebSocket-Key: ([^\r]+)\r\n")


@frozen
class Outcome:
    """What has come of a case, in the words of case files."""

    answers: list[str]
    # by pool
    arrived: dict[str, list[str]]
    heads: bytes
    # that the client has connected to
    port: int
    answer: bytes
    counters: dict[str, int]
    # the status of each line of the log but of those whom nobody waited for, and the causes
    logged: list[str]


class OneSite:
    """A store with the site of one account; what `Hosts` needs of a reader."""

    def __init__(self, found: Found, names: Sequence[str]) -> None:
        self._found = {name: evolve(found, name=name) for name in names}
        self._ordered = sorted(map(ordered, names))

    def revision(self) -> int:
        return 1

    def find(self, name: str) -> Found | None:
        return self._found.get(name)

    def gap(self, name: str) -> tuple[str, str]:
        key = ordered(name)
        before = [each for each in self._ordered if each < key]
        after = [each for each in self._ordered if each > key]
        return (before[-1] if before else ""), (after[0] if after else "~")

    def changed_keys(self, since: int) -> tuple[int, list[str] | None]:
        return 1, []


class Place:
    """What many worlds have in common: two servers behind, and a home with files."""

    def __init__(self, folder: Path) -> None:
        self.behind = {name: Behind() for name in POOLS}
        self.homes = folder / "homes"
        home = self.homes / "demo"
        (home / "files" / ".git").mkdir(parents=True)
        self.table = SourceTable.create(folder / "sources")
        self.rates = RateTable.create(folder / "rates")
        (home / "files" / "hello.txt").write_text("hello")
        (home / "files" / ".git" / "config").write_text("secret")
        (home / "outside.txt").write_text("secret")
        (home / "files" / "out").symlink_to("/etc")
        (home / "files" / "up").symlink_to("../outside.txt")
        self.settings = Settings(folder / "node.toml", folder, self.homes)
        # to make them costs as much as most cases, and most have no WebSockets
        network, limits = Network(), self.settings.limits
        self.sockets = Sockets(network, Wheel(network), limits, make_counters())

    def compiled(self, case: Case, buffer: str) -> OneSite:
        """The site that a case wants."""
        name, *aliases = NAMES
        pools = [
            {"name": name, "servers": [{"address": each.app.address}], "buffer": buffer}
            for name, each in self.behind.items()
        ]
        told = yaml.safe_load(case.routes)
        options = told if isinstance(told, dict) else {"mappings": told}
        domain = {"name": name, "aliases": aliases, **options}
        site = parse_site(
            {"account": "demo", "pools": pools, "domains": [domain]}, case.name, WORDS
        )
        by_name = {pool.name: pool for pool in site.pools}
        return OneSite(Found(name, site.domains[0], site.account, {}, by_name, 1), NAMES)

    def close(self) -> None:
        for each in self.behind.values():
            each.app.close()


class Behind:
    """A server behind; `begin` before each case."""

    def __init__(self) -> None:
        self.app = PlayedApp(backlog=64)
        self.begin(False)

    def begin(self, is_played: bool) -> None:
        self.is_played = is_played
        self.connections: list[Served] = []

    def serve(self) -> bool:
        """Take what has come, and answer it; False: nothing has."""
        happened = False
        for connection in self.connections:
            before = len(connection.requests)
            happened = connection.take() or happened
            if not self.is_played:
                for arrived in connection.requests[before:]:
                    connection.put(echo(arrived))
        return happened

    def accept(self) -> None:
        """Take whoever has connected."""
        while not self.app.nobody_waits:
            self.connections.append(Served(self.app.accept()))

    def told(self) -> list[str]:
        """Requests and ends, in the words of case files."""
        return [line for connection in self.connections for line in connection.told()]

    def end(self) -> None:
        self.accept()
        for connection in self.app.accepted:
            connection.close()
        self.app.accepted.clear()


class Served:
    """One of its connections."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.data = self.unsent = b""
        self.requests: list[Arrived] = []
        self.heads: list[bytes] = []
        # after a 101 it is frames that come
        self.is_switched = self.is_over = False

    def take(self) -> bool:
        if self.is_over:
            return False
        if self.unsent:
            self.send()
        came = False
        try:
            while data := self.socket.recv(1 << 20):
                self.data += data
                came = True
            self.is_over = came = True
        except BlockingIOError:
            pass
        except OSError:
            self.is_over = came = True
        while not self.is_switched and (size := whole(self.data)):
            assert size > 0, self.data
            self.requests.append(read(self.data[:size]))
            self.heads.append(head_of(self.data))
            self.data = self.data[size:]
        return came

    def put(self, data: bytes) -> None:
        self.unsent += data
        self.send()

    def send(self) -> None:
        """Send what the kernel takes now."""
        with contextlib.suppress(OSError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def told(self) -> list[str]:
        lines = [
            f"{each.method.decode()} {each.target.decode('latin-1')} {len(each.body)}"
            for each in self.requests
        ]
        if self.is_switched:
            lines += frames(self.data)
        elif self.data:
            method, target, *_ = self.data.split(b" ", 2)
            end = "cut off" if self.is_over else "not whole"
            return [*lines, f"{method.decode()} {target.decode('latin-1')} {end}"]
        return [*lines, *(["closed"] if self.is_over else [])]

    def all_heads(self) -> list[bytes]:
        """Also of a request that is not whole."""
        rest = [head_of(self.data)] if b"\r\n\r\n" in self.data and not self.is_switched else []
        return [*self.heads, *rest]


def head_of(data: bytes) -> bytes:
    return data[: data.index(b"\r\n\r\n") + 4]


def echo(arrived: Arrived) -> bytes:
    """An answer that tells the request."""
    body = b"%b %b %d" % (arrived.method, arrived.target, len(arrived.body))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if arrived.method == b"HEAD" else head + body


class World:
    """An edge, a client that has connected, and the servers behind."""

    def __init__(self, place: Place, site: OneSite, case: Case) -> None:
        self.case = case
        self.behind = place.behind
        for each in place.behind.values():
            each.begin(case.is_played)
        self.network = network = Network()
        # deadlines before a connection is anybody's are by the system's clock
        network.rightNow = monotonic()
        self.counters = counters = make_counters()
        # of all that have ended, also of what is not HTTP and gets none
        self.lines: list[dict[str, Any]] = []
        limits = place.settings.limits
        trusted = parse_networks(case.trusted)
        wheel = Wheel(network, network.seconds)
        files = Files()
        self.backends = Backends(
            network, PlayedKeeper(), wheel, counters, limits, 1, RUNTIMES, Disk(ENOUGH, files)
        )
        sockets = place.sockets
        if "websocket" in case.routes:
            sockets = Sockets(network, wheel, limits, counters)
        slots = place.table.slots
        rates = Rates(place.rates, slots, 0, range(1), trusted, network.seconds, counters)
        parts = EdgeParts(network, place.settings, self.backends, sockets, files, rates)
        self.hosts = hosts = Hosts(site, partial(compile_host, kinds=MAPPINGS, parts=parts))
        self.sites = sites = Sites(network.seconds)
        requests = Requests(place.table, 0, range(1), limits.source_requests, trusted)

        def make_id() -> str:
            return "the-id"

        self.entrance = Entrance(
            scheme=b"http",
            router=believing(make_router(hosts, sites, requests), trusted, make_id),
            limits=limits,
            wheel=wheel,
            counters=counters,
            record=Tally(sites, self._record).record,
            refusals=Refusals(network.seconds),
            make_id=make_id,
            date=lambda: DATE,
            page=make_pages(hosts),
            claim=believing(make_claim(hosts, sites), trusted, make_id),
            default_host=case.default.encode(),
        )
        self.unsent = b""
        self._accepted = 0
        self.client: MemoryEnd | SocketEnd
        if case.proxied:
            announcements = Announcements(
                network, wheel, counters, trusted, lambda: None, limits.proxy_timeout
            )
            self.client = SocketEnd(network, self.entrance, announcements)
        else:
            self.client = MemoryEnd(self.entrance, case.peer)

    def _record(self, ended: Any) -> None:
        line = format_line(ended, 0.0)
        # one line of JSON, whatever was asked
        assert line.count("\n") == 1 and line.isascii(), line
        self.lines.append(json.loads(line))

    # what happens

    def play(self, steps: Sequence[Step]) -> None:
        for step in steps:
            getattr(self, f"_{step.kind}")(step)

    def _request(self, step: Step) -> None:
        self.unsent += step.data
        self.settle()

    def _trickle(self, step: Step) -> None:
        for byte in step.data:
            self.pass_time(step.seconds)
            self.unsent += bytes((byte,))
            self.settle()

    def _response(self, step: Step) -> None:
        data = step.data
        if not step.at:
            # whatever else comes meanwhile, the rest of it goes there as well
            self._served = self._newest()
        if ACCEPT in step.whole or ACCEPT in data:
            key = _KEY.search(self._served.heads[-1])
            assert key is not None, self._served.heads
            text = (step.whole or data).replace(ACCEPT, accept_for(key[1]))
            data = text[step.at : step.at + len(data)]
            self._served.is_switched = True
        self._served.put(data)
        self.settle()

    def _wait(self, step: Step) -> None:
        self.pass_time(step.seconds)

    def _end(self, step: Step) -> None:
        served = self._newest()
        served.take()
        served.socket.close()
        self.settle()

    def _silent(self, step: Step) -> None:
        """It is the others that answer."""

    def _unread(self, step: Step) -> None:
        self.client.reads = False

    def _newest(self) -> Served:
        connections = self.behind["backend"].connections
        assert connections, f"{self.case.name}: nothing has come"
        return connections[-1]

    def pass_time(self, seconds: float) -> None:
        end = self.network.seconds() + seconds
        while (left := end - self.network.seconds()) > 1e-6:
            self.network.advance(min(left, GRAIN))
            self.settle()

    def settle(self) -> None:
        """Let everybody do what there is to do."""
        network = self.network
        quiet = 0
        # what the one side has sent, the other one sees in the next round
        while quiet < (2 if self._accepted or network.readers or network.writers else 1):
            before = self.client.size
            happened = self._feed()
            if network.readers or network.writers or self._is_due:
                network.turn(1)
            if self.counters["upstream_connects"] > self._accepted:
                self._accept()
                happened = True
            for each in self.behind.values():
                happened = each.serve() or happened
            happened = happened or self.client.size != before
            quiet = 0 if happened else quiet + 1

    @property
    def _is_due(self) -> bool:
        calls = self.network.calls
        return bool(calls) and calls[0].getTime() <= self.network.seconds()

    def _accept(self) -> None:
        for each in self.behind.values():
            each.accept()
        self._accepted = sum(len(each.connections) for each in self.behind.values())

    def _feed(self) -> bool:
        if not self.unsent or not self.client.is_read:
            return False
        piece, self.unsent = self.unsent[:PIECE], self.unsent[PIECE:]
        self.client.send(piece)
        return True

    # what has come of it

    def outcome(self, heads: Sequence[bool]) -> Outcome:
        """`heads`: which answers are to HEAD."""
        text = self.client.value()
        served = [each for behind in self.behind.values() for each in behind.connections]
        assert self.counters["upstream_connects"] == len(served)
        return Outcome(
            answers=[*read_answers(text, heads), *self._state(text)],
            arrived={name: behind.told() for name, behind in self.behind.items()},
            heads=b"".join(head for each in served for head in each.all_heads()),
            port=self.client.port,
            answer=text,
            counters={
                name: count for name, count in self.counters.items() if count and name not in USUAL
            },
            logged=[
                f"{each['status']} {each.get('cause', '')}"
                for each in self.lines
                if each["status"] != CLIENT_GONE
            ],
        )

    def _state(self, text: bytes) -> list[str]:
        client = self.client
        says_so = text.rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")[0]
        announced = says_so.endswith(b"\r\nConnection: close")
        if client.aborted:
            return ["reset"]
        if client.ended:
            return [] if announced else ["closed"]
        if announced:
            return ["still open"]
        return [] if client.is_read else ["not read"]

    def close(self) -> None:
        self.client.close()
        self.backends.cut("demo", "")
        for each in self.behind.values():
            each.end()
        for _ in range(LAST_TURNS):
            self.network.turn(1)
            if not self.network.readers and not self.network.writers:
                break
        else:
            raise AssertionError(f"{self.case.name}: a connection is left")


class MemoryEnd(ClientEnd):
    """A client in memory. One that does not read leaves all of it with us."""

    reads = True
    port = 12345

    def __init__(self, entrance: Entrance, peer: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 54321))
        self.protocol = H1(entrance)
        self.protocol.makeConnection(self)

    def keep_alive(self) -> None:
        """There is no socket."""

    @property
    def size(self) -> int:
        return self.io.tell()

    @property
    def unsent(self) -> int:  # type: ignore[override]
        return 0 if self.reads else self.size

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None and self.unsent > ROOM:
            self.producer.pauseProducing()

    @property
    def is_read(self) -> bool:
        return self.producerState == "producing" or not self.connected

    def send(self, data: bytes) -> None:
        if self.connected:
            self.protocol.dataReceived(data)

    def close(self) -> None:
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(ConnectionLost()))


class SocketEnd:
    """A client, or a proxy before it, with a socket."""

    reads = True
    is_read = True

    def __init__(self, network: Network, entrance: Entrance, announcements: Announcements) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
            self.socket = socket.create_connection(listener.getsockname())
            accepted, peer = listener.accept()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setblocking(False)
        self._came = b""
        self._ended = self.aborted = False
        announcements.accept(partial(accept_plain, network, entrance), accepted, peer)

    def _take(self) -> None:
        if self._ended:
            return
        try:
            while data := self.socket.recv(PIECE):
                self._came += data
            self._ended = True
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self._ended = self.aborted = True

    @property
    def ended(self) -> bool:
        self._take()
        return self._ended

    @property
    def size(self) -> int:
        self._take()
        return len(self._came)

    def value(self) -> bytes:
        self._take()
        return self._came

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()


def read_answers(text: bytes, heads: Sequence[bool] = ()) -> list[str]:
    """The lines that stand for a client's stream; read by nothing of ours."""
    lines: list[str] = []
    number = 0
    while text:
        head, blank, text = text.partition(b"\r\n\r\n")
        assert blank, head
        first, *rest = head.split(b"\r\n")
        status = int(first.split(b" ")[1])
        fields = {name.lower(): value for name, _, value in (x.partition(b": ") for x in rest)}
        if status == 101:
            return [*lines, "101", *frames(text)]
        if status < 200:
            lines.append(str(status))
            continue
        to_head = number < len(heads) and heads[number]
        number += 1
        is_whole = True
        if to_head:
            body = b"length " + fields.get(b"content-length", b"unknown")
        elif status in (204, 304):
            body = b""
        elif fields.get(b"transfer-encoding") == b"chunked":
            body, text, is_whole = unchunked(text)
        elif b"content-length" in fields:
            size = int(fields[b"content-length"])
            is_whole = len(text) >= size
            body, text = text[:size], text[size:]
        else:
            body, text = text, b""
        if not is_whole and len(body) > LONG:
            body = body[:10]
        said = fields.get(b"x-hostedge-reason") or fields.get(b"location") or body
        words = [str(status), said.decode("latin-1"), "" if is_whole else "..."]
        words.append("close" if fields.get(b"connection") == b"close" else "")
        lines.append(" ".join(filter(None, words)))
    return lines


def unchunked(text: bytes) -> tuple[bytes, bytes, bool]:
    """Body, what follows, and whether it is whole."""
    body = b""
    while text:
        line, _, text = text.partition(b"\r\n")
        size = int(line, 16)
        body += text[:size]
        text = text[size + 2 :]
        if not size:
            return body, text, True
    return body, b"", False


def frames(data: bytes) -> list[str]:
    """Opcode, a code to close with, and payload of each message; it may have come in fragments."""
    lines = []
    said = b""
    first = 0
    while data:
        opcode, size = data[0] & 0x0F, data[1] & 0x7F
        assert size < 126, data[:20]
        at = 6 if data[1] & 0x80 else 2
        mask = data[2:6] if at == 6 else bytes(4)
        first = opcode or first
        said += bytes(byte ^ mask[place % 4] for place, byte in enumerate(data[at : at + size]))
        if data[0] & 0x80:
            code = f" {int.from_bytes(said[:2])}" if first == CLOSE else ""
            text = said[2:] if code else said
            lines.append(f"{first}{code} {text.decode('latin-1')}".strip())
            said = b""
        data = data[at + size :]
    return lines
