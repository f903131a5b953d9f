"""
What was changed, shown and put back, on a node with two edges.
"""

from __future__ import annotations

import getpass
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for

HELLO = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
ME = getpass.getuser()
TRIES = 12  # connections, so that both edges are asked


def demo(*domains: dict[str, Any], **app: Any) -> dict[str, Any]:
    """The account, with its one app."""
    hello = {"name": "hello", "runtime": "wsgi", "module": "hello:app", "directory": ".", **app}
    return {"account": "demo", "apps": [hello], "domains": list(domains)}


def leads(name: str, *aliases: str, **to: Any) -> dict[str, Any]:
    return {"name": name, "aliases": list(aliases), "mappings": [{"path": "/", **to}]}


class HistoryTests(SynchronousTestCase):
    """`hostedge changes`, `diff`, `undo` and `explain --at`."""

    def setUp(self) -> None:
        self.node = Node(edges=2)
        self.addCleanup(self.node.stop)
        self.node.write("demo/hello.py", HELLO)
        self.node.start()

    def told(self, *words: str) -> str:
        """What a command prints, in lines that fit."""
        done = self.node.command(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        if "--json" not in words:
            for line in done.stdout.splitlines():
                self.assertLessEqual(len(line), 80, line)
        return done.stdout

    def refused(self, *words: str) -> str:
        done = self.node.command(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def answers(self, name: str) -> set[int]:
        """The status that the edges answer a name with, asked often enough to ask them all."""
        return {self.node.get(name).status for _ in range(TRIES)}

    def steps(self, url: str, *more: str) -> dict[str, dict[str, Any]]:
        answer = json.loads(self.told("--json", "explain", url, *more))
        return {step["step"]: step for step in answer["steps"]}

    def test_undoIsLive(self) -> None:
        """
        What an undo has put back is served by every edge when the command returns.
        """
        old = {"redirect": "https://old.test/", "status": 307}
        self.node.apply(demo(leads("a.test", "b.test", **old)))
        self.assertEqual(self.answers("b.test"), {307})
        self.node.apply(demo(leads("a.test", redirect="https://new.test/", status=302)))
        self.assertEqual((self.answers("a.test"), self.answers("b.test")), ({302}, {404}))
        said = self.told("undo", "2", "--dry-run")
        self.assertIn("This would be 1 changed; nothing was changed.", said)
        self.assertEqual((self.answers("a.test"), self.answers("b.test")), ({302}, {404}))
        self.assertEqual(self.node.status()["revision"], 2)
        said = self.told("undo", "2")
        self.assertIn("domain/a.test", said)
        self.assertIn("Live at revision 3: 1 changed.", said)
        self.assertEqual((self.answers("a.test"), self.answers("b.test")), ({307}, {307}))
        self.told("undo", "3")
        self.assertEqual((self.answers("a.test"), self.answers("b.test")), ({302}, {404}))
        revisions = {edge["revision"] for edge in self.node.status()["edges"]}
        self.assertEqual(revisions, {4})

    def test_refused(self) -> None:
        """
        Who has changed the same again is named; nothing changes, and no traceback is logged.
        """
        self.node.apply(demo(leads("a.test", app="hello")))
        self.node.apply(demo(leads("a.test", "b.test", app="hello")))
        said = self.refused("undo", "1")
        self.assertIn("revision 1: domain/a.test was changed again at revision 2", said)
        self.assertIn(f"by {ME}", said)
        self.assertIn("there is no revision 7; the newest is 2", self.refused("undo", "7"))
        self.assertIn("want the number of a revision", self.refused("undo", "HEAD"))
        self.assertIn("there is no revision 7", self.refused("diff", "7"))
        past = self.refused("explain", "http://a.test/", "--at", "7")
        self.assertIn("at: there is no revision 7; the newest is 2", past)
        self.assertIn("want KIND/", self.refused("changes", "a b"))
        self.assertEqual(self.node.status()["revision"], 2)
        self.assertNotIn("Traceback", self.node.log())

    def test_changesAndDiff(self) -> None:
        """
        Who changed what, and from what to what, as a site file has it.
        """
        self.node.apply(demo(leads("a.test", app="hello"), threads=2))
        self.node.apply(demo(leads("a.test", app="hello"), threads=3))
        head, first, second = self.told("changes", "app/demo/hello").splitlines()
        self.assertEqual(head.split(), ["REVISION", "TIME", "WHO", "CHANGE", "OBJECT"])
        self.assertEqual(first.split()[0::4], ["1", "created"])
        self.assertEqual([*second.split()[3:]], [ME, "changed", "app/demo/hello"])
        self.assertEqual(len(self.told("changes", "--since", "1").splitlines()), 2)
        self.assertEqual(len(self.told("changes", "--since", "1h").splitlines()), 5)
        self.assertEqual(len(self.told("changes", "a.test").splitlines()), 2)
        said = self.told("diff", "2")
        self.assertIn(f", by {ME}\n\n--- app/demo/hello\n+++ app/demo/hello\n", said)
        self.assertIn("\n-threads: 2\n+threads: 3\n", said)
        self.assertNotIn("\x1b", said)
        self.assertIn("+++ account/demo", self.told("diff", "..2"))
        self.assertEqual(self.told("diff", "2", "a.test"), "Nothing is different.\n")

    def test_explainThePast(self) -> None:
        """
        What was is explained by the names, apps and owners of then; the app that runs is
        neither stopped nor told anything.
        """
        apart = leads("b.test", app="hello")
        self.node.apply(demo(leads("a.test", app="hello"), apart, threads=2))
        self.assertEqual(self.answers("a.test"), {200})
        other = {"account": "other", "domains": [leads("a.test", redirect="https://x.test/")]}
        self.node.apply(demo(apart, threads=6), other)
        self.assertEqual((self.answers("a.test"), self.answers("b.test")), ({308}, {200}))
        wait_for(
            "the app has been swapped",
            lambda: "generation 2" in self.steps("http://b.test/")["answer"]["reason"],
        )
        wait_for(
            "it has had its slow start",
            lambda: "of 3 places taken" in self.steps("http://b.test/")["answer"]["reason"],
        )
        before = self.steps("http://b.test/")["answer"], self.node.apps()["demo/hello"]["pid"]
        now, then = self.steps("http://a.test/"), self.steps("http://a.test/", "--at", "1")
        self.assertIn("of account other, store revision 2", now["host"]["reason"])
        self.assertEqual(now["host"]["changed"]["revision"], 2)
        self.assertIn("of account demo, store revision 1", then["host"]["reason"])
        self.assertEqual(then["host"]["changed"]["revision"], 1)
        self.assertEqual(then["host"]["changed"]["who"], ME)
        self.assertIn("relayed", then["answer"]["answer"])
        self.assertIn("now: app demo/hello, generation 2", then["answer"]["reason"])
        self.assertEqual(then["answer"]["changed"]["key"], "app/demo/hello")
        self.assertIn("now: ", then["daemon"]["reason"])
        said = self.told("explain", "https://a.test/", "--at", "1")
        self.assertTrue(said.startswith("GET https://a.test/ at revision 1\n"), said)
        self.assertIn(f"by {ME}", said)
        after = self.steps("http://b.test/")["answer"], self.node.apps()["demo/hello"]["pid"]
        self.assertEqual(after, before)
