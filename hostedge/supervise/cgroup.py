"""
Groups of the kernel for accounts and for each generation of their daemons.

In:  the keeper makes a `Groups` of what `look` has found, and a leaf for each launch;
     `cli.kernel_checks` only looks.
Out: folders and writes below `hostedge-tenants.slice`; what the kernel counts, as values.
Spec: the kernel's Documentation/admin-guide/cgroup-v2.rst.

    <base>/hostedge-tenants.slice/node-<name>/account-<name>/app-<name>-<generation>/

Processes are in leaves only. A leaf is made for one launch and removed when it is empty; one that
does not get empty is left alone and never used again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from attrs import frozen

from hostedge.supervise.group_limits import AccountLimits, Files, LeafLimits, controller_of
from hostedge.supervise.ladder import Found, Rung, mount_of, own_group, rung

SLICE = "hostedge-tenants.slice"
NODE = "hostedge-node"  # where our own processes go when their group has to be empty
MAX_NAME = 200  # of 255 that a folder may have
SYSTEMD = Path("/run/systemd/system")

_LEAF = re.compile(r"app-(.+)-([0-9]+)")
_UNFIT = re.compile(rb"[^A-Za-z0-9_-]")


class Kernel:
    """The few things that are done to groups; tests put the kernel's rules on plain folders."""

    def make(self, path: Path) -> None:
        path.mkdir()

    def remove(self, path: Path) -> None:
        path.rmdir()

    def read(self, path: Path) -> str:
        return path.read_text()

    def write(self, path: Path, text: str) -> None:
        # one write(2), no truncation: these are no files
        there = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(there, text.encode())
        finally:
            os.close(there)


@frozen
class Events:
    """What the kernel tells of a group; the counts are since the group was made."""

    populated: bool
    frozen: bool
    # how often the limit was hit, and how many processes were ended for it
    oom: int = 0
    oom_kill: int = 0


@frozen
class Used:
    """What a group, or the processes of an app, take; None: nobody counts."""

    # bytes
    memory: int | None
    # seconds since the beginning
    cpu: float
    pids: int | None


def look(
    mountinfo: Path = Path("/proc/self/mountinfo"),
    cgroups: Path = Path("/proc/self/cgroup"),
    kernel: Kernel | None = None,
) -> Found:
    """What there is; to know, a group is made and removed."""
    kernel = kernel or Kernel()
    try:
        mounted = mount_of(mountinfo.read_text())
        own = own_group(cgroups.read_text(), *mounted) if mounted else None
    except OSError:
        return Found()
    if mounted is None:
        return Found()
    mount = mounted[0]
    if own is not None and not own.is_dir():
        # in a container the path may lead out of what is mounted
        own = mount
    if own is None or not os.access(own, os.W_OK) or not os.access(own / "cgroup.procs", os.W_OK):
        return Found(mount, own)
    probe = own / f"hostedge-probe.{os.getpid()}"
    try:
        try:
            kernel.make(probe)
        except FileExistsError:
            # of a process that had our pid and was killed in between
            pass
        try:
            files = frozenset(os.listdir(probe))
        finally:
            kernel.remove(probe)
        controllers = frozenset(kernel.read(own / "cgroup.controllers").split())
    except OSError:
        return Found(mount, own)
    return Found(mount, own, True, files, controllers, SYSTEMD.is_dir())


def escape(name: str) -> str:
    """
    A name as part of a folder's, the way systemd does it; two names never become one.

    Raises:
        ValueError: it would be too long, or is empty.
    """
    made = _UNFIT.sub(lambda match: b"\\x%02x" % match[0][0], os.fsencode(name)).decode()
    if not 0 < len(made) <= MAX_NAME:
        raise ValueError(f"want a name of 1 to {MAX_NAME} characters, not {name!r}")
    return made


def unescape(made: str) -> str:
    plain = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes((int(match[1], 16),)), made.encode())
    return os.fsdecode(plain)


class Group:
    """One folder; everything is asked of the kernel anew, nothing is remembered."""

    def __init__(self, path: Path, kernel: Kernel) -> None:
        self.path = path
        self._kernel = kernel

    @property
    def procs(self) -> Path:
        return self.path / "cgroup.procs"

    @property
    def inode(self) -> int:
        """
        Raises:
            FileNotFoundError: it was removed.
        """
        return self.path.stat().st_ino

    def _put(self, file: str, text: str) -> None:
        """A group that is gone has nobody in it: that is what was wanted."""
        try:
            self._kernel.write(self.path / file, text)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise

    def kill(self) -> None:
        """End every process in it and below, whatever it does at this moment."""
        self._put("cgroup.kill", "1")

    def freeze(self) -> None:
        """Nothing in it runs before `thaw`; `Events.frozen` says when that is so."""
        self._put("cgroup.freeze", "1")

    def thaw(self) -> None:
        self._put("cgroup.freeze", "0")

    def limit(self, files: Files, controllers: frozenset[str]) -> None:
        """
        Set what these controllers can limit.

        Raises:
            OSError: the kernel does not take a value.
        """
        for file, text in files.items():
            if controller_of(file) in controllers and (self.path / file).exists():
                self._kernel.write(self.path / file, text)

    def populated(self) -> bool:
        return self.events().populated

    def events(self) -> Events:
        """Of a group that is gone: nobody, and nothing counted."""
        of_group = self._numbers("cgroup.events")
        of_memory = self._numbers("memory.events")
        return Events(
            bool(of_group.get("populated")),
            bool(of_group.get("frozen")),
            of_memory.get("oom", 0),
            of_memory.get("oom_kill", 0),
        )

    def used(self) -> Used:
        cpu = self._numbers("cpu.stat").get("usage_usec", 0) / 1e6
        return Used(self._number("memory.current"), cpu, self._number("pids.current"))

    def written(self) -> int | None:
        """
        Bytes that could not be had back while it lives: its own and the kernel's for it, not what
        is cached of files. None: nobody counts.
        """
        counts = self._numbers("memory.stat")
        if "anon" not in counts:
            return None
        return counts["anon"] + counts.get("shmem", 0) + counts.get("kernel", 0)

    def pids(self) -> list[int]:
        """The processes in it, without those below."""
        return [int(pid) for pid in self._read("cgroup.procs").split()]

    def remove(self) -> None:
        """Where somebody is in it yet it stays, for a later look."""
        try:
            self._kernel.remove(self.path)
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOENT, errno.ENOTEMPTY):
                raise

    def _read(self, file: str) -> str:
        try:
            return self._kernel.read(self.path / file)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
            return ""

    def _number(self, file: str) -> int | None:
        text = self._read(file).strip()
        return int(text) if text.isdecimal() else None

    def _numbers(self, file: str) -> dict[str, int]:
        pairs = (line.split() for line in self._read(file).splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


class Groups:
    """
    All groups of the node's customers.

    The limits of an account are set with each of its leaves, and when they are changed.
    """

    def __init__(
        self, base: Path, node: str, controllers: frozenset[str], kernel: Kernel | None = None
    ) -> None:
        """
        Args:
            node: tells the nodes of one machine apart.

        Raises:
            OSError: the kernel does not let us.
        """
        self._kernel = kernel or Kernel()
        self._slice = base / SLICE
        self.path = self._slice / f"node-{escape(node)}"
        # what really can be limited
        self.controllers = self._enable(base, controllers)
        for path in (self._slice, self.path):
            self._make(path)
            self.controllers = self._enable(path, self.controllers)

    @classmethod
    def on(cls, where: Rung, node: str, kernel: Kernel | None = None) -> Groups | None:
        """None where the ladder has no rung for it."""
        if where.base is None:
            return None
        return cls(where.base, node, where.controllers, kernel)

    def close(self) -> None:
        """
        Remove what is empty; what lives on is for the keeper that comes next.

        The slice stays: another node may be about to make its own group in it.
        """
        for account in self._folders(self.path, "account-"):
            self._group(account).remove()
        self._group(self.path).remove()

    def account(self, name: str, limits: AccountLimits) -> Group:
        """
        The account's group with these limits, made if it is not there.

        Raises:
            OSError: the kernel does not let us, or does not take a value.
        """
        group = self._group(self.path / f"account-{escape(name)}")
        self._make(group.path)
        group.limit(limits.files(), self._enable(group.path, self.controllers))
        return group

    def limit(self, name: str, limits: AccountLimits) -> None:
        """
        Other limits for an account that has a group.

        Raises:
            OSError: the kernel does not let us, or does not take a value.
        """
        if (self.path / f"account-{escape(name)}").is_dir():
            self.account(name, limits)

    def leaf(
        self, account: str, app: str, generation: int, limits: AccountLimits, own: LeafLimits
    ) -> Group:
        """
        A new group for one launch.

        Raises:
            FileExistsError: somebody of an earlier life is in it.
            OSError: the kernel does not let us, or does not take a value.
        """
        above = self.account(account, limits)
        leaf = self._group(above.path / f"app-{escape(app)}-{generation}")
        # of one that was left behind nothing is taken over, not even its counts
        leaf.remove()
        self._kernel.make(leaf.path)
        try:
            leaf.limit(own.files(), self.controllers)
        except OSError:
            leaf.remove()
            raise
        return leaf

    def find(self, account: str, app: str, generation: int) -> Group | None:
        """The leaf of an earlier keeper's launch."""
        leaf = self.path / f"account-{escape(account)}" / f"app-{escape(app)}-{generation}"
        return self._group(leaf) if leaf.is_dir() else None

    def leaves(self) -> Iterator[tuple[str, str, int, Group]]:
        """Account, app and generation of each leaf that is there."""
        for account in self._folders(self.path, "account-"):
            for path in self._folders(account, "app-"):
                match = _LEAF.fullmatch(path.name)
                if match:
                    name = unescape(account.name.removeprefix("account-"))
                    yield name, unescape(match[1]), int(match[2]), self._group(path)

    def strangers(self, known: Collection[tuple[str, str, int]]) -> list[Group]:
        """
        Leaves of no generation that anybody has charge of: an earlier keeper's, after it was
        killed between making one and noting it. They are to be killed and removed.
        """
        return [leaf for *whose, leaf in self.leaves() if tuple(whose) not in known]

    def forget(self, account: str) -> None:
        """The account may have nothing running; a group that is not empty stays."""
        self._group(self.path / f"account-{escape(account)}").remove()

    def _folders(self, path: Path, prefix: str) -> list[Path]:
        try:
            return sorted(each for each in path.iterdir() if each.name.startswith(prefix))
        except FileNotFoundError:
            return []

    def _group(self, path: Path) -> Group:
        return Group(path, self._kernel)

    def _make(self, path: Path) -> None:
        try:
            self._kernel.make(path)
        except FileExistsError:
            return

    def _enable(self, path: Path, controllers: frozenset[str]) -> frozenset[str]:
        """Let groups below be limited; those of the controllers for which that worked."""
        file = path / "cgroup.subtree_control"
        enabled = frozenset(self._kernel.read(file).split())
        for name in sorted(controllers - enabled):
            try:
                self._kernel.write(file, f"+{name}")
            except OSError as error:
                if error.errno != errno.EBUSY or not self._step_aside(path):
                    continue
                try:
                    self._kernel.write(file, f"+{name}")
                except OSError:
                    continue
        return controllers & frozenset(self._kernel.read(file).split())

    def _step_aside(self, path: Path) -> bool:
        """Move our own processes out of the group that has to be empty; is it now?"""
        group, node = self._group(path), self._group(path / NODE)
        if path == self._slice or self._slice in path.parents:
            # customers' groups are ours to keep in order, not to move
            return False
        self._make(node.path)
        for pid in group.pids():
            try:
                self._kernel.write(node.procs, str(pid))
            except OSError as error:
                if error.errno != errno.ESRCH:
                    return False
        return not group.pids()


def find_rung() -> Rung:
    """Where this machine stands."""
    return rung(look())
