"""
Tests for `hostedge.supervise.roster`.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.roster import Roster


def grant(roster):
    """All tokens that are free."""
    return list(iter(roster.next, ""))


class RosterTests(SynchronousTestCase):
    def test_oneOfAnAccount(self):
        """
        The second app of an account waits for the first, whatever room the node has.
        """
        roster = Roster(4)
        roster.ask("a", "a/1")
        roster.ask("a", "a/2")
        self.assertEqual(grant(roster), ["a/1"])
        self.assertEqual(grant(roster), [])
        roster.release("a", "a/1")
        self.assertEqual(grant(roster), ["a/2"])

    def test_twoOfAnAccount(self):
        """
        An account that may start two apps together has two tokens, if the node has.
        """
        roster = Roster(3)
        for app in ("a/1", "a/2", "a/3"):
            roster.ask("a", app, 2)
        roster.ask("b", "b/1")
        roster.ask("c", "c/1")
        self.assertEqual(grant(roster), ["a/1", "b/1", "c/1"])
        self.assertTrue(roster)
        roster.release("b", "b/1")
        self.assertEqual(grant(roster), ["a/2"])
        roster.release("c", "c/1")
        self.assertEqual(grant(roster), [])
        roster.release("a", "a/1")
        self.assertEqual(grant(roster), ["a/3"])
        self.assertFalse(roster)

    def test_accountsTakeTurns(self):
        """
        An account with many apps waits behind every other account between two of its own.
        """
        roster = Roster(1)
        for app in ("a/1", "a/2", "a/3", "b/1", "c/1"):
            roster.ask(app[0], app)
        order = []
        while granted := grant(roster):
            order += granted
            roster.release(granted[0][0], granted[0])
        self.assertEqual(order, ["a/1", "b/1", "c/1", "a/2", "a/3"])

    def test_leavingTheLine(self):
        """
        Who leaves the line is not granted; leaving twice is harmless.
        """
        roster = Roster(1)
        roster.ask("a", "a/1")
        self.assertTrue(roster.release("a", "a/1"))
        self.assertFalse(roster.release("a", "a/1"))
        self.assertEqual(grant(roster), [])

    def test_askingTwice(self):
        """
        Who asks again keeps its place, and gets one token.
        """
        roster = Roster(2)
        roster.ask("a", "a/1")
        roster.ask("a", "a/1")
        self.assertEqual(grant(roster), ["a/1"])
        roster.ask("a", "a/1")
        roster.release("a", "a/1")
        self.assertEqual(grant(roster), [])

    @given(st.lists(st.tuples(st.sampled_from("arg"), st.sampled_from("abcd"), st.integers(0, 3))))
    def test_anyOrder(self, steps):
        """
        Never more tokens than places, never two of an account, and nobody is forgotten.
        """
        roster = Roster(2)
        line, held = set(), set()
        for step, account, number in steps:
            app = f"{account}/{number}"
            if step == "a":
                roster.ask(account, app)
                line |= {app} - held
            elif step == "r":
                self.assertEqual(roster.release(account, app), app in line | held)
                line.discard(app)
                held.discard(app)
            else:
                granted = grant(roster)
                self.assertLessEqual(set(granted), line)
                line -= set(granted)
                held |= set(granted)
            self.assertLessEqual(len(held), 2)
            self.assertEqual(len({h[0] for h in held}), len(held))
        while line:
            for app in held:
                roster.release(app[0], app)
            held = set(grant(roster))
            self.assertTrue(held)
            line -= held
