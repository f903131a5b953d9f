"""
For how long launching a daemon holds up a process as large as a keeper may become.

In:  `daemons` runs `python -m benchmarks.spawn_stall MEGABYTES DESCRIPTORS TIMES`.
Out: a line of JSON: the milliseconds of each launch.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from time import perf_counter

from twisted.internet import epollreactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from hostedge.supervise.process import Launch, spawn

PAGE = resource.getpagesize()


class Watch(ProcessProtocol):
    """Fires when the process has ended."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def processEnded(self, reason: Failure) -> None:
        self.over.callback(None)


def main(megabytes: int, descriptors: int, times: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    memory = bytearray(megabytes << 20)
    # every page is ours, none is the kernel's page of zeros
    memory[::PAGE] = b"x" * len(range(0, len(memory), PAGE))
    null = os.open(os.devnull, os.O_RDONLY)
    for _ in range(descriptors):
        os.dup(null)
    launch = Launch(argv=("/bin/true",), environment={})
    took: list[float] = []
    reactor = epollreactor.EPollReactor()

    def one() -> Deferred[None]:
        watch = Watch()
        begun = perf_counter()
        spawn(reactor, watch, launch)
        took.append((perf_counter() - begun) * 1000)
        return watch.over

    def again(_: object) -> Deferred[None] | None:
        return one().addCallback(again) if len(took) < times else None

    over = DeferredList([one().addCallback(again)])
    over.addCallback(lambda _: reactor.stop())
    reactor.run()
    print(json.dumps(took))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
