"""
How many descriptors an edge may open, how many connections that makes, and which files are open.

In:  `compose`, when an edge begins; whoever opens a file that outlives its call.
Out: numbers; the soft limit of this process is raised to the hard one.
"""

from __future__ import annotations

import errno
import resource

# for files, logs, links, the store and listeners
RESERVE = 512
# of the rest this share may be taken: each connection can have one to an app or a server
USED = 0.8
# what a kernel allows at most by default; without an end nobody could say what a share of it is
MOST = 1 << 20
# errors that say that there is none left, for this process or the machine
NONE_LEFT = frozenset((errno.EMFILE, errno.ENFILE))


class Files:
    """How many are open that the reactor does not watch: spools, and what is being sent."""

    count = 0


def raise_limit() -> int:
    """Let this process open as many descriptors as it may at all; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connections_for(descriptors: int, wanted: int = 0) -> int:
    """How many clients so many descriptors are enough for; `wanted`: no more than that."""
    most = max(1, int(USED * (descriptors - RESERVE) / 2))
    return min(wanted, most) if wanted else most
