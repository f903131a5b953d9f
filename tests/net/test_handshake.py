"""From the first byte on a TLS port to a protocol, an alert, or nothing."""

from __future__ import annotations

import socket
import ssl
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.handshake import Opening
from hostedge.tls.certificates import UNKNOWN, WITHOUT
from hostedge.wire.client_hello import alert_record
from tests.tls.certified import certificate_context, client_context, hello_of
from tests.tls.served import Port


class Later:
    """Certificates that take as long as the test wants."""

    def __init__(self) -> None:
        self.asked: list[Deferred[object]] = []
        self.cancelled = 0

    def find(self, name: str | None) -> Deferred[object]:
        answer: Deferred[object] = Deferred(lambda _: self._cancel())
        self.asked.append(answer)
        return answer

    def _cancel(self) -> None:
        self.cancelled += 1


class Failing:
    """Certificates whose store is broken."""

    def find(self, name: str | None) -> object:
        raise LookupError("the disk is gone")


class HandshakeTests(SynchronousTestCase):
    """What becomes of a connection."""

    def test_facts(self) -> None:
        """
        The protocol finds on its transport who is there and what was agreed on.
        """
        port = Port(self)
        client, protocol = port.open("a.example", client_context(("h2", "http/1.1")))
        transport = protocol.transport
        self.assertEqual(transport.server_name, "a.example")
        self.assertEqual(transport.facts.version, "TLSv1.3")
        self.assertEqual(transport.facts.cipher, client.cipher()[0])  # type: ignore[index]
        self.assertEqual(transport.facts.alpn, b"http/1.1")
        self.assertFalse(transport.facts.resumed)
        self.assertEqual(transport.getPeer().port, client.getsockname()[1])
        self.assertEqual(transport.getHost().port, client.getpeername()[1])
        self.assertTrue(transport.getTcpNoDelay())
        self.assertEqual(port.counted(), {"tls_handshakes": 1})
        self.assertEqual((port.wheel.watched, port.abandoned), ([], 0))

    def test_versions(self) -> None:
        """
        TLS 1.2 works with the suites that keep secrets, older versions get their alert.
        """
        port = Port(self)
        client, _ = port.open(context=client_context(version=ssl.TLSVersion.TLSv1_2))
        self.assertEqual(client.cipher()[0][:11], "ECDHE-ECDSA")  # type: ignore[index]
        old = client_context()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        error = self.assertRaises(ssl.SSLError, port.open, "a.example", old)
        self.assertIn("PROTOCOL_VERSION", str(error))
        self.assertEqual(port.counted(), {"tls_handshakes": 1, "tls_older": 1, "tls_failed": 1})
        self.assertEqual(port.abandoned, 1)

    def test_namedNobody(self) -> None:
        """
        Without a server name the node's own certificate answers.
        """
        port = Port(self)
        client, protocol = port.open(None)
        self.assertEqual(client.getpeercert()["subjectAltName"], (("DNS", "node.example"),))
        self.assertIsNone(protocol.transport.server_name)

    def test_refusals(self) -> None:
        """
        What cannot be answered gets its alert in plain text, and one counter.
        """
        for name, alpn, reason, counter in (
            ("nobody.example", (), "unrecognized name", "tls_unknown_name"),
            ("a.example", ("spdy/3",), "no application protocol", "tls_no_protocol"),
        ):
            port = Port(self)
            context = client_context(alpn)
            error = self.assertRaises(ssl.SSLError, port.open, name, context)
            self.assertIn(reason, str(error).lower().replace("_", " "))
            self.assertEqual(port.counted(), {counter: 1})
            self.assertEqual((port.wheel.watched, port.abandoned, port.protocols), ([], 1, []))

    def test_notTLS(self) -> None:
        """
        Garbage gets an alert, plain HTTP an answer; both see a clean end, no reset.
        """
        for said, answer, counter in (
            (b"\x16\2\0\0\5hello", alert_record(70), "tls_refused"),
            (b"\0" * 3000, alert_record(10), "tls_refused"),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400 ", "tls_plain"),
        ):
            port = Port(self)
            client = port.connect()
            client.send(said)
            got = port.receive(client)
            self.assertEqual(got[: len(answer)], answer)
            self.assertEqual(port.receive(client), b"")
            self.assertEqual(port.counted(), {counter: 1})
            self.assertEqual(port.abandoned, 1)

    def test_everySplit(self) -> None:
        """
        A hello is understood wherever its segments were cut.
        """
        hello = hello_of("nobody.example")
        port = Port(self)
        for at in [*range(1, 12), *range(12, len(hello), 97), len(hello) - 1]:
            client = port.connect()
            client.send(hello[:at])
            port.turning.turn(2)
            self.assertEqual(len(port.wheel.watched), 1)
            client.send(hello[at:])
            self.assertEqual(port.receive(client), alert_record(112), at)
            client.close()

    def test_heldOpen(self) -> None:
        """
        Half a hello that is held open wakes nobody, whatever of it is there.
        """
        hello = hello_of("a.example")
        for at in (1, 4, 5, 700, len(hello) - 1):
            port = Port(self)
            client = port.connect()
            client.send(hello[:at])
            (opening,) = port.wheel.watched
            assert isinstance(opening, Opening)
            woken = 0
            read = opening.doRead

            def counting() -> None:
                nonlocal woken
                woken += 1
                read()  # noqa: B023

            opening.doRead = counting  # type: ignore[method-assign]
            port.turning.turn(30, 0.002)
            self.assertLessEqual(woken, 2)
            client.close()
            port.until(lambda: port.abandoned)  # noqa: B023
            self.assertLessEqual(woken, 3)
            self.assertEqual(port.counted(), {"tls_gone": 1})

    def test_ends(self) -> None:
        """
        A client that closes or resets, before and in the middle of the handshake, is gone.
        """
        hello = hello_of("a.example")
        for sent in (b"", hello[:100], hello):
            for linger in (None, struct.pack("ii", 1, 0)):
                port = Port(self)
                client = port.connect()
                client.send(sent)
                port.turning.turn(3)
                if linger:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                elif sent == hello:
                    # so that what the server has said is no reason for a reset
                    port.receive(client)
                client.close()
                port.until(lambda: port.abandoned)  # noqa: B023
                self.assertEqual(port.counted(), {"tls_gone": 1}, (sent, linger))
                self.assertEqual(port.wheel.watched, [])

    def test_nonsenseInTheMiddle(self) -> None:
        """
        Nonsense after the hello is a failed handshake.
        """
        port = Port(self)
        client = port.connect()
        client.send(hello_of("a.example") + b"\x16\3\3\0\5nonse")
        port.until(lambda: port.abandoned)
        self.assertEqual(port.counted(), {"tls_failed": 1})

    def test_deadlines(self) -> None:
        """
        Hello and handshake have absolute ends; the second begins when the first is over.
        """
        port = Port(self)
        client = port.connect()
        (timed,) = port.wheel.watched
        hello = hello_of("a.example")
        before = timed.deadline
        client.send(hello[:50])
        port.turning.turn(2)
        self.assertEqual(timed.deadline, before)
        client.send(hello[50:])
        port.until(lambda: timed.deadline > before + 4)
        self.assertLess(timed.deadline, before + 6)
        timed.timed_out()
        self.assertEqual((port.counted(), port.abandoned), ({"tls_timeout": 1}, 1))
        self.assertEqual(port.wheel.watched, [])
        timed.timed_out()
        self.assertEqual(port.abandoned, 1)

    def test_certificateComesLater(self) -> None:
        """
        The handshake waits for the certificate, without looking at the socket meanwhile.
        """
        later = Later()
        port = Port(self, later)
        client = port.wrap(port.connect())
        self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
        port.until(lambda: later.asked)
        self.assertEqual(port.turning.reactor.getReaders(), [port.turning.reactor.waker])
        later.asked[0].callback(certificate_context("a.example"))
        port.shake(client)
        port.until(lambda: port.protocols)
        self.assertEqual(port.counted(), {"tls_handshakes": 1})

    def test_certificateDoesNotCome(self) -> None:
        """
        A refusal, a failure and a timeout each end the wait; an answer after that is late.
        """
        for end, counter in (
            (lambda answer, timed: answer.callback(WITHOUT), "tls_no_certificate"),
            (lambda answer, timed: answer.callback(UNKNOWN), "tls_unknown_name"),
            (lambda answer, timed: answer.errback(LookupError()), "tls_no_certificate"),
            (lambda answer, timed: timed.timed_out(), "tls_timeout"),
        ):
            later = Later()
            port = Port(self, later)
            client = port.connect()
            client.send(hello_of("a.example"))
            port.until(lambda: later.asked)  # noqa: B023
            end(later.asked[0], port.wheel.watched[0])
            self.assertEqual((port.counted(), port.abandoned), ({counter: 1}, 1))
            self.assertEqual(later.cancelled, counter == "tls_timeout")
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_ourFault(self) -> None:
        """
        A store that fails is logged and the client gets an alert; the reactor never sees it.
        """
        port = Port(self, Failing())
        client = port.connect()
        client.send(hello_of("a.example"))
        self.assertEqual(port.receive(client), alert_record(80))
        self.assertEqual(port.counted(), {"tls_no_certificate": 1})
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_protocolFails(self) -> None:
        """
        A protocol that cannot begin is logged, and its connection aborted.
        """
        port = Port(self)
        client = port.wrap(port.connect())
        make = port._make

        def broken(alpn: bytes) -> object:
            protocol = make()
            protocol.connectionMade = lambda: 1 / 0  # type: ignore[method-assign]
            return protocol

        object.__setattr__(port.terms, "make_protocol", broken)
        port.shake(client)
        port.until(lambda: port.protocols and port.protocols[0].lost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(port.abandoned, 0)

    def test_slowClient(self) -> None:
        """
        A handshake goes through byte by byte, and nothing behind it is lost.
        """
        port = Port(self)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
        client = port.connect()
        done = False
        while not done:
            try:
                session.do_handshake()
                session.write(b"first")
                done = True
            except ssl.SSLWantReadError:
                pass
            said = outgoing.read()
            for at in range(0, len(said), 53):
                client.send(said[at : at + 53])
                port.turning.turn(2)
            if not done:
                incoming.write(port.receive(client))
        port.until(lambda: port.protocols and port.protocols[0].data)
        self.assertEqual(port.protocols[0].data, b"first")

    @settings(max_examples=30)
    @given(st.binary(min_size=1, max_size=400))
    def test_noise(self, noise: bytes) -> None:
        """
        Noise never becomes a connection nor a logged failure, and is counted once.
        """
        port = Port(self, ring=_RING)
        client = port.connect()
        client.send(noise)
        client.shutdown(socket.SHUT_WR)
        port.until(lambda: port.abandoned)
        self.assertEqual(sum(port.counted().values()), 1)
        client.close()


class _NoRing:
    def context_for(self, hello: object, now: float) -> SSL.Context:
        raise AssertionError


_RING: object = _NoRing()
