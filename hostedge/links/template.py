"""
The template: the process that all edges are forked from.

In:  the keeper starts it with the settings file, then asks for edges with `Fork`.
Out: edges, each orphaned to the keeper, which learns how they ended.

    -> Hello, TakeListener 0, 1, …       once
    <- Fork index / pid                  for every edge
    <- TakeListener                      from a new keeper that has lost them

It has imported everything an edge needs and made the TLS contexts whose ticket keys all
edges share; it runs no reactor and opens no other connection.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from hostedge.ipc import Fork, Hello, TakeListener
from hostedge.links import listeners as transfer
from hostedge.net.blocking import BlockingLink
from hostedge.net.link import LOST, RETRY, LinkPeer, hello
from hostedge.net.listener import Listener

# what an edge is made of once it is forked: its index and the listeners
RunEdge = Callable[[int, tuple[Listener, ...]], None]


class TemplatePeer(LinkPeer):
    """Answers the keeper; a fork is only noted here, it happens when no message is half read."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: tuple[Listener, ...] = ()
        self.wanted: list[tuple[int, Deferred[dict[str, int]]]] = []

    @Fork.responder
    def fork(self, index: int) -> Deferred[dict[str, int]]:
        made: Deferred[dict[str, int]] = Deferred()
        self.wanted.append((index, made))
        return made

    @TakeListener.responder
    def take_listener(self, index: int) -> dict[str, Any]:
        return transfer.give(self.listeners, index)


def serve(keeper_socket: Path, run_edge: RunEdge) -> None:
    """
    Link to the keeper, again whenever it comes back, and fork edges when told.

    Returns only in an edge that has ended.
    """
    listeners: tuple[Listener, ...] = ()
    pause = threading.Event()
    while True:
        peer = TemplatePeer()
        try:
            link = BlockingLink.connect(keeper_socket, peer)
        except OSError:
            pause.wait(RETRY)
            continue
        peer.listeners = listeners
        try:
            link.call(Hello, **hello("template", 0, 0))
            if not listeners:
                listeners = peer.listeners = _take_listeners(link)
        except LOST:
            link.close()
            pause.wait(RETRY)
            continue
        linked = True
        while linked:
            # asked for before as well: while the listeners were taken
            while peer.wanted:
                index, made = peer.wanted.pop(0)
                pid = fork_orphan()
                if pid == 0:
                    link.close()
                    run_edge(index, listeners)
                    return
                made.callback({"pid": pid})
            linked = link.receive()


def _take_listeners(link: BlockingLink) -> tuple[Listener, ...]:
    listeners: list[Listener] = []
    while True:
        listener = transfer.received(link.call(TakeListener, index=len(listeners)))
        if listener is None:
            return tuple(listeners)
        listeners.append(listener)


def fork_orphan() -> int:
    """
    Fork twice, so that the nearest subreaper (the keeper) is the new process's parent.

    Returns 0 in the new process, its pid in this one.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    middle = os.fork()
    if middle == 0:
        os.setsid()
        pid = os.fork()
        if pid:
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.close(reading)
        os.close(writing)
        os.setsid()
        return 0
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        pid = int(pipe.read())
    os.waitpid(middle, 0)
    return pid


def main() -> None:
    """Be the template; the one argument is the settings file. Started by the keeper only."""
    from hostedge import compose

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings, run_edge = compose.template(Path(sys.argv[1]))
    if "twisted.internet.reactor" in sys.modules:
        raise AssertionError("the template must not own a reactor: edges would share its epoll")
    serve(settings.keeper_socket, run_edge)


if __name__ == "__main__":
    main()
