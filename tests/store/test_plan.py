"""
Tests for `hostedge.store.plan`.
"""

from __future__ import annotations

import json

from attrs import evolve
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.site import Site
from hostedge.store.plan import Change, body_of, moves, objects_of, plan
from tests.model.words import WORDS, site, sites


def rows(*every: Site) -> dict[str, str]:
    return {
        key: body_of(value, each.account.name, WORDS)
        for each in every
        for key, value in objects_of(each)
    }


class PlanTests(SynchronousTestCase):
    """`plan` and `moves`."""

    @settings(max_examples=40, deadline=None)
    @given(sites(), sites())
    def test_leadsFromOneToTheOther(self, old: Site, new: Site) -> None:
        """
        The changes, made to the rows of one site, give the rows of the other.
        """
        new = evolve(new, account=evolve(new.account, name=old.account.name))
        current = rows(old)
        for change in plan([new], current, WORDS)[0]:
            self.assertEqual(current.pop(change.key, None), change.before)
            self.assertNotEqual(change.before, change.after)
            if change.after is not None:
                current[change.key] = change.after
        self.assertEqual(current, rows(new))
        self.assertEqual(plan([new], current, WORDS), ([], {}))

    def test_claimedTwice(self) -> None:
        """
        Two sites of one call must not claim the same thing.
        """
        one = site("one", a_example=("b.example",))
        for other, wanted in (
            (site("one"), "account one: account/one is given twice"),
            (site("two", b_example=()), "account two: b.example is a name of account one"),
            (site("two", a_example=()), "account two: domain/a.example is given twice"),
        ):
            error = self.assertRaises(ConfigError, plan, [one, other], {}, WORDS)
            self.assertIn(wanted, str(error))

    def test_ownerIsInTheRow(self) -> None:
        """
        A domain's row names its owner, so that a domain that changes hands has changed.
        """
        one, two = site("one", a_example=()), site("two", a_example=())
        changes, _ = plan([evolve(one, domains=()), two], rows(one), WORDS)
        moved = next(change for change in changes if change.key == "domain/a.example")
        owners = [json.loads(body or "")["account"] for body in (moved.before, moved.after)]
        self.assertEqual(owners, ["one", "two"])
        self.assertEqual(moved.kind, "domain")

    def test_moves(self) -> None:
        """
        Names that stay with their domain do not move; what goes from one to another does.
        """
        before = rows(site("one", a_example=("b.example", "c.example"), d_example=()))
        after = rows(site("one", a_example=("c.example",), d_example=("b.example", "e.example")))
        changes = [
            Change(key, before[key], after[key]) for key in before if key.startswith("domain/")
        ]
        moved = moves([*changes, Change("account/x", None, "{}")])
        self.assertEqual(moved.lost, {"b.example": ("a.example", "one")})
        holder = "d.example", "one"
        self.assertEqual(moved.gained, {"b.example": holder, "e.example": holder})

    def test_movesBetweenAccounts(self) -> None:
        """
        The names of a domain that changes hands move, though they lead to the same domain.
        """
        one, two = (rows(site(name, a_example=())) for name in ("one", "two"))
        key = "domain/a.example"
        moved = moves([Change(key, one[key], two[key])])
        self.assertEqual(moved.lost, {"a.example": ("a.example", "one")})
        self.assertEqual(moved.gained, {"a.example": ("a.example", "two")})
