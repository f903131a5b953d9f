"""Tests of `hostedge.api.server`: real sockets' credentials, no reactor."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from hostedge.api.guard import MAX_BODY
from hostedge.api.server import (
    ApiSite,
    allowed_uids,
    caller_of,
    listen,
)
from hostedge.net.identity import name_of_user


class Echo(Resource):
    """Answers with who is calling and how long the body is."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        assert request.content is not None
        return f"{caller_of(request)} {len(request.content.read())}".encode()


class SocketTransport(StringTransport):
    """Keeps what is written, and has a real socket's credentials."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self._handle = handle

    def getHandle(self) -> socket.socket:
        return self._handle


class ApiSiteTests(SynchronousTestCase):
    """Who may call, and with how much."""

    def connect(self, uids: frozenset[int], max_body: int = MAX_BODY) -> SocketTransport:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport = SocketTransport(ours)
        channel = ApiSite(Clock(), Echo(), uids, max_body).buildProtocol(None)
        channel.makeConnection(transport)
        self.send = channel.dataReceived
        return transport

    def test_callerIsKnown(self) -> None:
        """
        The kernel says who is calling; the connection stays open for more.
        """
        transport = self.connect(allowed_uids())
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(2):
            self.send(request)
            self.assertIn(name_of_user(os.getuid()).encode() + b" 0", transport.value())
            transport.clear()
        self.assertFalse(transport.disconnecting)

    def test_busy(self) -> None:
        """
        A call is under way from its first line to its answer, or to the caller's end.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        site = ApiSite(Clock(), Echo(), allowed_uids())
        for last in (b"{}", None):
            channel = site.buildProtocol(None)
            channel.makeConnection(SocketTransport(ours))
            self.assertFalse(site.is_busy)
            channel.dataReceived(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n")
            channel.dataReceived(b"Content-Type: application/json\r\n\r\n")
            self.assertTrue(site.is_busy)
            if last is None:
                channel.connectionLost()
            else:
                channel.dataReceived(last)
            self.assertFalse(site.is_busy)

    def test_othersAreRefused(self) -> None:
        """
        Another user is answered before a byte of the request is read, then cut off.
        """
        transport = self.connect(frozenset({12345}))
        head, _, body = transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 403 "))
        self.assertEqual(json.loads(body)["error"]["where"], "caller")
        self.assertIn(name_of_user(os.getuid()), json.loads(body)["error"]["problem"])
        self.assertTrue(transport.disconnecting)
        transport.clear()
        self.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(transport.value(), b"")

    def post(self, kind: bytes, pieces: list[bytes], chunked: bool, most: int = MAX_BODY) -> bytes:
        transport = self.connect(allowed_uids(), most)
        length = sum(map(len, pieces))
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
        self.send(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n%s\r\n\r\n"
            % (kind, framing)
        )
        for piece in pieces:
            self.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.send(b"0\r\n\r\n")
        return transport.value()

    def test_bodiesOfEverySize(self) -> None:
        """
        A body arrives whole, in memory or by way of a file.
        """
        for chunked in (False, True):
            for pieces in ([b"x" * 10], [b"x" * 100_000] * 12):
                answer = self.post(b"application/json", pieces, chunked)
                self.assertTrue(answer.endswith(b" %d" % sum(map(len, pieces))), answer)

    def test_largeBody(self) -> None:
        """
        What is over the limit is dropped as it comes, and answered 413.
        """
        for chunked in (False, True):
            answer = self.post(b"application/json", [b"x" * 400] * 3, chunked, 1000)
            self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)
            self.assertIn(b'"where": "body"', answer)

    def test_lengthOfManyDigits(self) -> None:
        """
        A length that no body has is refused, however long the number.
        """
        for length in (b"9" * 5000, b"9" * 40, b"+1"):
            transport = self.connect(allowed_uids())
            self.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\n\r\n" % length)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 400 "), transport.value())
            self.assertTrue(transport.disconnecting)

    def test_otherTypesAreNotKept(self) -> None:
        """
        A body that is not JSON is not kept at all.
        """
        answer = self.post(b"text/plain", [b"{}"], False)
        self.assertTrue(answer.startswith(b"HTTP/1.1 415 "), answer)


class ListenTests(SynchronousTestCase):
    """The socket's place in the file system."""

    def test_staleSocket(self) -> None:
        """
        What a dead process has left is no obstacle; others than owner and group stay out.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"")
        calls = []

        class Reactor:
            def listenUNIX(self, address: str, factory: object, mode: int) -> None:
                calls.append((address, factory, mode))

        site = ApiSite(Clock(), Echo(), allowed_uids())
        listen(Reactor(), path, site)
        self.assertEqual(calls, [(str(path), site, 0o660)])
        self.assertFalse(path.exists())
