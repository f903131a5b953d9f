"""
Tests for `hostedge.net.page`.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.page import PLACES, SharedPage, create_shared


class SharedPageTests(SynchronousTestCase):
    """One page seen by several processes; here through several maps of it."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_freshPageIsEmpty(self) -> None:
        """
        Nobody is counted before an edge has put its number.
        """
        self.assertEqual(SharedPage.create(self.path).counts(), [])

    def test_whatOnePutsTheOthersSee(self) -> None:
        """
        A number is visible through every map; clearing takes the edge out.
        """
        keeper, edge = SharedPage.create(self.path), SharedPage.open(self.path)
        edge.put(0, 12)
        edge.put(PLACES - 1, 3)
        self.assertEqual(keeper.counts(), [12, 3])
        keeper.clear(0)
        self.assertEqual(edge.counts(), [3])

    def test_leaving(self) -> None:
        """
        An edge that takes in no more lives, but what it holds is compared with nobody's.
        """
        page = SharedPage.create(self.path)
        page.put(0, 12)
        page.put_leaving(3, 0)
        page.put_leaving(4, 9)
        self.assertEqual((page.counts(), page.living()), ([12], [0, 3, 4]))
        page.clear(4)
        self.assertEqual(page.living(), [0, 3])

    def test_anotherSize(self) -> None:
        """
        A file of another size, or an empty one, is replaced; who has mapped it keeps what it has.
        """
        before = create_shared(self.path, 8, b"abc")
        self.assertEqual(create_shared(self.path, 8, b"xyz")[:], b"abc" + bytes(5))
        after = create_shared(self.path, 16, b"xyz")
        self.assertEqual((before[:3], after[:]), (b"abc", b"xyz" + bytes(13)))
        self.path.write_bytes(b"")
        self.assertEqual(create_shared(self.path, 4, b"q")[:], b"q" + bytes(3))

    def test_nextKeeperKeepsTheCounts(self) -> None:
        """
        A keeper that takes over does not forget the edges that live on.
        """
        SharedPage.create(self.path).put(1, 5)
        self.assertEqual(SharedPage.create(self.path).counts(), [5])

    def test_withoutKeeperThereIsNoPage(self) -> None:
        """
        Opening what nobody made fails.
        """
        self.assertRaises(FileNotFoundError, SharedPage.open, self.path)
