"""
`hostedge.mappings.static` behind real sockets: large files, clients that are slow or leave,
and files of two owners.
"""

from __future__ import annotations

import os
import socket
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from hostedge.http.entrance import Entrance
from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.h1 import H1
from hostedge.http.wheel import Wheel
from hostedge.mappings.static import Static, StaticKind
from hostedge.net.eager import EagerServer
from hostedge.observe.counters import make_counters
from hostedge.observe.refused import Refusals
from hostedge.routes.compile import compile_host
from hostedge.settings import Limits
from hostedge.wire.date import DateLine
from hostedge.wire.request_id import RequestIds
from tests.mappings.test_static import Parts
from tests.routes.kinds import found

LARGE = os.urandom(1 << 16) * 320  # 20 MiB: more than the kernel's buffers of a connection hold


class LiveParts(Parts):
    """Turns are the reactor's."""

    def next_turn(self, call: Any) -> None:
        reactor.callLater(0, call)


def get(client: socket.socket, path: str, **fields: str) -> HTTPResponse:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n".encode())
    answer = HTTPResponse(client)
    answer.begin()
    return answer


def open_files() -> set[str]:
    names = set()
    for each in os.listdir("/proc/self/fd"):
        try:
            names.add(os.readlink(f"/proc/self/fd/{each}"))
        except FileNotFoundError:
            continue
    return names


class LiveCase(TestCase):
    """One home, one server, as many clients as a test wants."""

    timeout = 30

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).resolve()
        self.site = self.home / "site"
        self.site.mkdir(parents=True)
        (self.site / "large.bin").write_bytes(LARGE)
        (self.site / "small.txt").write_bytes(b"small")
        self.parts = LiveParts(str(self.home))
        routes = compile_host(found(("/", Static("site"))), [StaticKind()], self.parts)
        self.recorded: list[Any] = []

        def route(exchange: Exchange) -> Leaf | str:
            return routes.leaf(exchange.path) or "no_mapping"

        wheel = Wheel(Clock())
        self.entrance = Entrance(
            scheme=b"http",
            router=route,
            limits=Limits(),
            wheel=wheel,
            counters=make_counters(),
            record=self.recorded.append,
            refusals=Refusals(lambda: 0.0),
            make_id=RequestIds(reactor.seconds).make,
            date=DateLine(reactor.seconds).now,
        )

    def tearDown(self) -> Any:
        self.entrance.end()
        return deferLater(reactor, 0.02, lambda: None)

    def connect(self) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), timeout=20)
            server, address = listener.accept()
        self.addCleanup(client.close)
        server.setblocking(False)
        protocol = H1(self.entrance)
        protocol.makeConnection(EagerServer(server, protocol, address, None, 0, reactor))
        return client


class SendingTests(LiveCase):
    """Large files on real connections."""

    async def test_largeFile(self) -> None:
        """
        A large file comes whole, and the connection lives on.
        """
        client = self.connect()
        for _ in range(2):
            answer = await deferToThread(get, client, "/large.bin")
            body = await deferToThread(answer.read)
            self.assertEqual(answer.status, 200)
            self.assertTrue(body == LARGE)
        answer = await deferToThread(get, client, "/small.txt")
        self.assertEqual(await deferToThread(answer.read), b"small")

    async def test_part(self) -> None:
        """
        A download goes on where it was broken off.
        """
        client = self.connect()
        first = await deferToThread(get, client, "/large.bin", Range="bytes=0-999999")
        head = await deferToThread(first.read)
        rest = await deferToThread(
            get, client, "/large.bin", Range="bytes=1000000-", If_Range=first.headers["ETag"]
        )
        tail = await deferToThread(rest.read)
        self.assertEqual((first.status, rest.status), (206, 206))
        self.assertTrue(head + tail == LARGE)

    async def test_othersGoOn(self) -> None:
        """
        A client that reads nothing holds up nobody, and the node keeps little for it.
        """
        slow, quick = self.connect(), self.connect()
        started = await deferToThread(get, slow, "/large.bin")
        for _ in range(5):
            answer = await deferToThread(get, quick, "/small.txt")
            self.assertEqual(await deferToThread(answer.read), b"small")
        await deferLater(reactor, 0.1, lambda: None)
        held = [each.transport.unsent for each in self.entrance.connections]  # type: ignore[attr-defined]
        self.assertLess(sum(held), 1 << 20)
        self.assertGreater(sum(held), 0)
        self.assertTrue(await deferToThread(started.read) == LARGE)

    async def test_clientLeaves(self) -> None:
        """
        When the client goes in the middle, its file is closed and the log says that it went.
        """
        client = self.connect()
        await deferToThread(get, client, "/large.bin")
        self.assertIn(str(self.site / "large.bin"), open_files())
        client.close()
        for _ in range(100):
            if self.recorded:
                break
            await deferLater(reactor, 0.02, lambda: None)
        self.assertEqual([each.whole for each in self.recorded], [False])
        self.assertNotIn(str(self.site / "large.bin"), open_files())

    async def test_cutOff(self) -> None:
        """
        A file that gets shorter while it is sent ends the connection, never the answer.
        """
        client = self.connect()
        answer = await deferToThread(get, client, "/large.bin")
        os.truncate(self.site / "large.bin", 1 << 20)

        def read() -> int:
            size = 0
            try:
                while piece := answer.read(1 << 16):
                    size += len(piece)
            except (ConnectionError, OSError):
                pass
            return size

        self.assertLess(await deferToThread(read), len(LARGE))
        self.assertEqual([each.whole for each in self.recorded], [False])


class OwnerTests(LiveCase):
    """Two accounts on one node."""

    OURS, THEIRS = 54321, 54322

    def setUp(self) -> None:
        if os.getuid() != 0:
            raise SkipTest("only root can make files of two owners")
        super().setUp()
        self.parts.uid = self.OURS
        routes = compile_host(found(("/", Static("site"))), [StaticKind()], self.parts)
        self.entrance.router = lambda exchange: routes.leaf(exchange.path) or "no_mapping"
        self.theirs = self.home.parent / "theirs"
        self.theirs.mkdir(exist_ok=True)
        (self.theirs / "secret").write_bytes(b"secret")
        for path, owner in (
            (self.home, self.OURS),
            (self.site, self.OURS),
            (self.site / "small.txt", self.OURS),
            (self.theirs, self.THEIRS),
            (self.theirs / "secret", self.THEIRS),
        ):
            os.chown(path, owner, owner)

    async def status(self, path: str) -> int:
        client = self.connect()
        answer = await deferToThread(get, client, path)
        body = await deferToThread(answer.read)
        self.assertNotIn(b"secret", body)
        return answer.status

    async def test_ours(self) -> None:
        """
        The account's own file is sent, a link of it to its own file too.
        """
        (self.site / "link").symlink_to("small.txt")
        os.chown(self.site / "link", self.OURS, self.OURS, follow_symlinks=False)
        self.assertEqual(await self.status("/small.txt"), 200)
        self.assertEqual(await self.status("/link"), 200)

    async def test_theirs(self) -> None:
        """
        Another account's file is not: by a link, a hard link, a link they made, or put here.
        """
        (self.site / "link").symlink_to(self.theirs / "secret")
        (self.site / "relative").symlink_to("../../theirs/secret")
        (self.site / "folder").symlink_to("../../theirs")
        os.link(self.theirs / "secret", self.site / "hard")
        (self.site / "put").write_bytes(b"secret")
        os.chown(self.site / "put", self.THEIRS, self.THEIRS)
        (self.site / "root").write_bytes(b"secret")
        os.chown(self.site / "link", self.THEIRS, self.THEIRS, follow_symlinks=False)
        for path in ("/link", "/relative", "/folder/secret", "/hard", "/put", "/root"):
            self.assertEqual(await self.status(path), 403, path)

    async def test_folderThatLeadsAway(self) -> None:
        """
        A mapping's own folder may be a link inside the home, and never one that leaves it.
        """
        self.site.rename(self.home / "release")
        self.site.symlink_to("release")
        self.assertEqual(await self.status("/small.txt"), 200)
        self.site.unlink()
        self.site.symlink_to(self.theirs)
        self.assertEqual(await self.status("/secret"), 403)
