"""
What the kernel can do for the ending and limiting of daemons, by the files that are there.

In:  `supervise.cgroup.look` with what it has found; `cli.kernel_checks` shows the answer.
Out: `Rung`. No I/O and no Twisted in here.
Spec: the kernel's Documentation/admin-guide/cgroup-v2.rst.

Files are asked for, never versions: on a machine with both kinds of cgroups, v2 has no controllers
and yet kills, freezes and tells, which is most of what a daemon manager needs.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

# what a customer is limited by
CONTROLLERS = ("cpu", "io", "memory", "pids")
# a group without these is worth no more than a process group
CORE = ("cgroup.procs", "cgroup.kill", "cgroup.freeze", "cgroup.events")


@frozen
class Found:
    """What a look around has brought."""

    # where cgroup v2 is mounted
    mount: Path | None = None
    # the group that this process is in: ours are made below it
    own: Path | None = None
    # a group could be made there
    made: bool = False
    # the files that such a group has
    files: frozenset[str] = frozenset()
    # those that groups below it can be given
    controllers: frozenset[str] = frozenset()
    # systemd runs here, and has made our own group
    systemd: bool = False


@frozen
class Rung:
    """
    How high the ladder reaches: 0 nothing, 1 kill, freeze and events, 2 limits as well, 3 limits
    in a group that systemd has handed over.
    """

    level: int
    # one line for an operator
    text: str
    # what would reach higher; empty where nothing would
    todo: str = ""
    # below this the groups are made; None on rung 0
    base: Path | None = None
    # on any rung, those that are there are used
    controllers: frozenset[str] = frozenset()


def rung(found: Found) -> Rung:
    """Which rung this machine stands on."""
    if found.mount is None:
        text = "L0: no cgroup v2; apps are ended by process group"
        return Rung(0, text, "boot with cgroup v2 to limit what an app takes")
    if found.own is None or not found.made:
        text = "L0: cgroup v2 is not this user's to write; apps are ended by process group"
        return Rung(0, text, "start the node by systemd with Delegate=yes")
    lacking = [name for name in CORE if name not in found.files]
    if lacking:
        text = f"L0: groups without {', '.join(lacking)}; apps are ended by process group"
        return Rung(0, text, "want Linux 5.14 or later")
    usable = found.controllers & set(CONTROLLERS)
    missing = [name for name in CONTROLLERS if name not in usable]
    if missing:
        text = f"L1: kill, freeze and events; no {', '.join(missing)}"
        return Rung(1, text, base=found.own, controllers=usable)
    if found.systemd:
        text = "L3: cpu, memory, pids and io can be limited, below systemd"
        return Rung(3, text, base=found.own, controllers=usable)
    text = "L2: cpu, memory, pids and io can be limited"
    return Rung(2, text, base=found.own, controllers=usable)


def mount_of(mountinfo: str) -> tuple[Path, str] | None:
    """
    Where cgroup v2 is mounted, and which group that place shows; None where it is not.

    Args:
        mountinfo: the text of /proc/self/mountinfo, see proc(5).
    """
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if after.split()[:1] == ["cgroup2"] and len(fields) > 4:
            return Path(_plain(fields[4])), _plain(fields[3])
    return None


def joins_fast(mountinfo: str) -> bool:
    """
    Whether a process joins a group without waiting for all CPUs, some 10 ms of a start: the mount
    option `favordynmods` of Linux 6.0, which makes forks and exits dearer by microseconds.
    """
    mounted = [line for line in mountinfo.splitlines() if " - cgroup2 " in line]
    return any("favordynmods" in line.rpartition(" ")[2].split(",") for line in mounted)


def _plain(text: str) -> str:
    """Spaces and the like are octal in there."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text


def own_group(cgroups: str, mount: Path, shown: str) -> Path | None:
    """
    The folder of the group that this process is in; None where it is in none of v2.

    Args:
        cgroups: the text of /proc/self/cgroup, see cgroups(7).
        shown: the group that the mount shows; another than `/` in some containers.
    """
    for line in cgroups.splitlines():
        if line.startswith("0::"):
            path = line[3:]
            if shown != "/" and path.startswith(shown.rstrip("/") + "/"):
                path = path[len(shown) :]
            elif path == shown:
                path = "/"
            return mount / path.lstrip("/")
    return None
