"""What may be sent twice."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.retry import MAX_ATTEMPTS, may_connect_again, may_send_again


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
