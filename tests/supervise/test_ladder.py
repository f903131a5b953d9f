"""
Tests for `hostedge.supervise.ladder`.
"""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.ladder import CORE, Found, mount_of, own_group, rung

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
UNIFIED = "28 22 0:25 /a /mnt/c\\040g rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n"

ALL = Found(
    Path("/c"), Path("/c/own"), True, frozenset(CORE), frozenset({"cpu", "io", "memory", "pids"})
)


class RungTests(SynchronousTestCase):
    def test_nothing(self):
        """
        Without v2, without the right to write, or without kill: nothing, and it is said why.
        """
        for found, why in (
            (Found(), "no cgroup v2"),
            (evolve(ALL, own=None), "not this user's"),
            (evolve(ALL, made=False), "not this user's"),
            (evolve(ALL, files=frozenset(CORE) - {"cgroup.kill"}), "without cgroup.kill"),
        ):
            there = rung(found)
            self.assertEqual((there.level, there.base, there.controllers), (0, None, frozenset()))
            self.assertIn(why, there.text)
            self.assertTrue(there.todo)

    def test_core(self):
        """
        Kill, freeze and events are there without any controller; those that are there are used.
        """
        for controllers, missing in (({"hugetlb"}, "cpu, io, memory, pids"), ({"cpu"}, "io")):
            there = rung(evolve(ALL, controllers=frozenset(controllers), systemd=True))
            self.assertEqual((there.level, there.base), (1, Path("/c/own")))
            self.assertIn(f"no {missing}", there.text)
            self.assertEqual(there.controllers, frozenset(controllers) - {"hugetlb"})

    def test_limits(self):
        """
        With all four controllers everything can be limited, also below systemd.
        """
        self.assertEqual(rung(ALL).level, 2)
        self.assertEqual(rung(evolve(ALL, systemd=True)).level, 3)
        self.assertEqual(rung(ALL).controllers, ALL.controllers)


class PlaceTests(SynchronousTestCase):
    def test_mount(self):
        """
        V2 is found beside v1, and under a name with spaces.
        """
        self.assertEqual(mount_of(HYBRID), (Path("/sys/fs/cgroup/unified"), "/"))
        self.assertEqual(mount_of(UNIFIED), (Path("/mnt/c g"), "/a"))
        self.assertIsNone(mount_of("".join(HYBRID.splitlines(True)[:2])))
        self.assertIsNone(mount_of("broken - cgroup2\n - cgroup2\n\n"))

    def test_own(self):
        """
        The own group is the one of v2, below what the mount shows.
        """
        cgroups = "4:memory:/x\n0::/a/b\n"
        for shown, own in (("/", "/m/a/b"), ("/a", "/m/b"), ("/a/b", "/m"), ("/c", "/m/a/b")):
            self.assertEqual(own_group(cgroups, Path("/m"), shown), Path(own))
        self.assertEqual(own_group("0::/\n", Path("/m"), "/"), Path("/m"))
        self.assertIsNone(own_group("4:memory:/x\n", Path("/m"), "/"))
