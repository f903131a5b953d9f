"""
Tests for `hostedge.net.link` and `hostedge.net.blocking` over real UNIX sockets.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.protocols.amp import AmpError, RemoteAmpError
from twisted.trial.unittest import TestCase

from hostedge.ipc import Changed, Edges, Hello, TakeListener
from hostedge.links import listeners as transfer
from hostedge.net.blocking import BlockingLink
from hostedge.net.link import LinkClient, LinkPeer, LinkServer, hello
from hostedge.net.listener import Listener, bind


class Answering(LinkPeer):
    """Answers some messages, fails at others."""

    def __init__(self, test: LinkTests, pid: int) -> None:
        super().__init__()
        self.test = test
        self.pid = pid
        test.peers.append(self)

    @Hello.responder
    def hello(
        self, pid: int, started: int, role: str, index: int, revision: int, version: str
    ) -> dict[str, int]:
        return {"revision": revision + 1}

    @Changed.responder
    def changed(self, revision: int) -> dict[str, Any]:
        raise ZeroDivisionError("a mistake of ours")

    @TakeListener.responder
    def take_listener(self, index: int) -> dict[str, Any]:
        return transfer.give(self.test.listeners, index)


class LinkTests(TestCase):
    """Links come back; a mistake in a responder costs one answer."""

    timeout = 20

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = Path(folder) / "x.sock"
        self.peers: list[Answering] = []
        self.listeners: tuple[Listener, ...] = ()
        self.server: LinkServer | None = None
        self.events: list[str] = []
        self.waiting: list[Deferred[None]] = []
        self.addCleanup(lambda: self.server and self.server.stopService())

    def serve(self, uids: frozenset[int] | None = None) -> None:
        allowed = frozenset((os.getuid(),)) if uids is None else uids
        self.server = LinkServer(reactor, self.path, lambda pid: Answering(self, pid), allowed)
        self.server.startService()

    def client(self) -> LinkClient:
        client = LinkClient(
            reactor,
            self.path,
            LinkPeer,
            lambda: self.happened("came"),
            lambda: self.happened("lost"),
        )
        client.startService()
        self.addCleanup(client.stopService)
        return client

    def happened(self, what: str) -> None:
        self.events.append(what)
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)

    def event(self) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        return waiting

    async def test_answers(self) -> None:
        """
        A message is answered, and the server knows the caller's pid from the kernel.
        """
        self.serve()
        client = self.client()
        await self.event()
        answer = await client.call(Hello, **hello("edge", 0, 6))
        self.assertEqual(answer, {"revision": 7})
        self.assertEqual(self.peers[0].pid, os.getpid())

    async def test_mistakeCostsOneAnswer(self) -> None:
        """
        An exception in a responder fails that message; the link stays.
        """
        self.serve()
        client = self.client()
        await self.event()
        with self.assertRaises(RemoteAmpError):
            await client.call(Changed, revision=1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        with self.assertRaises(AmpError):
            await client.call(Edges)
        self.assertEqual(await client.call(Hello, **hello("edge", 0, 1)), {"revision": 2})
        self.assertEqual(self.events, ["came"])

    async def test_comesBack(self) -> None:
        """
        A link that was lost is made again as soon as somebody listens.
        """
        self.serve()
        client = self.client()
        await self.event()
        await client.call(Hello, **hello("edge", 0, 1))
        lost = self.event()
        await self.server.stopService()
        self.peers[0].transport.abortConnection()
        await lost
        self.assertFalse(client.connected)
        came = self.event()
        self.serve()
        await came
        self.assertEqual(self.events, ["came", "lost", "came"])
        self.assertEqual(await client.call(Hello, **hello("edge", 0, 1)), {"revision": 2})

    async def test_strangerIsTurnedAway(self) -> None:
        """
        A peer of another uid is let in to nothing.
        """
        self.serve(uids=frozenset((os.getuid() + 1,)))
        stranger = socket.socket(socket.AF_UNIX)
        self.addCleanup(stranger.close)
        stranger.settimeout(10)
        stranger.connect(str(self.path))
        self.assertEqual(await deferToThread(stranger.recv, 1), b"")
        self.assertEqual(self.peers, [])

    async def test_listenersTravel(self) -> None:
        """
        Listeners taken over a link accept what was connected before and after.
        """
        original = bind("http", "127.0.0.1:0", "test")
        self.addCleanup(original.socket.close)
        early = socket.create_connection(original.socket.getsockname())
        self.addCleanup(early.close)
        self.listeners = (original,)
        self.serve()
        client = self.client()
        await self.event()
        (taken,) = await transfer.take(client.call)
        self.addCleanup(taken.socket.close)
        self.assertEqual((taken.protocol, taken.address), ("http", original.address))
        self.assertFalse(os.get_inheritable(taken.socket.fileno()))
        accepted, address = taken.socket.accept()
        accepted.close()
        self.assertEqual(address, early.getsockname())

    async def test_withoutReactor(self) -> None:
        """
        A process without a reactor calls, takes listeners and answers over the same link.
        """
        original = bind("http", "127.0.0.1:0", "test")
        self.addCleanup(original.socket.close)
        self.listeners = (original,)
        self.serve()
        ended = threading.Event()

        def blocking() -> list[Any]:
            link = BlockingLink.connect(self.path, Answering(self, 0))
            seen: list[Any] = [link.call(Hello, **hello("template", 0, 1))]
            taken = transfer.received(link.call(TakeListener, index=0))
            assert taken is not None
            seen.append(taken.address)
            taken.socket.close()
            seen.append(transfer.received(link.call(TakeListener, index=1)))
            while link.receive():
                pass
            ended.set()
            return seen

        working = deferToThread(blocking)
        while len(self.peers) < 2 or not self.peers[1].transport:
            await deferToThread(ended.wait, 0.02)
        linked = next(p for p in self.peers if p.pid == os.getpid())
        answer = await linked.callRemote(Hello, **hello("keeper", 0, 4))
        self.assertEqual(answer, {"revision": 5})
        linked.transport.loseConnection()
        self.assertEqual(await working, [{"revision": 2}, original.address, None])
