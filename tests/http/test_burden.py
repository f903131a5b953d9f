"""An edge that has too much to do, by `hostedge.http.burden`."""

from __future__ import annotations

import os
from mmap import mmap

from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.pressure import Step
from hostedge.http.burden import LOOKS, PERIOD, Ladder, Process, memory_for
from tests.http.parts import EchoLeaf, Scene, with_limits


class Measured:
    """A share of connections, and measures as a test wants them."""

    limit = 100
    connections = 1
    paused = strained = False
    open = used = 0.0
    waiting = 0

    def descriptors(self) -> float:
        return self.open

    def memory(self) -> float:
        return self.used

    def lines(self) -> int:
        return self.waiting


class LadderTests(SynchronousTestCase):
    """One edge, looked at four times a second."""

    def setUp(self) -> None:
        self.scene = Scene(lambda exchange: EchoLeaf(), with_limits(keepalive_timeout=60))
        self.entrance = self.scene.entrance
        self.edge = edge = Measured()
        self.now = 0.0
        self.ladder = Ladder(
            self.scene.clock,
            lambda: self.now,
            edge,
            edge,
            [self.entrance],
            edge,
            self.scene.counters,
            self.scene.limits,
        )
        self.ladder.start()

    def look(self, times: int = 1, late: float = 0.0) -> None:
        for _ in range(times):
            self.now += PERIOD + late
            self.scene.clock.advance(PERIOD)

    def test_calm(self) -> None:
        """An edge with little to do changes nothing."""
        self.look(8)
        self.assertIs(self.ladder.step, Step.CALM)
        self.assertEqual(self.scene.changed_counters(), {})
        self.assertEqual((self.entrance.idle, self.entrance.narrow), (60, False))
        self.assertEqual(self.ladder.report()["step"], "calm")

    def test_idleConnectionsGo(self) -> None:
        """Many connections: those that are idle end soon, those that come later as well."""
        _, early = self.scene.connect()
        self.edge.connections = 95
        self.look()
        self.assertEqual(self.ladder.report()["pressed_by"], "connections")
        _, late = self.scene.connect()
        self.scene.pass_time(4)
        self.assertTrue(early.connected and late.connected)
        self.scene.pass_time(2)
        self.assertFalse(early.connected or late.connected)
        self.assertEqual(self.scene.counters["idle_shortened"], 1)

    def test_busyConnectionsStay(self) -> None:
        """Whoever asks for something is not idle, however hard pressed the edge is."""
        protocol, client = self.scene.connect()
        protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n")
        self.edge.connections = 97
        self.look()
        for _ in range(8):
            self.scene.pass_time(1)
            protocol.dataReceived(b"x" * 1000)
        self.assertTrue(client.connected)

    def test_calmAgain(self) -> None:
        """What was less is as before when the edge has room again."""
        self.edge.connections = 90
        self.look()
        self.assertIs(self.ladder.step, Step.NARROW)
        self.assertLess(self.entrance.idle, 20)
        self.edge.connections = 76
        self.look()
        self.assertIs(self.ladder.step, Step.NARROW)
        self.edge.connections = 10
        self.look()
        self.assertIs(self.ladder.step, Step.CALM)
        self.assertEqual((self.entrance.idle, self.entrance.narrow), (60, False))

    def test_pause(self) -> None:
        """At its end it accepts nothing; that is counted once, and over when it has room."""
        for open, paused in ((0.99, True), (0.99, True), (0.94, True), (0.92, False)):
            self.edge.open = open
            self.look()
            self.assertIs(self.edge.paused, paused, open)
        self.assertEqual(self.scene.counters["accept_paused"], 1)

    def test_lag(self) -> None:
        """A reactor that is late once is not slow; one that stays late is."""
        self.look(late=0.5)
        self.look(LOOKS)
        self.assertIs(self.ladder.step, Step.CALM)
        self.look(LOOKS - 1, late=0.06)
        self.assertFalse(self.edge.strained)
        self.look(late=0.09)
        self.assertTrue(self.edge.strained)
        self.look(LOOKS, late=0.09)
        self.assertIs(self.ladder.step, Step.NARROW)
        self.assertEqual(self.ladder.report()["lag"], 0.09)
        self.look()
        self.assertIs(self.ladder.step, Step.CALM)
        self.assertFalse(self.edge.strained)

    def test_measures(self) -> None:
        """Memory and lines press like the rest."""
        self.edge.used = 0.75
        self.look()
        self.assertEqual(self.ladder.report()["pressed_by"], "memory")
        self.edge.used, self.edge.waiting = 0.0, 9000
        self.look()
        self.assertEqual(self.ladder.report()["pressed_by"], "lines")
        self.assertIs(self.ladder.step, Step.NARROW)

    def test_stop(self) -> None:
        """An edge that ends leaves no timer."""
        self.ladder.stop()
        self.ladder.stop()
        self.assertEqual(self.scene.clock.getDelayedCalls(), [])


class ProcessTests(SynchronousTestCase):
    """What is measured of a real process: this one."""

    def test_shares(self) -> None:
        """Descriptors are counted by the reactor, memory by the kernel."""
        process = Process(lambda: 30, 120, 64 * 1024 * 1024, lambda: 3)
        self.assertEqual((process.descriptors(), process.lines()), (0.25, 3))
        before = process.memory()
        self.assertGreater(before, 0.1)
        # what the allocator has kept would not count again
        with mmap(-1, 32 * 1024 * 1024) as held:
            held.write(b"x" * len(held))
            self.assertGreater(process.memory(), before + 0.3)

    def test_memory(self) -> None:
        """Edges share half of what the machine, or its cgroup, has."""
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        one, four = memory_for(1), memory_for(4)
        self.assertTrue(0 < one <= there // 2)
        self.assertEqual(four, one // 4)
