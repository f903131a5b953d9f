"""
Tests for `hostedge.supervise.own` with a process that is not ours to reap.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from hostedge.links.template import fork_orphan
from hostedge.net.identity import process_started
from hostedge.settings import Settings
from hostedge.supervise.own import OwnProcesses
from hostedge.supervise.roles import Roles


class OwnProcessesTests(TestCase):
    """Watching what somebody else has started."""

    timeout = 20

    def setUp(self) -> None:
        settings = Settings(file=Path("x"), state=Path("/nowhere"), homes=Path("/"))
        self.processes = OwnProcesses(reactor, settings, Roles(), lambda index: Deferred())

    def orphan(self) -> int:
        pid = fork_orphan()
        if pid == 0:
            signal.pause()
            os._exit(0)
        return pid

    async def test_orphanIsSignalledAndItsEndSeen(self) -> None:
        """
        A doubly forked process is no child of its maker; its end is seen all the same.
        """
        pid = self.orphan()
        ended: Deferred[None] = Deferred()
        watched = self.processes.watch(pid, process_started(pid), lambda: ended.callback(None))
        watched.signal(signal.SIGKILL)
        await ended
        watched.signal(signal.SIGKILL)
        # its group is there until whoever has to reap it has done so
        await deferLater(reactor, 0)
        while any("_clear" in str(call) for call in reactor.getDelayedCalls()):
            await deferLater(reactor, 0.01)

    def test_anotherProcessOfThatNumber(self) -> None:
        """
        A pid with another start time is somebody else: not watched, never signalled.
        """
        pid = self.orphan()
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        self.assertRaises(
            ProcessLookupError, self.processes.watch, pid, process_started(pid) + 1, lambda: None
        )

    def test_whatTheTemplateSays(self) -> None:
        """
        A pid that the template names is taken for an edge's only if it is of the edges' user.
        """
        settings = Settings(file=Path("x"), state=Path("/nowhere"), homes=Path("/"))
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        self.addCleanup(os.waitpid, child, 0)
        self.addCleanup(os.kill, child, signal.SIGKILL)

        def said(pid: int, roles: Roles) -> Deferred[int]:
            return OwnProcesses(reactor, settings, roles, lambda index: succeed(pid)).fork(0)

        self.assertEqual(self.successResultOf(said(child, Roles())), child)
        others = Roles(control=(1, 1), edge=(2, 2))
        self.failureResultOf(said(child, others), ConnectionLost)
