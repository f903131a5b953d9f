"""
Tests for `hostedge.supervise.machine`: freezing, eviction, the ways to reload, being switched off,
being stuck, being squatted.
"""

from tests.supervise.test_machine import Driver


class FreezeTests(Driver):
    def freeze(self):
        """From COLD to a frozen generation; its number."""
        generation = self.serve()
        self.ports.freeze_after = 0.0
        self.after(1800)
        self.daemon.quiesced(self.ports.question, True)
        self.assertEqual(self.core.state, "FROZEN")
        self.ports.freeze_after = 300.0
        return generation

    def test_freezes(self):
        """
        When all edges are idle its processes stand still, and nobody is told to end.
        """
        first = self.freeze()
        self.assertEqual(self.ports.frozen, {first})
        self.assertIn(("frozen", first), self.ports.told)
        self.assertNotIn(("TERM", first), self.ports.happened)

    def test_sooner(self):
        """
        It is asked when it may be frozen, which is before it may be stopped.
        """
        self.ports.freeze_after = 300.0
        self.serve()
        self.ports.freeze_after = 0.0
        self.after(300)
        self.assertEqual(self.core.state, "DRAINING")
        self.daemon.quiesced(self.ports.question, False)
        self.assertEqual((self.core.state, self.ports.frozen), ("READY", set()))

    def test_wakes(self):
        """
        A wake lets it go on, and is answered with it.
        """
        first = self.freeze()
        self.wake()
        self.assertEqual(self.ports.frozen, set())
        self.assertEqual(self.ports.happened[-2:], [("READY",), ("announce", first)])
        self.assertIn(("thawed", first), self.ports.told)

    def test_idleStop(self):
        """
        When it has been idle for long enough it goes on, to hear that it has to end.
        """
        first = self.freeze()
        self.after(1798)
        self.ports.idle = 0.0
        self.after(2)
        self.assertEqual((self.core.state, self.ports.frozen), ("STOPPING", set()))
        self.assertEqual(self.ports.happened[-1], ("TERM", first))

    def test_changed(self):
        """
        A change lets it go on, to serve until the next one is ready.
        """
        self.freeze()
        self.daemon.changed()
        self.assertEqual((self.core.state, self.ports.frozen), ("RELOADING", set()))

    def test_dies(self):
        """
        Who dies while frozen stays down.
        """
        self.exit(self.freeze())
        self.assertEqual(self.core.state, "COLD")

    def test_reviewed(self):
        """
        A shorter idle time counts for who is frozen, and none lets it be.
        """
        first = self.freeze()
        self.ports.idle = None
        self.daemon.review()
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])
        self.ports.idle = 0.0
        self.daemon.review()
        self.assertEqual(self.ports.happened[-1], ("TERM", first))


class EvictTests(Driver):
    def test_ready(self):
        """
        Who is evicted is asked about first; a busy one stays.
        """
        first = self.serve()
        self.daemon.evict()
        self.daemon.quiesced(self.ports.question, False)
        self.assertEqual(self.core.state, "READY")
        self.daemon.evict()
        self.daemon.quiesced(self.ports.question, True)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))
        self.assertIn(("evicted", first), self.ports.told)

    def test_starting(self):
        """
        Who does not serve yet cannot be evicted.
        """
        self.start()
        self.daemon.evict()
        self.assertEqual(self.core.state, "STARTING")


class ReloadTests(Driver):
    def test_coalesced(self):
        """
        Changes within two seconds make one replacement.
        """
        self.serve()
        self.daemon.changed()
        self.after(1)
        self.daemon.changed()
        self.assertEqual((self.core.state, self.ports.token), ("RELOADING", "none"))
        self.after(1)
        self.grant()
        self.daemon.ready(2)
        self.assertIn(("reload_ok", 2), self.ports.told)
        self.assertEqual(self.ports.launched, 2)

    def hold(self):
        self.ports.way = "hold"
        first = self.serve()
        self.daemon.changed()
        self.after(2)
        return first

    def test_hold(self):
        """
        The old one finishes and ends, wakes are kept, then the new one starts; they never meet.
        """
        first = self.hold()
        self.assertEqual(self.core.state, "RELOADING")
        self.assertIsNone(self.core.lasting)
        self.assertEqual(self.ports.happened[-1], ("retire", first))
        self.wake()
        self.assertEqual(self.ports.launched, 1)
        self.daemon.quiesced(self.ports.question, True)
        self.exit(first)
        self.grant()
        self.daemon.ready(2)
        self.assertEqual(self.ports.happened[-1], ("announce", 2))
        self.assertIn(("reload_ok", 2), self.ports.told)

    def test_holdFails(self):
        """
        When the new one does not come up, that is a failed start like any other.
        """
        first = self.hold()
        self.wake()
        self.exit(first)
        self.grant()
        self.exit(2)
        self.assertEqual(self.core.state, "BACKOFF")
        self.after(1)
        self.grant()
        self.daemon.ready(3)
        self.assertNotIn(("reload_ok", 3), self.ports.told)

    def test_signal(self):
        """
        A daemon that reloads itself keeps its generation: new processes are seen, then it has to
        answer.
        """
        first = self.serve()
        self.ports.way, self.ports.new_children = "HUP", False
        self.daemon.changed()
        self.after(3)
        self.assertIn(("HUP", first), self.ports.happened)
        self.assertNotIn(("probe", first), self.ports.happened)
        self.ports.new_children = True
        self.after(0.25)
        self.assertEqual(self.ports.happened[-1], ("probe", first))
        self.daemon.ready(first)
        self.assertEqual((self.core.state, self.core.serving), ("READY", first))
        self.assertEqual(self.ports.told[-1], ("reload_ok", first))

    def test_signalUnheard(self):
        """
        One that shows no new process, or does not answer, in the time of a start serves on as
        degraded.
        """
        for new_children in (False, True):
            self.setUp()
            first = self.serve()
            self.ports.way, self.ports.new_children = "HUP", new_children
            self.daemon.changed()
            self.after(2 + 60.5)
            self.assertEqual((self.core.state, self.core.degraded), ("READY", True))
            self.assertEqual(self.ports.told[-1], ("reload_kept_old", first))

    def test_signalKills(self):
        """
        One that the signal ends has crashed.
        """
        first = self.serve()
        self.ports.way, self.ports.new_children = "USR2", False
        self.daemon.changed()
        self.after(2)
        self.exit(first)
        self.assertEqual(self.core.state, "BACKOFF")

    def test_unprovenCrash(self):
        """
        Who lived for long and never served anybody has to pause.
        """
        first = self.serve()
        self.ports.served = False
        self.after(11)
        self.ports.used = True
        self.exit(first)
        self.assertEqual(self.core.state, "BACKOFF")


class DisableTests(Driver):
    def test_disabled(self):
        """
        Who is switched off is not woken by wakes and changes, only by being allowed.
        """
        first = self.serve()
        self.daemon.dismiss(0.0, 1.0, True)
        self.assertEqual(self.ports.happened[-2:], [("retire", first), ("TERM", first)])
        self.after(1)
        self.assertEqual(self.ports.happened[-1], ("KILL", first))
        self.exit(first)
        self.assertEqual(self.core.state, "DISABLED")
        self.wake()
        self.assertEqual(self.ports.refused[0], "disabled")
        self.daemon.changed()
        self.assertEqual(self.core.state, "DISABLED")
        self.daemon.allow()
        self.assertEqual(self.core.state, "COLD")

    def test_webSocketsDoNotLast(self):
        """
        Who is switched off has five seconds, whatever WebSockets may have otherwise.
        """
        self.core.drain_websockets = 3600.0
        first = self.serve()
        self.daemon.dismiss(5.0, None, True)
        self.assertEqual(self.core.state, "DRAINING")
        self.after(5)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))

    def test_hurried(self):
        """
        A suspension does not wait for what was draining or told to end before.
        """
        first = self.serve()
        self.daemon.dismiss(5.0, None, True)
        self.daemon.dismiss(0.0, 1.0, True)
        self.assertEqual(self.ports.happened[-1], ("TERM", first))
        self.after(1)
        self.assertEqual(self.ports.happened[-1], ("KILL", first))

    def test_allowedBeforeItHasEnded(self):
        """
        Who is allowed again while it ends is not switched off afterwards.
        """
        first = self.serve()
        self.daemon.dismiss(0.0, 1.0, True)
        self.daemon.allow()
        self.wake()
        self.exit(first)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")

    def test_neverRan(self):
        """
        What was not running is switched off at once.
        """
        self.daemon.dismiss(5.0, None, True)
        self.assertEqual(self.core.state, "DISABLED")


class StuckTests(Driver):
    def stick(self):
        """A generation that KILL does not end, and that nobody waits for; its number."""
        first = self.serve()
        self.daemon.dismiss(0.0, None, False)
        self.after(15)
        return first

    def test_stuck(self):
        """
        Who survives KILL for five seconds is stuck, until it is really gone.
        """
        first = self.stick()
        self.assertEqual(self.core.state, "STUCK")
        self.assertIn(("stuck", first), self.ports.told)
        self.assertEqual(self.core.serving, None)
        self.exit(first)
        self.assertEqual((self.core.state, self.core.stuck), ("COLD", set()))

    def test_startsBeside(self):
        """
        One that is stuck does not keep visitors waiting; a second one would.
        """
        self.stick()
        second = self.start()
        self.daemon.ready(second)
        self.daemon.dismiss(0.0, None, False)
        self.after(15)
        self.wake()
        self.assertEqual((self.core.state, self.ports.token), ("QUEUED", "none"))
        self.exit(1)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")

    def test_neverTwo(self):
        """
        An app that must not run twice waits for the one that is stuck.
        """
        self.ports.way = "hold"
        self.stick()
        self.wake()
        self.assertEqual((self.core.state, self.ports.token), ("QUEUED", "none"))

    def test_whatItLeft(self):
        """
        A daemon that is gone, and has left something that is not, has ended for its visitors.
        """
        first = self.serve()
        self.after(11)
        self.ports.used = True
        self.daemon.stuck(first)
        self.grant()
        self.daemon.ready(2)
        self.assertEqual((self.core.state, self.core.serving), ("READY", 2))
        self.assertEqual(self.core.stuck, {first})
        self.exit(first)
        self.assertEqual(self.core.stuck, set())


class SquatTests(Driver):
    def test_starting(self):
        """
        A start whose place somebody else has taken has failed.
        """
        first = self.start()
        self.daemon.squatted(first)
        self.assertEqual(self.ports.refused[0], "squatted")
        self.assertEqual(self.ports.happened[-1], ("TERM", first))
        self.exit(first)
        self.assertEqual(self.core.state, "BACKOFF")

    def test_serving(self):
        """
        Edges are told at once to send nothing there any more.
        """
        first = self.serve()
        self.daemon.squatted(first)
        self.assertEqual(self.ports.happened[-3:-1], [("retire", first), ("STOPPING",)])
        self.assertIn(("squatted", first), self.ports.told)
        self.daemon.squatted(first)
        self.exit(first)
        self.assertEqual(self.core.state, "BACKOFF")


class ForgetTests(Driver):
    def test_failures(self):
        """
        Failures that count no longer are forgotten, and with them the app.
        """
        self.exit(self.start())
        self.ports.waiting = False
        self.after(1)
        self.assertEqual(self.core.state, "COLD")
        self.after(600)
        self.assertEqual((self.core.failures, self.ports.happened[-1]), ([], ("forgiven",)))

    def test_givenUp(self):
        """
        So is an app that was given up and that nobody asks for.
        """
        self.give_up()
        self.after(600)
        self.assertEqual((self.core.state, self.core.given_up), ("COLD", 0))
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])

    def test_unasked(self):
        """
        An app that runs unasked is tried again unasked.
        """
        self.ports.always_on = True
        self.give_up()
        self.after(60)
        self.assertIn(("half_open", 0), self.ports.told)
        self.grant()
        self.assertEqual(self.core.state, "STARTING")
