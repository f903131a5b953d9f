"""
What a keeper hands to the new code that takes its place in the same process.

In:  `supervise.upgrade`, by what `compose.keeper` gives it; `tap.Options` in the new code, before
     anything else.
Out: an execve(2): the same pid with the same children, the lock, the keeper's socket and the
     public listeners still open. Links break; whoever links again waits in the socket's backlog.

Signals stay blocked from before the exec until the new keeper has its handlers: one that comes
meanwhile is delivered then.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import asdict, frozen

from hostedge.net.listener import Listener

VARIABLE = "HOSTEDGE_HANDOVER"
# exit status of new code that could run the node; twistd ends with 0 where an option is wrong
FINE = 99
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def here() -> Path:
    """The working directory; the root where that has been removed meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


# where the process began: what is relative on its command line is so to this folder
BEGAN_IN = here()


@frozen
class Handover:
    """What is open in the new code as well. Each descriptor belongs to whoever reads this."""

    # descriptors: the lock that keeps a second keeper out, and the keeper's listening socket
    lock: int
    link: int
    # protocol, what the settings asked for, descriptor
    listeners: tuple[tuple[str, str, int], ...] = ()
    # descriptors of the daemons' listeners
    held: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, lock: int, link: int, listeners: Iterable[Listener], held: Iterable[int] = ()
    ) -> Handover:
        public = tuple((each.protocol, each.asked, each.socket.fileno()) for each in listeners)
        return cls(lock, link, public, tuple(held))

    def descriptors(self) -> list[int]:
        public = [descriptor for _, _, descriptor in self.listeners]
        return [self.lock, self.link, *public, *self.held]

    def open_listeners(self) -> tuple[Listener, ...]:
        """The public listeners again; to be called once."""
        taken = []
        for protocol, asked, descriptor in self.listeners:
            listener = socket.socket(fileno=descriptor)
            listener.setblocking(False)
            taken.append(Listener(protocol, asked, listener))
        return tuple(taken)

    def written(self) -> str:
        """
        For the environment; of no use to any other process that may inherit it. Who reads it is of
        another version: names may be added, none may change what it means.
        """
        return json.dumps({"pid": os.getpid(), **asdict(self)})


def received() -> Handover | None:
    """
    What the code before this one has handed to this process, once; None: it began by itself.

    No child gets to see it, neither the descriptors nor the variable.
    """
    text = os.environ.pop(VARIABLE, "")
    if not text:
        return None
    told = json.loads(text)
    if told["pid"] != os.getpid():
        return None
    public = tuple((protocol, asked, number) for protocol, asked, number in told["listeners"])
    handover = Handover(told["lock"], told["link"], public, tuple(told["held"]))
    for descriptor in handover.descriptors():
        os.set_inheritable(descriptor, False)
    return handover


def ticks() -> int:
    """Now, in clock ticks after boot, as the kernel says when a process began."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def command(*more: str) -> list[str]:
    """What this process was started with, for the code that is there now."""
    return [sys.executable, *sys.orig_argv[1:], *more]


@contextmanager
def quiet() -> Iterator[None]:
    """Meanwhile signals wait; after an exec within it they do so in the new code."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become(handover: Handover, arguments: Sequence[str]) -> None:
    """
    Go on as the new code, in `quiet`; does not return.

    Raises:
        OSError: it could not be executed; everything is as it was.
    """
    now_in = here()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.chdir(BEGAN_IN)
        for descriptor in handover.descriptors():
            os.set_inheritable(descriptor, True)
        environment = {**os.environ, VARIABLE: handover.written()}
        os.execve(arguments[0], list(arguments), environment)  # noqa: S606 - no shell is wanted
    finally:
        # only where that has failed
        for descriptor in handover.descriptors():
            os.set_inheritable(descriptor, False)
        os.chdir(now_in)


def unblock() -> None:
    """From here on signals find the new keeper's handlers."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
