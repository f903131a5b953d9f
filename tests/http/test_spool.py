"""Bodies that are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.spool import Spool


class SpoolTests(SynchronousTestCase):
    """What goes in comes out."""

    @given(
        st.lists(st.one_of(st.binary(max_size=40), st.integers(1, 50)), max_size=30),
        st.integers(0, 60),
    )
    def test_sameBytes(self, steps: list[bytes | int], memory: int) -> None:
        """However appending and reading take turns, the bytes are the same, and again."""
        spool = Spool(memory, 1000)
        put = got = b""
        for step in steps:
            if isinstance(step, bytes):
                spool.append(step)
                put += step
            else:
                got += spool.read(step)
            self.assertEqual((spool.size, spool.unread), (len(put), len(put) - len(got)))
        while piece := spool.read(7):
            got += piece
        self.assertEqual(got, put)
        spool.rewind()
        again = b""
        while piece := spool.read(1000):
            again += piece
        self.assertEqual(again, put)
        spool.close()

    def test_reset(self) -> None:
        """After a reset it is empty and takes more."""
        spool = Spool(2, 8)
        spool.append(b"12345678")
        self.assertTrue(spool.is_full)
        spool.reset()
        self.assertEqual((spool.size, spool.read(9)), (0, b""))
        spool.append(b"abcd")
        self.assertEqual(spool.read(2) + spool.read(9), b"abcd")
        spool.close()
