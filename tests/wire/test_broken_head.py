"""What `hostedge.wire.broken_head` can tell of heads that are refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.broken_head import NOTHING, Readable, read_broken, read_refused

HOST = b"Host: A.test:80\r\n"


class BrokenTests(SynchronousTestCase):
    """Heads that are not valid."""

    def test_read(self) -> None:
        """A line that says what is asked is read, whatever is wrong with it or behind it."""
        host = (b"Host", b"A.test:80")
        for seen, method, target, version, fields, name in (
            (b"GET /a?b HTTP/1.1\r\n%bbad\r\n" % HOST, b"GET", b"/a?b", b"1.1", [host], "a.test"),
            (b"GET /a HTTP/1.0\n%b" % HOST, b"GET", b"/a", b"1.0", [host], "a.test"),
            (b"get /a b HTTP/1.1\r\n", b"get", b"/a b", b"1.1", [], ""),
            (b"GET /\r\n", b"GET", b"/", b"1.1", [], ""),
            (b"BREW pot://tea HTTP/7.0\r\n", b"BREW", b"pot://tea", b"7.0", [], ""),
            (b"OPTIONS / RTSP/1.0\r\n\r\n", b"OPTIONS", b"/ RTSP/1.0", b"1.1", [], ""),
            (b"GET /" + b"a" * 300, b"GET", b"/" + b"a" * 300, b"1.1", [], ""),
        ):
            self.assertEqual(
                read_broken(seen), Readable(method, target, version, fields, name), seen
            )

    def test_onlyBlanks(self) -> None:
        """Where a line has nothing but blanks and no end, reading takes no longer for it."""
        blanks = b"GET / HTTP/1.1\r\nHost:" + b" \t" * 8192
        self.assertEqual(read_broken(blanks).fields, [])
        self.assertEqual(read_broken(blanks + b"\n").fields, [(b"Host", b"")])
        self.assertEqual(read_broken(blanks + b"a.test \t\r\n").host, "a.test")

    def test_nothing(self) -> None:
        """What is no request, or stopped before it said what is asked, is none."""
        for seen in (
            b"",
            b"G",
            b"GET ",
            b"GET /a",
            b"GET /a HTTP/1.1",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"EHLO a.test\r\n",
            b" GET / HTTP/1.1\r\n",
            b"GET  HTTP/1.1\r\n",
            b"\x00 / HTTP/1.1\r\n",
        ):
            self.assertEqual(read_broken(seen), NOTHING, seen)

    def test_fields(self) -> None:
        """Only those of the head count, and only one valid host is one."""
        line = b"GET / HTTP/1.1\r\n"
        for rest, accept, host in (
            (b"hOST:a.test \r\nAccept:\ttext/html\r\n", [b"text/html"], "a.test"),
            (b"Host: a.test\r\nHost: b.test\r\n", [], ""),
            (b"Host: a_b!\r\n", [], ""),
            (b"X: 1\r\n\r\nHost: a.test\r\n", [], ""),
            (b"\r\nHost: a.test\r\n", [], ""),
            (b"Host: a.te", [], ""),
        ):
            read = read_broken(line + rest)
            self.assertEqual(read.host, host, rest)
            got = [value for name, value in read.fields if name.lower() == b"accept"]
            self.assertEqual(got, accept, rest)

    @given(st.binary(max_size=400))
    def test_anything(self, rest: bytes) -> None:
        """Whatever comes is read, in a line that fits on one."""
        for seen in (rest, b"GET " + rest, b"GET / HTTP/1.1\r\n" + rest):
            read = read_broken(seen)
            self.assertNotIn(b"\n", read.method + read.target)
            self.assertEqual(read == NOTHING, not read.method)


class RefusedTests(SynchronousTestCase):
    """Heads that say what is not wanted."""

    def test_host(self) -> None:
        """A host that was contradicted is nobody's."""
        fields = [(b"Host", b"A.test"), (b"X", b"1")]
        read = read_refused(b"TRACE", b"/", "1.1", fields, "method")
        self.assertEqual(read, Readable(b"TRACE", b"/", b"1.1", fields, "a.test"))
        self.assertEqual(read_refused(b"GET", b"/", "1.1", fields, "bad_host").host, "")
