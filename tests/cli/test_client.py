"""Tests of `hostedge.cli.client` against a server that sends what each test tells it to."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from select import select
from shutil import rmtree
from tempfile import mkdtemp
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.client import ApiClient
from hostedge.errors import ConfigError
from hostedge.settings import Settings

# What is done with one accepted connection; it is closed afterwards.
Script = Callable[[socket.socket], None]


def answer(status: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), size, body)


def read_request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(65536)
        if not piece:
            raise ConnectionError("the client has gone")
        data += piece
    return data


def answering(*answers: bytes) -> Script:
    def script(peer: socket.socket) -> None:
        for each in answers:
            read_request(peer)
            peer.sendall(each)

    return script


class ClientTests(SynchronousTestCase):
    """One connection to a node, and what can happen on it."""

    def setUp(self) -> None:
        folder = Path(mkdtemp(prefix="hostedge-"))
        self.addCleanup(rmtree, folder)
        self.settings = Settings(folder / "node.toml", folder, folder)
        self.settings.control.mkdir()
        self.client = ApiClient(self.settings)
        self.addCleanup(self.client.__exit__)

    def serve(self, *scripts: Script) -> None:
        """Accept one connection for each script, one after the other."""
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.settings.api_socket))
        listening.listen()
        thread = Thread(target=self._serve, args=(listening, scripts))
        thread.start()
        self.addCleanup(thread.join)
        # before `join`: a connection that the server still waits on has to end
        self.addCleanup(self.client.__exit__)

    def _serve(self, listening: socket.socket, scripts: Sequence[Script]) -> None:
        listening.settimeout(5.0)
        with listening, contextlib.suppress(OSError):
            for script in scripts:
                peer, _ = listening.accept()
                peer.settimeout(5.0)
                with peer:
                    script(peer)

    def refused(self, call: Callable[[], Any]) -> str:
        with self.assertRaises(ConfigError) as caught:
            call()
        return str(caught.exception)

    def test_keepAlive(self) -> None:
        """
        Several calls go over one connection.
        """
        self.serve(answering(answer("200 OK", b"1"), answer("200 OK", b"[2]")))
        self.assertEqual(self.client.call("GET", "/a"), 1)
        self.assertEqual(self.client.call("POST", "/b", {}), [2])

    def test_idleConnectionWasClosed(self) -> None:
        """
        A connection that the node has closed while nothing was asked is made anew for any call.
        """
        good = answering(answer("200 OK", b"1"))
        self.serve(good, good)
        self.client.call("GET", "/a")
        ended, _, _ = select([self.client._connection.sock], [], [], 5.0)
        self.assertTrue(ended)
        self.assertEqual(self.client.call("POST", "/b"), 1)

    def test_closedAsTheCallCame(self) -> None:
        """
        When the node closes as the call is on its way, nobody knows whether it was heard. Calls
        that may be repeated are; one that restarts an app may not.
        """

        def once_and_gone(peer: socket.socket) -> None:
            answering(answer("200 OK", b"1"))(peer)
            read_request(peer)

        self.serve(once_and_gone, once_and_gone)
        self.client.call("GET", "/a")
        self.assertEqual(self.client.call("GET", "/b"), 1)
        self.assertIn("broke the call off", self.refused(lambda: self.client.call("POST", "/c")))

    def test_notLookedAt(self) -> None:
        """
        A call of which nothing was read is made again, also one that changes something, and on a
        new connection; one that was read is not.
        """

        def unread(peer: socket.socket) -> None:
            select([peer], [], [], 5.0)

        def read(peer: socket.socket) -> None:
            call = read_request(peer)
            while not call.endswith(b"{}"):
                call += peer.recv(65536)

        def answered(peer: socket.socket) -> None:
            read(peer)
            peer.sendall(answer("200 OK", b"1"))

        self.serve(unread, answered, read)
        self.assertEqual(self.client.call("POST", "/v1/x", {}), 1)
        self.client.__exit__()
        error = self.assertRaises(ConfigError, self.client.call, "POST", "/v1/x", {})
        self.assertIn("broke the call off", str(error))

    def test_answerLater(self) -> None:
        """
        A call can be sent first and its answer waited for later.
        """
        self.serve(answering(answer("200 OK", b"1")))
        answered = self.client.ask("POST", "/a", {})
        self.assertEqual(answered(), 1)

    def test_notRunning(self) -> None:
        """
        Without a node, one line says how to start it; also when a dead one has left its socket.
        """
        line = self.refused(lambda: self.client.call("GET", "/a"))
        self.assertIn("api.sock: the node does not run; start it: twistd -n hostedge", line)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.settings.api_socket))
        self.assertEqual(self.refused(lambda: self.client.call("GET", "/a")), line)

    def test_refused(self) -> None:
        """
        The API's error becomes ours, word for word.
        """
        error = b'{"error": {"where": "sites[0]: account", "problem": "is missing"}}'
        self.serve(answering(answer("422 Unprocessable", error), answer("200 OK", b"1")))
        line = self.refused(lambda: self.client.call("GET", "/a"))
        self.assertEqual(line, "sites[0]: account: is missing")
        self.assertEqual(self.client.call("GET", "/a"), 1)

    def test_refusedWithoutWords(self) -> None:
        """
        An answer that is none of the API's is said with its status.
        """
        for body in (b"<html>", b"[]", b'{"error": 1}'):
            self.settings.api_socket.unlink(missing_ok=True)
            self.serve(answering(answer("502 Bad", body)))
            line = self.refused(lambda: ApiClient(self.settings).call("GET", "/a"))
            self.assertEqual(line, "node: answered 502 without saying why")

    def test_refusedWhileSending(self) -> None:
        """
        A node that refuses before it has read everything is heard all the same.
        """

        def script(peer: socket.socket) -> None:
            error = b'{"error": {"where": "caller", "problem": "want root"}}'
            peer.sendall(answer("403 Forbidden", error))

        self.serve(script)
        line = self.refused(lambda: self.client.call("POST", "/a", b"x" * 10_000_000))
        self.assertEqual(line, "caller: want root")

    def test_brokenOff(self) -> None:
        """
        An answer that ends too early is never taken for a whole one.
        """
        self.serve(
            answering(b""),
            answering(answer("200 OK", b"[1", 10)),
            answering(answer("200 OK", b"1\n2\n", 10)),
            answering(answer("200 OK", b"bytes", 10)),
            answering(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n",
            ),
        )
        for call in (
            lambda client: client.call("POST", "/a"),
            lambda client: client.call("GET", "/a"),
            lambda client: list(client.lines("/a")),
            lambda client: client.copy("/a", BytesIO()),
            lambda client: list(client.lines("/a")),
        ):
            with ApiClient(self.settings) as client:
                line = self.refused(lambda call=call, client=client: call(client))
                self.assertRegex(line, "^node: broke (the call|its answer) off")

    def test_lines(self) -> None:
        """
        Lines come one by one.
        """
        self.serve(answering(answer("200 OK", b'{"a":1}\n{"a":2}\n')))
        self.assertEqual(list(self.client.lines("/a")), [{"a": 1}, {"a": 2}])

    def test_copy(self) -> None:
        """
        A long answer is written as it comes.
        """
        self.serve(answering(answer("200 OK", b"x" * 1_000_000)))
        file = BytesIO()
        self.assertEqual(self.client.copy("/a", file), 1_000_000)
        self.assertEqual(len(file.getvalue()), 1_000_000)
