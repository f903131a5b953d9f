"""What may be sent twice."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.retry import MAX_ATTEMPTS, may_connect_again, may_send_again, pause


class RetryTests(SynchronousTestCase):
    """The table, row by row."""

    def test_nothingSent(self) -> None:
        """Connecting may be tried again a few times."""
        self.assertTrue(may_connect_again(1))
        self.assertFalse(may_connect_again(MAX_ATTEMPTS))

    def test_reused(self) -> None:
        """On a connection that was used before, what is idempotent goes once more."""
        for method, wanted in ((b"GET", True), (b"PUT", True), (b"POST", False), (b"PATCH", False)):
            self.assertIs(
                may_send_again(method, attempts=1, answered=False, reused=True, replayable=True),
                wanted,
            )

    def test_fresh(self) -> None:
        """On a fresh connection only what is safe."""
        for method, wanted in ((b"HEAD", True), (b"DELETE", False), (b"POST", False)):
            self.assertIs(
                may_send_again(method, attempts=1, answered=False, reused=False, replayable=True),
                wanted,
            )

    def test_withBody(self) -> None:
        """A body that means nothing to the method may mean anything to the app; PUT's is clear."""
        for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"POST", b"PUT"):
            for reused in (True, False):
                self.assertIs(
                    may_send_again(
                        method,
                        attempts=1,
                        answered=False,
                        reused=reused,
                        replayable=True,
                        has_body=True,
                    ),
                    method == b"PUT" and reused,
                )

    def test_pauses(self) -> None:
        """A tenth of a second, then four, half of it more or less."""
        for failures, least, most in ((1, 0.05, 0.15), (2, 0.2, 0.6), (9, 0.2, 0.6)):
            self.assertAlmostEqual(pause(failures, 0.0), least)
            self.assertAlmostEqual(pause(failures, 1.0), most)

    def test_never(self) -> None:
        """Never after an answer began, never a third time, never without the whole request."""
        for attempts, answered, replayable in (
            (1, True, True),
            (2, False, True),
            (1, False, False),
        ):
            self.assertFalse(
                may_send_again(
                    b"GET",
                    attempts=attempts,
                    answered=answered,
                    reused=True,
                    replayable=replayable,
                )  # fmt: skip
            )
