"""Tickets across rotations, and across processes in `tests/live`."""

from __future__ import annotations

import ssl
from functools import cache

from twisted.trial.unittest import SynchronousTestCase

from hostedge.tls.contexts import DEFAULT, MODERN, is_resumed
from hostedge.tls.template import EPOCH, KEPT, Ring, make_ring
from hostedge.wire.client_hello import Hello, read_hello
from tests.tls.certified import certificate_context, client_context
from tests.tls.memory import shake_hands

NEW = Hello(None, (), (0x0304,), b"")
LENGTH = 6
START = 1_800_000_000 // EPOCH * EPOCH


@cache
def ring() -> Ring:
    return make_ring(DEFAULT, LENGTH)


def hello_with(context: ssl.SSLContext, session: ssl.SSLSession | None) -> Hello:
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="a.example", session=session
    )
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = read_hello(outgoing.read())
    assert isinstance(hello, Hello)
    return hello


class RingTests(SynchronousTestCase):
    """Which context for which hello."""

    def test_clock(self) -> None:
        """
        New clients get another context each epoch, the same within one; in the end all.
        """
        found = [ring().context_for(NEW, START + n * EPOCH / 2) for n in range(2 * LENGTH + 2)]
        self.assertEqual(len({id(each) for each in found}), LENGTH)
        for n in range(0, 2 * LENGTH, 2):
            self.assertIs(found[n], found[n + 1])
        self.assertIs(found[0], found[2 * LENGTH])

    def test_resumes(self) -> None:
        """
        A session is resumed as long as its key is kept, then not; TLS 1.2 and 1.3 alike.
        """
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(version=version)
            first = ring().context_for(hello_with(context, None), START)
            client, _ = shake_hands(first, context=context)
            for epochs in range(KEPT + 1):
                hello = hello_with(context, client.session)
                self.assertEqual(len(hello.ticket_key), 16)
                base = ring().context_for(hello, START + epochs * EPOCH)
                again, server = shake_hands(base, context=context, session=client.session)
                self.assertEqual(base is first, epochs < KEPT)
                self.assertEqual(again.session_reused, epochs < KEPT)
                self.assertEqual(is_resumed(server), epochs < KEPT)

    def test_strangeTickets(self) -> None:
        """
        A ticket that nobody here made, and one of an epoch to come, get the newest context.
        """
        newest = ring().context_for(NEW, START)
        unknown = Hello(None, (), (), bytes(16))
        self.assertIs(ring().context_for(unknown, START), newest)
        context = client_context()
        client, _ = shake_hands(ring().context_for(NEW, START + EPOCH), context=context)
        early = hello_with(context, client.session)
        self.assertIs(ring().context_for(early, START), newest)

    def test_otherName(self) -> None:
        """
        A session goes on under another certificate of the same policy: nobody is asked for
        a certificate of his own here, so there is nothing to get around.
        """
        context = client_context()
        base = ring().context_for(NEW, START)
        client, _ = shake_hands(base, context=context)
        again, _ = shake_hands(
            base,
            context=context,
            session=client.session,
            certificate=certificate_context("b.example"),
        )
        self.assertTrue(again.session_reused)

    def test_policiesAreApart(self) -> None:
        """
        A ticket of one policy is worth nothing in another one.
        """
        context = client_context()
        client, _ = shake_hands(ring().context_for(NEW, START), context=context)
        modern = make_ring(MODERN, 2)
        base = modern.context_for(hello_with(context, client.session), START)
        again, _ = shake_hands(base, context=context, session=client.session)
        self.assertFalse(again.session_reused)
