"""TLS as OpenSSL, Python and curl see it, against two forked edges that share their keys."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.tls import MAX_EVENTS
from tests.tls.certified import hello_of

ROOT = Path(__file__).resolve().parent.parent.parent
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENCE = 10


def with_early_data(session: str, size: int) -> str:
    """A session of OpenSSL (PEM), changed to say that the server takes so much early data."""
    begin, end = "-----BEGIN SSL SESSION PARAMETERS-----", "-----END SSL SESSION PARAMETERS-----"
    whole = base64.b64decode(session.partition(begin)[2].partition(end)[0])
    parts: list[tuple[int, bytes]] = []
    rest = _content(whole)[0]
    while rest:
        _, after = _content(rest)
        parts.append((rest[0], rest[: len(rest) - len(after)]))
        rest = after
    # [15] EXPLICIT INTEGER; the optional ones stand in the order of their tags
    number = size.to_bytes(size.bit_length() // 8 + 1)
    field = bytes((0xAF, len(number) + 2, 0x02, len(number))) + number
    before = [part for tag, part in parts if tag < 0xAF]
    behind = [part for tag, part in parts if tag > 0xAF]
    content = b"".join((*before, field, *behind))
    changed = b"\x30\x82" + len(content).to_bytes(2) + content
    lines = base64.encodebytes(changed).decode()
    return f"{begin}\n{lines}{end}\n"


def _content(data: bytes) -> tuple[bytes, bytes]:
    """The content of the DER element that this begins with, and what comes after it."""
    size, at = data[1], 2
    if size > 0x80:
        at += size - 0x80
        size = int.from_bytes(data[2:at])
    return data[at : at + size], data[at + size :]


class TLSTests(SynchronousTestCase):
    """Other people's clients."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        edges = subprocess.Popen(
            [sys.executable, "-m", "tests.live.tls_edges", folder.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(edges.wait, PATIENCE)
        self.addCleanup(edges.communicate)
        assert edges.stdout is not None
        self.ports = [int(edges.stdout.readline()) for _ in range(2)]
        self.authority = self.folder / "ca.pem"

    def context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def ask(
        self,
        port: int,
        context: ssl.SSLContext | None = None,
        name: str = "a.example",
        session: ssl.SSLSession | None = None,
    ) -> tuple[dict[str, Any], ssl.SSLSession | None]:
        """What the edge says of a connection, and the session to resume it with."""
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as raw:
            with (context or self.context()).wrap_socket(
                raw, server_hostname=name, session=session
            ) as client:
                client.sendall(REQUEST)
                told = client.recv(65536)
                self.assertEqual(client.session_reused, b'"resumed": true' in told)
                return json.loads(told.partition(b"\r\n\r\n")[2]), client.session

    def openssl(self, port: int, *options: str) -> str:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
            input="GET / HTTP/1.1\nConnection: close\n\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.stdout + done.stderr

    def curl(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["curl", "-sS", "--max-time", str(PATIENCE), "--cacert", str(self.authority), *options],
            capture_output=True,
            text=True,
        )

    def test_resumesOnEveryEdge(self) -> None:
        """
        A session begun on one edge is resumed on the other one, TLS 1.2 and 1.3.
        """
        for version, called in (
            (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
            (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
        ):
            context = self.context(version)
            first, session = self.ask(self.ports[0], context)
            self.assertEqual((first["version"], first["resumed"]), (called, False))
            for port in (self.ports[1], self.ports[0], self.ports[1]):
                again, session = self.ask(port, context, session=session)
                self.assertTrue(again["resumed"])
                self.assertEqual(again["pid"] == first["pid"], port == self.ports[0])

    def test_names(self) -> None:
        """
        Each name has its certificate; an unknown one is a fatal alert.
        """
        for name in ("a.example", "b.example"):
            self.assertEqual(self.ask(self.ports[0], name=name)[0]["name"], name)
        error = self.assertRaises(ssl.SSLError, self.ask, self.ports[0], name="c.example")
        self.assertIn("unrecognized name", str(error).lower().replace("_", " "))

    def test_openssl(self) -> None:
        """
        `openssl s_client` verifies the chain, resumes, and is told what is wrong.
        """
        verify = ("-CAfile", str(self.authority), "-verify_return_error", "-ign_eof")
        named = ("-servername", "a.example", "-verify_hostname", "a.example", *verify)
        session = str(self.folder / "session")
        for version, called in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            full = self.openssl(self.ports[0], version, "-sess_out", session, *named)
            self.assertIn("Verify return code: 0 (ok)", full)
            self.assertIn(f"New, {called}", full)
            again = self.openssl(self.ports[1], version, "-sess_in", session, *named)
            self.assertIn(f"Reused, {called}", again)
        nobody = self.openssl(self.ports[0], "-noservername", *verify)
        self.assertIn("CN = node.example", nobody)
        unknown = self.openssl(self.ports[0], "-servername", "c.example")
        self.assertIn("unrecognized name", unknown)
        protocol = self.openssl(self.ports[0], "-servername", "a.example", "-alpn", "spdy/3")
        self.assertIn("no application protocol", protocol)

    def test_earlyData(self) -> None:
        """
        No session offers early data; a client that sends some all the same, with the session
        changed so that it says so, is told no, and what was in it is never read: it could be
        somebody's who has recorded it.
        """
        early, session = self.folder / "early", self.folder / "session"
        early.write_bytes(b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        common = ("-tls1_3", "-servername", "a.example", "-ign_eof")
        self.openssl(self.ports[0], *common, "-sess_out", str(session))
        resuming = (*common, "-sess_in", str(session), "-early_data", str(early))
        told = self.openssl(self.ports[0], *resuming)
        self.assertIn("Reused, TLSv1.3", told)
        self.assertIn("Early data was not sent", told)
        session.write_text(with_early_data(session.read_text(), 16_384))
        for port in self.ports:
            told = self.openssl(port, *resuming)
            self.assertIn("Early data was rejected", told)
            self.assertEqual(told.count("HTTP/1.1 "), 1, told)

    def test_curl(self) -> None:
        """
        curl takes the authority's certificate, and gets the whole answer to plain HTTP.
        """
        if shutil.which("curl") is None:
            self.skipTest("curl is not installed")
        port = self.ports[0]
        there = ("--connect-to", f"a.example:443:127.0.0.1:{port}", "https://a.example/")
        done = self.curl("--http1.1", *there)
        self.assertEqual((done.returncode, json.loads(done.stdout)["name"]), (0, "a.example"))
        plain = self.curl("-w", "%{http_code}", f"http://127.0.0.1:{port}/")
        self.assertEqual((plain.returncode, plain.stdout), (0, "400"))
        other = self.curl("--connect-to", f"c.example:443:127.0.0.1:{port}", "https://c.example/")
        self.assertEqual(other.returncode, 35)

    def test_halfAHello(self) -> None:
        """
        Half a hello that is held open wakes the edge once, until its time is over.
        """
        before, _ = self.ask(self.ports[0])
        hello = hello_of("a.example")
        with socket.create_connection(("127.0.0.1", self.ports[0]), PATIENCE) as half:
            half.sendall(hello[: len(hello) // 2])
            # the edge ends it, after two seconds
            self.assertEqual(half.recv(100), b"")
        after, _ = self.ask(self.ports[0])
        self.assertEqual(after["counters"]["tls_timeout"], 1)
        # hello and finish of the second question; the rest is the half hello's
        self.assertLessEqual(after["woken"] - before["woken"], 4)

    def test_keyUpdates(self) -> None:
        """
        A few key updates are served, a flood of them ends the connection.
        """
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports[0]}", "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert client.stdin is not None and client.stderr is not None
        self.addCleanup(client.wait, PATIENCE)
        self.addCleanup(client.kill)
        self.addCleanup(client.stderr.close)
        self.addCleanup(client.stdin.close)
        updates = 0
        deadline = time.monotonic() + PATIENCE
        # how many go out before the client sees the end is the machine's affair
        while time.monotonic() < deadline:
            try:
                client.stdin.write(b"K\n")
            except BrokenPipeError:
                break
            said = b"?"
            while said and said != b"KEYUPDATE\n":
                said = client.stderr.readline()
            if not said:
                break
            updates += 1
            if updates == MAX_EVENTS // 4:
                self.assertNotIn("tls_flood", self.ask(self.ports[0])[0]["counters"])
        # each one counts twice: it is answered
        self.assertGreaterEqual(updates, MAX_EVENTS // 2 - 1)
        self.assertLess(time.monotonic(), deadline, "the flood goes on")
        self.assertEqual(self.ask(self.ports[0])[0]["counters"]["tls_flood"], 1)
