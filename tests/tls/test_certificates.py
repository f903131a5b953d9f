"""Which certificate an edge finds for a name, and when it asks for one."""

from __future__ import annotations

import gc

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from hostedge.store.reader import IssuedCertificate
from hostedge.tls.certificates import (
    ASK_AGAIN,
    EXPIRES_SOON,
    UNKNOWN,
    WITHOUT,
    Answer,
    Certificates,
)
from hostedge.tls.contexts import DEFAULT
from tests.tls.certified import Stored, issue, issued, now


class CertificatesTests(SynchronousTestCase):
    """Found, signed, refused, forgotten."""

    def setUp(self) -> None:
        self.now = now()
        self.asked: list[tuple[str, Deferred[str]]] = []
        self.store = Stored("a.example", "b.example", "*.wild.example")
        self.certificates = self.make()

    def make(self, size: int = 1000) -> Certificates:
        return Certificates(
            self.store,
            self.certify,
            "node.example",
            DEFAULT,
            (b"http/1.1",),
            lambda: self.now,
            size,
        )

    def certify(self, name: str) -> Deferred[str]:
        answer: Deferred[str] = Deferred()
        self.asked.append((name, answer))
        return answer

    def waiting(self, name: str | None) -> Deferred[Answer]:
        found = self.certificates.find(name)
        assert isinstance(found, Deferred)
        self.assertNoResult(found)
        return found

    def context(self, name: str | None) -> SSL.Context:
        found = self.certificates.find(name)
        assert isinstance(found, SSL.Context)
        return found

    def put(self, *names: str) -> None:
        for name in names:
            self.store.certificates[name] = issued(name)

    def test_found(self) -> None:
        """
        A certificate in the store is used at once; the second time without the store.
        """
        self.put("a.example")
        context = self.context("a.example")
        reads = self.store.reads
        self.assertIs(self.context("a.example"), context)
        self.assertEqual((self.store.reads, self.asked), (reads, []))

    def test_unknown(self) -> None:
        """
        A name that nobody has is refused, also when there is a certificate for it.
        """
        self.put("gone.example")
        for name in ("gone.example", "www.a.example", "x.y.wild.example", "wild.example"):
            self.assertIs(self.certificates.find(name), UNKNOWN)
        self.assertEqual(len(self.certificates), 0)

    def test_nodesOwnName(self) -> None:
        """
        Who names nobody gets the node's certificate, as does who names the node.
        """
        waiting = self.waiting(None)
        self.assertEqual([name for name, _ in self.asked], ["node.example"])
        self.put("node.example")
        self.asked[0][1].callback("")
        context = self.successResultOf(waiting)
        self.assertIs(self.context("node.example"), context)

    def test_signedOnce(self) -> None:
        """
        However many ask for a name without certificate, control is asked once for it.
        """
        waiting = [self.waiting("a.example") for _ in range(5)]
        self.waiting("b.example")
        self.assertEqual([name for name, _ in self.asked], ["a.example", "b.example"])
        self.put("a.example")
        self.asked[0][1].callback("")
        contexts = {id(self.successResultOf(each)) for each in waiting}
        self.assertEqual(contexts, {id(self.context("a.example"))})

    def test_refused(self) -> None:
        """
        A name that control refuses, or cannot be asked about, is not asked about again soon.
        """
        waiting = [self.waiting("a.example"), self.waiting("a.example")]
        self.asked[0][1].callback("not today")
        for each in waiting:
            self.assertIs(self.successResultOf(each), WITHOUT)
        self.assertIs(self.certificates.find("a.example"), WITHOUT)
        self.now += ASK_AGAIN + 1
        again = self.waiting("a.example")
        self.asked[1][1].errback(ConnectionLost())
        self.assertIs(self.successResultOf(again), WITHOUT)
        self.assertEqual(len(self.flushLoggedErrors(ConnectionLost)), 1)
        self.assertEqual(len(self.asked), 2)
        self.certificates.changed()
        self.waiting("a.example")

    def test_refusedAtOnce(self) -> None:
        """
        A link that is down answers before it is waited for.
        """
        certificates = Certificates(
            self.store,
            lambda name: fail(ConnectionLost()),
            "node.example",
            DEFAULT,
            (),
            lambda: self.now,
        )
        found = certificates.find("a.example")
        assert isinstance(found, Deferred)
        self.assertIs(self.successResultOf(found), WITHOUT)
        self.assertEqual(len(self.flushLoggedErrors(ConnectionLost)), 1)

    def test_wildcard(self) -> None:
        """
        All names under a wildcard share its certificate; only the wildcard is signed.
        """
        waiting = [self.waiting(f"n{n}.wild.example") for n in range(3)]
        self.assertEqual([name for name, _ in self.asked], ["*.wild.example"])
        self.put("*.wild.example")
        self.asked[0][1].callback("")
        (context,) = {self.successResultOf(each) for each in waiting}
        for n in range(50):
            self.assertIs(self.context(f"other{n}.wild.example"), context)
        self.assertEqual((len(self.certificates), len(self.asked)), (1, 1))

    def test_wildcardOfSomebodyElse(self) -> None:
        """
        A name that a domain has for itself never gets the certificate of the wildcard above.
        """
        self.store.names.add("own.wild.example")
        self.put("*.wild.example")
        self.context("x.wild.example")
        self.waiting("own.wild.example")
        self.assertEqual([name for name, _ in self.asked], ["own.wild.example"])

    def test_expires(self) -> None:
        """
        A certificate that is about to end is replaced; as long as there is no other, it serves.
        """
        self.put("a.example")
        old = self.context("a.example")
        self.now = issued("a.example").not_after - EXPIRES_SOON + 1
        waiting = self.waiting("a.example")
        self.asked[0][1].callback("not today")
        self.assertIs(self.successResultOf(waiting), old)
        self.assertIs(self.context("a.example"), old)
        self.now += ASK_AGAIN + 1
        waiting = self.waiting("a.example")
        fresh = issue("a.example")
        self.store.certificates["a.example"] = IssuedCertificate(
            fresh.chain, fresh.key, self.now + 90 * 86_400
        )
        self.asked[1][1].callback("")
        new = self.successResultOf(waiting)
        self.assertIsNot(new, old)
        self.assertIs(self.context("a.example"), new)
        self.assertEqual(len(self.asked), 2)

    def test_changed(self) -> None:
        """
        After a change the store has the word: what is the same stays, what is not goes.
        """
        self.put("a.example", "b.example")
        a, b = self.context("a.example"), self.context("b.example")
        self.store.certificates["a.example"] = issue("a.example")
        self.store.names.discard("b.example")
        self.assertIs(self.context("a.example"), a)
        self.certificates.changed(["domain/b.example"])
        self.assertIsNot(self.context("a.example"), a)
        self.assertIs(self.certificates.find("b.example"), UNKNOWN)
        self.store.names.add("b.example")
        self.assertIs(self.context("b.example"), b)

    def test_changedWhileWaiting(self) -> None:
        """
        What is used after a wait is what the store has then.
        """
        waiting = self.waiting("a.example")
        self.put("a.example")
        self.certificates.changed()
        context = self.context("a.example")
        self.asked[0][1].callback("")
        self.assertIs(self.successResultOf(waiting), context)

    def test_bounded(self) -> None:
        """
        The least recently used context goes first, and its names with it.
        """
        self.certificates = self.make(2)
        names = ("a.example", "b.example", "node.example")
        self.put(*names)
        a = self.context("a.example")
        b = id(self.context("b.example"))
        self.assertIs(self.context("a.example"), a)
        self.context("node.example")
        gc.collect()
        self.assertEqual(len(self.certificates), 2)
        reads = self.store.reads
        self.assertIs(self.context("a.example"), a)
        self.assertEqual(self.store.reads, reads)
        self.context("b.example")
        self.assertGreater(self.store.reads, reads)
        self.assertIsInstance(b, int)

    def test_unusable(self) -> None:
        """
        A certificate that cannot be used is logged and is none.
        """
        self.store.certificates["a.example"] = IssuedCertificate(b"x", b"y", self.now + 10**7)
        self.assertIs(self.certificates.find("a.example"), WITHOUT)

    def test_gaveUp(self) -> None:
        """
        Who waits no longer is forgotten; the others get their answer.
        """
        gone, stays = self.waiting("a.example"), self.waiting("a.example")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.put("a.example")
        self.asked[0][1].callback("")
        self.assertIsInstance(self.successResultOf(stays), SSL.Context)

    def test_explain(self) -> None:
        """
        Each answer has its reason, found in the same way.
        """
        explain = self.certificates.explain
        self.assertIn("unrecognized_name", explain("nobody.example"))
        self.assertIn("unrecognized_name", explain("a_b"))
        self.assertIn("control signs one for a.example", explain("a.example"))
        self.assertIn("*.wild.example", explain("x.wild.example"))
        self.put("a.example", "node.example")
        self.assertEqual(explain("A.example."), "in the store")
        self.assertEqual(explain("127.0.0.1"), "in the store")
        self.context("a.example")
        self.assertEqual(explain("a.example"), "in use")
        self.now = issued("a.example").not_after
        self.assertIn("expire", explain("a.example"))
        self.assertEqual(self.asked, [])
