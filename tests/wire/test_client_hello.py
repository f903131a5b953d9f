"""How `hostedge.wire.client_hello` reads what a TLS client says first."""

from __future__ import annotations

import ssl

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.client_hello import (
    DECODE_ERROR,
    ILLEGAL_PARAMETER,
    MAX_HELLO,
    MAX_RECORDS,
    PROTOCOL_VERSION,
    RECORD_OVERFLOW,
    UNEXPECTED_MESSAGE,
    UNRECOGNIZED_NAME,
    BadHello,
    Hello,
    alert_record,
    is_plain_http,
    read_hello,
)
from tests.tls.certified import hello_of

TLS13 = 0x0304


def extension(kind: int, value: bytes) -> bytes:
    return kind.to_bytes(2) + len(value).to_bytes(2) + value


def hello(*extensions: bytes, version: int = 0x0303) -> bytes:
    """The message, without a record around it."""
    body = version.to_bytes(2) + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    if extensions:
        joined = b"".join(extensions)
        body += len(joined).to_bytes(2) + joined
    return b"\1" + len(body).to_bytes(3) + body


def records(message: bytes, size: int = MAX_HELLO) -> bytes:
    """The message in records of at most `size` bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\3\1" + len(each).to_bytes(2) + each for each in pieces)


def server_name(name: bytes, kind: int = 0) -> bytes:
    entry = bytes((kind,)) + len(name).to_bytes(2) + name
    return extension(0, len(entry).to_bytes(2) + entry)


class ClientHelloTests(SynchronousTestCase):
    """Facts out of bytes."""

    def alert(self, data: bytes) -> int:
        return self.assertRaises(BadHello, read_hello, data).alert

    def test_whatOpenSSLSays(self) -> None:
        """
        A hello of OpenSSL is read in full.
        """
        found = read_hello(hello_of("www.Example.org", ("h2", "http/1.1")))
        self.assertEqual(
            found, Hello("www.example.org", (b"h2", b"http/1.1"), (TLS13, 0x0303), b"")
        )

    def test_saysLittle(self) -> None:
        """
        Without extensions there is a version and nothing else.
        """
        self.assertEqual(read_hello(records(hello())), Hello(None, (), (0x0303,), b""))
        self.assertEqual(read_hello(records(hello(extension(35, b"")))).ticket_key, b"")

    def test_everySplit(self) -> None:
        """
        However much of it has arrived: either it says how much more to wait for, never too
        much, or it is complete and always the same.
        """
        whole = records(hello(server_name(b"a.example"), extension(35, bytes(range(200)))), 17)
        wanted_answer = read_hello(whole)
        self.assertIsInstance(wanted_answer, Hello)
        for at in range(len(whole)):
            wanted = read_hello(whole[:at])
            assert isinstance(wanted, int)
            self.assertLess(at, wanted)
            self.assertLessEqual(wanted, len(whole))
        self.assertEqual(read_hello(whole + b"\x17early data"), wanted_answer)

    def test_ticketKeys(self) -> None:
        """
        The key name is the first 16 bytes of a ticket, of TLS 1.2 or, rather, of TLS 1.3.
        """
        key = bytes(range(16))
        old = extension(35, key + b"ticket")
        identity = (22).to_bytes(2) + key[::-1] + b"ticket" + bytes(4)
        new = extension(41, len(identity).to_bytes(2) + identity + b"\0\x21\x20" + bytes(32))
        self.assertEqual(read_hello(records(hello(old))).ticket_key, key)
        self.assertEqual(read_hello(records(hello(old, new))).ticket_key, key[::-1])

    def test_names(self) -> None:
        """
        A server name is brought into normal form; what is none could never be served.
        """
        self.assertEqual(
            read_hello(records(hello(server_name(b"A.Example.")))).server_name, "a.example"
        )
        for name in (b"a_b.example", b"a..b", b"\xff", b".", b"-", b"a" * 254, b"a\0.example"):
            self.assertEqual(self.alert(records(hello(server_name(name)))), UNRECOGNIZED_NAME, name)

    def test_malformed(self) -> None:
        """
        Each kind of malformed hello gets its own alert, as soon as it can be told.
        """
        for data, alert in (
            (b"\x80\x2e", UNEXPECTED_MESSAGE),
            (b"\x15\3\1\0\2\2\0", UNEXPECTED_MESSAGE),
            (b"\x16\2\0\0\5", PROTOCOL_VERSION),
            (b"\x16\3\1\x40\1", RECORD_OVERFLOW),
            (b"\x16\3\1\0\0", UNEXPECTED_MESSAGE),
            (b"\x16\3\1\0\4\2\0\0\0", UNEXPECTED_MESSAGE),
            (b"\x16\3\1\0\4\1\0\x40\0", ILLEGAL_PARAMETER),
            (records(b"\1\0\0\0"), DECODE_ERROR),
            (records(b"\1\0\0\x22" + bytes(34)), DECODE_ERROR),
            (records(hello(extension(0, b""))), DECODE_ERROR),
            (records(hello(extension(0, b"\0\3\0\0\0\0"))), DECODE_ERROR),
            (records(hello(server_name(b"a", 1))), DECODE_ERROR),
            (records(hello(extension(16, b"\0\2\3h"))), DECODE_ERROR),
            (records(hello(extension(16, b"\0\1\0"))), DECODE_ERROR),
            (records(hello(extension(16, b"\0\2\1h\1"))), DECODE_ERROR),
            (records(hello(extension(43, b"\3\3\4\3"))), DECODE_ERROR),
            (records(hello(extension(43, b"\4\3\4"))), DECODE_ERROR),
            (records(hello(extension(41, b"\0\5\0\5a"))), DECODE_ERROR),
            (records(hello(b"\0\x10\0")), DECODE_ERROR),
            (records(hello(b"\0\x99\0\7abc")), DECODE_ERROR),
        ):
            self.assertEqual(self.alert(data), alert, data)

    def test_bounded(self) -> None:
        """
        A hello may be as long as one record, and not be spread over records without end.
        """
        fixed = len(hello(extension(21, b"")))
        whole = records(hello(extension(21, bytes(MAX_HELLO - fixed))))
        self.assertIsInstance(read_hello(whole), Hello)
        self.assertEqual(
            self.alert(records(hello(extension(21, bytes(MAX_HELLO - fixed + 1))))),
            ILLEGAL_PARAMETER,
        )
        message = hello(extension(21, bytes(MAX_HELLO - fixed)))
        self.assertIsInstance(read_hello(records(message, MAX_HELLO // MAX_RECORDS)), Hello)
        self.assertEqual(self.alert(records(message[:MAX_RECORDS], 1)), ILLEGAL_PARAMETER)
        beyond = records(message[:100]) + b"\x16\3\1\x40\0"
        self.assertEqual(read_hello(beyond), len(beyond) + MAX_HELLO)
        beyond = records(message[:200]) + b"\x16\3\1\x40\0"
        self.assertEqual(self.alert(beyond), ILLEGAL_PARAMETER)

    @given(st.data(), st.integers(4, 300))
    def test_neverMore(self, data: st.DataObject, size: int) -> None:
        """
        Whatever bytes come: a hello, a number that is more than there is, or `BadHello`.
        """
        raw = bytearray(
            hello(
                server_name(b"a.example"), extension(43, b"\4\3\4\3\3"), extension(16, b"\0\3\2h2")
            )
        )
        for at, value in data.draw(
            st.dictionaries(st.integers(0, len(raw) - 1), st.integers(0, 255), max_size=6)
        ).items():
            raw[at] = value
        mutated = records(bytes(raw), size)
        for sent in (mutated, mutated[: data.draw(st.integers(0, len(mutated)))]):
            try:
                found = read_hello(sent)
            except BadHello as refusal:
                self.assertEqual(len(alert_record(refusal.alert)), 7)
            else:
                if isinstance(found, int):
                    self.assertGreater(found, len(sent))

    @given(st.binary(max_size=200))
    def test_noise(self, noise: bytes) -> None:
        """
        Noise, and noise behind the beginning of a hello, is refused or waited for.
        """
        for sent in (
            noise,
            records(b"\1\0" + noise) if noise else b"",
            records(hello())[:11] + noise,
        ):
            try:
                read_hello(sent)
            except BadHello:
                pass

    def test_plainHTTP(self) -> None:
        """
        Plain HTTP can be told from TLS by its first byte.
        """
        self.assertTrue(is_plain_http(b"GET / HTTP/1.1\r\n"))
        self.assertFalse(is_plain_http(hello_of(None)))
        self.assertFalse(is_plain_http(b""))

    def test_alertIsOne(self) -> None:
        """
        A client takes the alert for what it is.
        """
        incoming = ssl.MemoryBIO()
        context = ssl.create_default_context()
        client = context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="a.example")
        self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
        incoming.write(alert_record(UNRECOGNIZED_NAME))
        error = self.assertRaises(ssl.SSLError, client.do_handshake)
        self.assertIn("UNRECOGNIZED_NAME", str(error))
