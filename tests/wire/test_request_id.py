"""The ids of `hostedge.wire.request_id`."""

from uuid import UUID

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.request_id import RequestIds


class RequestIdTests(SynchronousTestCase):
    """UUIDv7."""

    def test_form(self) -> None:
        """
        An id is a UUID of version 7 with the time in front.
        """
        clock = Clock()
        clock.advance(1_700_000_000.123)
        ids = RequestIds(clock.seconds)
        for _ in range(50):
            clock.advance(0.001)
            made = UUID(ids.make())
            self.assertEqual((made.version, made.variant), (7, "specified in RFC 4122"))
            self.assertEqual(made.int >> 80, int(clock.seconds() * 1000))

    def test_sortedByTime(self) -> None:
        """
        Later ids sort behind earlier ones.
        """
        clock = Clock()
        ids = RequestIds(clock.seconds)
        made = []
        for _ in range(20):
            clock.advance(0.001)
            made.append(ids.make())
        self.assertEqual(made, sorted(made))

    def test_unique(self) -> None:
        """
        Two makers at the same moment never agree.
        """
        clock = Clock()
        one, other = RequestIds(clock.seconds), RequestIds(clock.seconds)
        made = {maker.make() for _ in range(2000) for maker in (one, other)}
        self.assertEqual(len(made), 4000)
