"""Bodies that are kept."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.spool import Disk, Spool, disk_for
from hostedge.net.descriptors import Files


class Client:
    """For whom bodies are kept."""

    kept = 0


class SpoolTests(SynchronousTestCase):
    """What goes in comes out."""

    @given(
        st.lists(st.one_of(st.binary(max_size=40), st.integers(1, 50)), max_size=30),
        st.integers(0, 60),
    )
    def test_sameBytes(self, steps: list[bytes | int], memory: int) -> None:
        """However appending and reading take turns, the bytes are the same, and again."""
        client, disk = Client(), Disk(10_000, Files())
        spool = Spool(memory, 1000, client, disk)
        put = got = b""
        for step in steps:
            if isinstance(step, bytes):
                spool.append(step)
                put += step
            else:
                got += spool.read(step)
            self.assertEqual((spool.size, spool.unread), (len(put), len(put) - len(got)))
            self.assertEqual(
                (client.kept + disk.size, client.kept), (len(put), min(len(put), memory))
            )
            self.assertEqual(disk.files.count, len(put) > memory)
        while piece := spool.read(7):
            got += piece
        self.assertEqual(got, put)
        spool.rewind()
        again = b""
        while piece := spool.read(1000):
            again += piece
        self.assertEqual(again, put)
        for _ in range(2):
            spool.close()
            self.assertEqual((client.kept, disk.size, disk.files.count), (0, 0, 0))

    def test_reset(self) -> None:
        """After a reset it is empty and takes more."""
        disk = Disk(8, Files())
        spool = Spool(2, 8, Client(), disk)
        spool.append(b"12345678")
        self.assertTrue(spool.is_full)
        spool.reset()
        self.assertEqual((spool.size, spool.read(9)), (0, b""))
        self.assertEqual((disk.size, disk.files.count), (0, 1))
        spool.append(b"abcd")
        self.assertEqual(spool.read(2) + spool.read(9), b"abcd")
        spool.close()

    def test_oneHolder(self) -> None:
        """Bodies of one client share its memory; whoever comes late goes to disk at once."""
        client, disk = Client(), Disk(1000, Files())
        first, second, third = (Spool(10, 100, client, disk) for _ in range(3))
        for spool in (first, second, third):
            spool.append(b"12345678")
        self.assertEqual((client.kept, disk.size, disk.files.count), (10, 14, 2))
        self.assertEqual(
            [each.read(99) + each.read(99) for each in (first, second, third)], [b"12345678"] * 3
        )
        first.close()
        self.assertEqual(client.kept, 2)
        Spool(10, 100, client, disk).append(b"123456789")
        del second, third, spool
        # what was forgotten is given back
        self.assertEqual((client.kept, disk.size, disk.files.count), (0, 0, 0))

    def test_quota(self) -> None:
        """Beyond what all may have on disk there is no room, until one is done."""
        disk = Disk(10, Files())
        first, second = Spool(0, 100, Client(), disk), Spool(0, 100, Client(), disk)
        first.append(b"12345678")
        with self.assertRaises(OSError) as caught:
            second.append(b"123")
        self.assertEqual(caught.exception.errno, errno.EDQUOT)
        self.assertEqual((second.size, disk.size), (0, 8))
        first.close()
        second.append(b"123")
        self.assertEqual(second.read(9), b"123")
        second.close()

    def test_noDescriptor(self) -> None:
        """Where no file can be opened nothing of the piece is kept."""
        client, disk = Client(), Disk(1000, Files())
        spool = Spool(4, 100, client, disk)
        before = tempfile.tempdir
        self.addCleanup(setattr, tempfile, "tempdir", before)
        tempfile.tempdir = "/proc/self/nowhere"
        with self.assertRaises(OSError):
            spool.append(b"12345678")
        self.assertEqual((spool.size, client.kept, disk.size, disk.files.count), (0, 0, 0, 0))

    def test_diskFor(self) -> None:
        """Edges share half of what is free."""
        one, four = disk_for(Path("/tmp"), 1), disk_for(Path("/tmp"), 4)
        self.assertGreater(one, 0)
        self.assertAlmostEqual(four / one, 0.25, 2)
