"""Tests for `hostedge.dns.packets`."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from hostedge.dns.packets import OVERHEAD, Packets


@frozen
class Made:
    """An answer, by the zones that it was made of."""

    zones: tuple[str, ...]
    firm: bool = False


class PacketsTests(SynchronousTestCase):
    """`Packets`."""

    def test_bounded(self) -> None:
        """
        However many come, no more are kept than two generations hold.
        """
        packets: Packets[Made] = Packets(10 * (OVERHEAD + 104))
        for number in range(1000):
            packets.put(b"%04d" % number, Made(("a",)), 100)
            self.assertLessEqual(len(packets), 20)
        self.assertIsNone(packets.get(b"0000"))
        self.assertIsNotNone(packets.get(b"0999"))

    def test_sizeCounts(self) -> None:
        """
        One large answer takes the room of many.
        """
        packets: Packets[Made] = Packets(1000)
        packets.put(b"large", Made(("a",)), 10_000)
        packets.put(b"next", Made(("a",)), 10)
        self.assertEqual(list(packets.young), [b"next"])

    def test_whatIsUsedStays(self) -> None:
        """
        What is asked for once a generation outlives any number of others.
        """
        packets: Packets[Made] = Packets(10 * (OVERHEAD + 104))
        packets.put(b"used", Made(("a",)), 100)
        young = packets.young
        for number in range(1000):
            packets.put(b"%04d" % number, Made(("b",)), 100)
            self.assertIsNotNone(packets.get(b"used"))
        packets.drop("a")
        self.assertIsNone(packets.get(b"used"))
        self.assertIs(packets.young, young)

    def test_drop(self) -> None:
        """
        A zone's answers go, in both generations; so do those that it only had a part in.
        """
        packets: Packets[Made] = Packets(4 * (OVERHEAD + 101))
        for key, zones in ((b"1", "a"), (b"2", "ab"), (b"3", "b"), (b"4", "c"), (b"5", "a")):
            packets.put(key, Made(tuple(zones)), 100)
        self.assertEqual(list(packets.young), [b"5"])
        packets.drop("a")
        left = [key for key in (b"1", b"2", b"3", b"4", b"5") if packets.get(key)]
        self.assertEqual(left, [b"3", b"4"])
        packets.drop("nobody's")
        packets.clear()
        self.assertEqual(len(packets), 0)

    def test_dropSome(self) -> None:
        """
        Of what is firm only the keys given go, of the rest everything that the zone had a part
        in; in both generations.
        """
        packets: Packets[Made] = Packets(3 * (OVERHEAD + 101))
        for key, zone, firm in (
            (b"1", "a", True),
            (b"2", "a", True),
            (b"3", "a", False),
            (b"4", "a", True),
            (b"5", "a", False),
            (b"6", "b", False),
        ):
            packets.put(key, Made((zone,), firm), 100)
        self.assertEqual(len(packets), 6)
        packets.drop_some("c", [b"6"])
        packets.drop_some("a", [b"1", b"4", b"9"])
        self.assertEqual([key for key in b"123456" if packets.get(b"%c" % key)], [*b"26"])
