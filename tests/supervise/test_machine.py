"""
Tests for `hostedge.supervise.machine`.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.generations import DaemonCore
from hostedge.supervise.machine import make_daemon
from tests.supervise.ports import FakePorts


class Driver(SynchronousTestCase):
    def setUp(self):
        self.ports = FakePorts()
        self.core = DaemonCore(self.ports)
        self.daemon = self.ports.daemon = make_daemon(self.core)

    def wake(self):
        self.ports.waiting = True
        self.daemon.wake()

    def grant(self):
        self.assertEqual(self.ports.token, "line")
        self.ports.token = "held"
        self.daemon.token()

    def start(self):
        """From COLD to a launched generation; its number."""
        self.wake()
        self.grant()
        return self.ports.launched

    def give_up(self):
        """Start it, and let it crash until it is FAILED."""
        self.start()
        while self.core.state != "FAILED":
            self.exit(self.ports.launched)
            if self.core.state == "BACKOFF":
                self.after(10)
                self.grant()

    def serve(self):
        generation = self.start()
        self.daemon.ready(generation)
        return generation

    def exit(self, generation):
        self.ports.alive.remove(generation)
        self.daemon.exited(generation)

    def after(self, seconds):
        self.ports.clock.pump([0.25] * int(seconds * 4))


class StartTests(Driver):
    def test_firstWakeToFirstAnswer(self):
        """
        A wake takes a token, launches one generation, and is answered when that is ready.
        """
        self.serve()
        self.wake()
        self.assertEqual(
            self.ports.happened,
            [
                ("QUEUED",),
                ("STARTING",),
                ("spawn", 1),
                ("READY",),
                ("announce", 1),
                ("announce", 1),
            ],
        )
        self.assertEqual(self.ports.token, "none")

    def test_manyWakesOneStart(self):
        """
        Wakes that come while it is queued or starting do not launch anything more.
        """
        self.wake()
        self.wake()
        self.grant()
        self.wake()
        self.assertEqual(self.ports.launched, 1)

    def test_nobodyWaitsAnyMore(self):
        """
        A queued app that nobody waits for leaves the line, lately as it was wanted.
        """
        self.wake()
        self.ports.used = True
        self.ports.waiting = False
        self.after(5)
        self.assertEqual(self.core.state, "COLD")
        self.assertEqual(self.ports.token, "none")

    def test_lateReadiness(self):
        """
        Readiness of a generation that has ended means nothing.
        """
        first = self.start()
        self.exit(first)
        self.daemon.ready(first)
        self.assertEqual(self.core.state, "BACKOFF")

    def test_startTimeout(self):
        """
        A daemon that never gets ready is ended, its visitors are told, and the start has failed.
        """
        first = self.start()
        self.after(60)
        self.assertEqual(self.ports.refused[0], "start_timeout")
        self.assertIn(("TERM", first), self.ports.happened)
        self.after(10)
        self.assertIn(("KILL", first), self.ports.happened)
        self.exit(first)
        self.assertEqual(self.core.state, "BACKOFF")


class FailureTests(Driver):
    def test_pauses(self):
        """
        Failed starts are tried again after 1, 2, 4 and 8 seconds; the fifth failure gives up.
        """
        self.start()
        for pause in (1, 2, 4, 8):
            self.exit(self.ports.launched)
            self.assertEqual(self.ports.refused, ("crash_loop", pause, False))
            self.after(pause - 0.25)
            self.assertEqual(self.core.state, "BACKOFF")
            self.after(0.25)
            self.grant()
        self.exit(self.ports.launched)
        self.assertEqual(self.core.state, "FAILED")
        self.assertEqual(self.ports.refused, ("crash_loop", 60, True))

    def test_jitter(self):
        """
        A pause varies by a fifth.
        """
        for chance, pause in ((0.0, 0.8), (1.0, 1.2)):
            self.setUp()
            self.ports.chance = chance
            self.exit(self.start())
            self.assertEqual(self.ports.refused[1], pause)

    def test_halfOpen(self):
        """
        An app that was given up is tried by one wake after 60 s, then 120, at most 300.
        """
        self.give_up()
        for interval in (60, 120, 240, 300, 300):
            self.after(interval - 1)
            self.wake()
            self.assertEqual(self.ports.refused, ("crash_loop", 1, True))
            self.after(1)
            self.wake()
            self.grant()
            self.exit(self.ports.launched)
            self.assertEqual(self.core.state, "FAILED")

    def test_recovery(self):
        """
        A half-open start that works and lasts makes the app like new.
        """
        self.give_up()
        self.after(60)
        self.serve()
        self.after(61)
        self.exit(self.ports.launched)
        self.assertEqual(self.core.state, "COLD")
        self.exit(self.start())
        self.assertEqual(self.ports.refused, ("crash_loop", 1, False))

    def test_changeClearsFailures(self):
        """
        A change while it is given up makes the next wake a start.
        """
        self.give_up()
        self.daemon.changed()
        self.assertEqual(self.core.state, "COLD")
        self.start()

    def test_nobodyWaitsForTheNextTry(self):
        """
        After the pause, an app that nobody waits for stays down.
        """
        self.exit(self.start())
        self.ports.waiting = False
        self.after(1)
        self.assertEqual(self.core.state, "COLD")

    def test_steadyCrash(self):
        """
        Who served for ten seconds and is in use is started again at once; edges are told.
        """
        first = self.serve()
        self.after(10)
        self.ports.used = True
        self.exit(first)
        self.assertIn(("retire", first), self.ports.happened)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")

    def test_steadyCrashUnneeded(self):
        """
        Who served and is not in use stays down.
        """
        first = self.serve()
        self.after(10)
        self.exit(first)
        self.assertEqual(self.core.state, "COLD")

    def test_quickCrash(self):
        """
        Who died sooner has to pause.
        """
        self.exit(self.serve())
        self.assertEqual(self.core.state, "BACKOFF")


class IdleTests(Driver):
    def ask(self):
        """Serve until the edges are asked whether they are idle; the generation."""
        generation = self.serve()
        self.ports.idle = 0
        self.after(1800)
        self.assertEqual(self.core.state, "DRAINING")
        return generation

    def test_idleStop(self):
        """
        When all edges are idle the daemon is ended.
        """
        first = self.ask()
        self.daemon.quiesced(self.ports.question, True)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))
        self.exit(first)
        self.assertEqual(self.core.state, "COLD")

    def test_busyEdge(self):
        """
        A busy edge keeps it; it is not asked again within a second.
        """
        self.ask()
        self.daemon.quiesced(self.ports.question, False)
        self.assertEqual(self.core.state, "READY")
        self.after(0.75)
        self.assertEqual(self.core.state, "READY")
        self.after(0.25)
        self.assertEqual(self.core.state, "DRAINING")

    def test_wakeCancels(self):
        """
        A wake during the question cancels the stop, and the answer that comes later is void.
        """
        first = self.ask()
        question = self.ports.question
        self.wake()
        self.assertEqual(self.ports.happened[-1], ("announce", first))
        self.after(1)
        self.assertEqual(self.core.state, "DRAINING")
        self.daemon.quiesced(question, True)
        self.assertEqual(self.core.state, "DRAINING")

    def test_wakeWhileStopping(self):
        """
        A wake after TERM starts the next generation when the old one is gone.
        """
        first = self.ask()
        self.daemon.quiesced(self.ports.question, True)
        self.wake()
        self.exit(first)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")

    def test_neverIdle(self):
        """
        Without an idle time it is never asked.
        """
        self.ports.idle = None
        self.serve()
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])

    def test_review(self):
        """
        A shorter idle time counts at once.
        """
        self.serve()
        self.ports.idle = 2.0
        self.daemon.review()
        self.ports.idle = 0.0
        self.after(2)
        self.assertEqual(self.core.state, "DRAINING")


class ReplaceTests(Driver):
    def test_swap(self):
        """
        The new generation takes over when it is ready; the old one finishes, then ends.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.assertEqual(self.core.state, "RELOADING")
        self.wake()
        self.daemon.ready(2)
        self.assertEqual(
            self.ports.happened[-5:],
            [("spawn", 2), ("announce", 1), ("READY",), ("announce", 2), ("retire", 1)],
        )
        self.after(0.5)
        self.daemon.quiesced(self.ports.question, True)
        self.assertEqual(self.ports.happened[-1], ("TERM", 1))
        self.exit(1)
        self.assertEqual((self.core.state, self.core.serving), ("READY", 2))

    def test_busyOldGeneration(self):
        """
        The old generation is ended after the drain time, whatever it does.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.daemon.ready(2)
        self.after(29.75)
        self.assertNotIn(("TERM", 1), self.ports.happened)
        self.after(0.25)
        self.assertIn(("TERM", 1), self.ports.happened)

    def test_newOneFails(self):
        """
        When the new generation does not come up the old one serves on, marked as degraded.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.exit(2)
        self.assertEqual((self.core.state, self.core.serving), ("READY", 1))
        self.assertTrue(self.core.degraded)
        self.assertEqual(self.core.failures, [])

    def test_changeDuringReplacement(self):
        """
        A change supersedes the generation that is starting; never more than two live.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.daemon.changed()
        self.assertEqual(self.ports.happened[-1], ("TERM", 2))
        self.daemon.ready(2)
        self.assertEqual(self.core.serving, 1)
        self.exit(2)
        self.after(2)
        self.grant()
        self.daemon.ready(3)
        self.assertEqual(self.core.serving, 3)

    def test_waitsForTheLastOne(self):
        """
        A second replacement waits until what the first one replaced is gone.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.daemon.ready(2)
        self.daemon.changed()
        self.after(2)
        self.assertEqual(self.ports.token, "none")
        self.exit(1)
        self.grant()
        self.assertEqual(self.ports.launched, 3)

    def test_oldOneDiesMeanwhile(self):
        """
        When the old generation dies, the one that is starting is waited for.
        """
        self.serve()
        self.daemon.changed()
        self.after(2)
        self.grant()
        self.exit(1)
        self.assertEqual(self.core.state, "STARTING")
        self.daemon.ready(2)
        self.assertEqual(self.core.serving, 2)

    def test_changeWhileStarting(self):
        """
        A change ends a start that is under way; whoever waits gets the new configuration.
        """
        first = self.start()
        self.daemon.changed()
        self.exit(first)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")
        self.assertEqual(self.core.failures, [])


class DismissTests(Driver):
    def test_dismissServing(self):
        """
        A dismissed daemon finishes its requests, then ends and stays down.
        """
        first = self.serve()
        self.daemon.dismiss(5.0, None, False)
        self.assertEqual(self.ports.happened[-1], ("retire", first))
        self.after(5)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))
        self.exit(first)
        self.assertEqual(self.core.state, "COLD")

    def test_atOnce(self):
        """
        A second dismissal without patience ends what was still draining.
        """
        first = self.serve()
        self.daemon.dismiss(30.0, None, False)
        self.daemon.dismiss(0.0, None, False)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))

    def test_takenBack(self):
        """
        A daemon of an earlier keeper serves at once.
        """
        self.daemon.taken_back(77)
        self.assertEqual((self.core.state, self.core.serving), ("READY", 77))
        self.wake()
        self.assertEqual(self.ports.happened[-1], ("announce", 77))


class AnyOrder(RuleBasedStateMachine):
    """
    Whatever happens in whatever order: two live, one is coming, each ends once, and a state that
    waits has a timer, a token to come, or a process to end.
    """

    def __init__(self):
        super().__init__()
        self.ports = FakePorts()
        self.core = DaemonCore(self.ports)
        self.daemon = self.ports.daemon = make_daemon(self.core)

    @rule()
    def wake(self):
        self.ports.waiting = True
        self.daemon.wake()

    @rule(used=st.booleans(), idle=st.none() | st.floats(0, 100), chance=st.floats(0, 1))
    def world(self, used, idle, chance):
        self.ports.waiting = False
        self.ports.used, self.ports.idle, self.ports.chance = used, idle, chance

    @precondition(lambda self: self.ports.token == "line")
    @rule()
    def token(self):
        self.ports.token = "held"
        self.daemon.token()

    @rule()
    def late_token(self):
        if self.ports.token == "none":
            self.daemon.token()

    @rule(generation=st.integers(0, 6), ready=st.booleans())
    def probed(self, generation, ready):
        which = self.ports.launched - generation
        if ready:
            self.daemon.ready(which)
        else:
            self.daemon.unready(which)

    @precondition(lambda self: self.ports.alive)
    @rule(data=st.data())
    def exited(self, data):
        generation = data.draw(st.sampled_from(sorted(self.ports.alive)))
        self.ports.alive.remove(generation)
        self.daemon.exited(generation)

    @rule(generation=st.integers(2, 9))
    def late_exit(self, generation):
        if self.ports.launched - generation not in self.ports.alive:
            self.daemon.exited(self.ports.launched - generation)

    @rule(back=st.integers(0, 2), idle=st.booleans())
    def quiesced(self, back, idle):
        self.daemon.quiesced(self.ports.question - back, idle)

    @rule()
    def changed(self):
        self.daemon.changed()

    @rule()
    def review(self):
        self.daemon.review()

    @rule()
    def evict(self):
        self.daemon.evict()

    @rule()
    def allow(self):
        self.daemon.allow()

    @rule(generation=st.integers(0, 6))
    def stuck(self, generation):
        self.daemon.stuck(self.ports.launched - generation)

    @rule(generation=st.integers(0, 6))
    def squatted(self, generation):
        self.daemon.squatted(self.ports.launched - generation)

    @rule(way=st.sampled_from(["swap", "hold", "HUP"]), children=st.booleans())
    def reloads(self, way, children):
        self.ports.way, self.ports.new_children = way, children

    @rule(after=st.none() | st.floats(0, 100), served=st.booleans())
    def freezes(self, after, served):
        self.ports.freeze_after, self.ports.served = after, served

    @rule(drain=st.sampled_from([0.0, 5.0]), patience=st.none() | st.just(1.0), stay=st.booleans())
    def dismiss(self, drain, patience, stay):
        self.daemon.dismiss(drain, patience, stay)

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds):
        self.ports.clock.advance(seconds)

    @invariant()
    def places(self):
        core, ports = self.core, self.ports
        placed = {g for g in (core.serving, core.coming) if g is not None} | set(core.endings)
        assert placed == ports.alive, ports.happened
        assert len(ports.alive) <= 2, ports.happened
        assert (core.state == "COLD") <= (core.serving is core.coming is None)
        assert (core.state in ("STARTING",)) <= (core.coming is not None)
        if core.state in ("READY", "FROZEN", "RELOADING"):
            assert core.serving is not None
        if core.state in ("READY", "FROZEN"):
            assert core.serving not in core.endings
        assert (core.state == "DISABLED") <= (core.serving is core.coming is None)
        assert (core.state == "STUCK") <= bool(core.stuck)
        assert core.stuck <= set(core.endings)

    @invariant()
    def who_is_told_anything_is_awake(self):
        still = {self.core.serving} if self.core.state == "FROZEN" else set()
        # who crashed while it stood still needs no waking
        assert self.ports.frozen & self.ports.alive == still, self.ports.happened

    @invariant()
    def each_ends_once(self):
        spawned = [what[1] for what in self.ports.happened if what[0] == "spawn"]
        assert len(spawned) == len(set(spawned)) == self.ports.launched

    @invariant()
    def tokens(self):
        if self.core.state not in ("QUEUED", "STARTING", "RELOADING"):
            assert self.ports.token == "none", self.core.state

    @invariant()
    def something_will_happen(self):
        timers = self.ports.clock.getDelayedCalls()
        if self.core.state in ("QUEUED", "STARTING", "DRAINING", "STOPPING", "BACKOFF"):
            assert timers, self.ports.happened
        if self.core.state == "RELOADING":
            assert timers or self.ports.token == "line", self.ports.happened
        if self.core.state in ("FAILED", "STUCK"):
            assert timers, self.ports.happened


class AnyOrderTests(SynchronousTestCase):
    def test_anyOrder(self):
        """
        No order of events leaves the machine without an answer or breaks its promises.
        """
        run_state_machine_as_test(
            AnyOrder, settings=settings(max_examples=150, stateful_step_count=60, deadline=None)
        )
