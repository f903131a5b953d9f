"""
The rules of the house that a reviewer should not have to remember.

Each test names the rule; the message says what to do about a violation.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementedBy

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hostedge"

PURE = (
    "hostedge.errors",
    "hostedge.settings",
    "hostedge.model",
    "hostedge.routes",
    "hostedge.filters",
    "hostedge.wire",
    "hostedge.balance",
    "hostedge.http.exchange",
    "hostedge.supervise.alarm",
    "hostedge.supervise.confinement",
    "hostedge.supervise.group_limits",
    "hostedge.supervise.ladder",
    "hostedge.supervise.demand",
    "hostedge.supervise.entering",
    "hostedge.supervise.event",
    "hostedge.supervise.machine",
    "hostedge.supervise.pressure",
    "hostedge.supervise.daemon_counts",
    "hostedge.supervise.journey",
    "hostedge.supervise.next_timer",
    "hostedge.supervise.reasons",
    "hostedge.supervise.variables",
    "hostedge.supervise.roster",
    "hostedge.ws.machine",
    "hostedge.store.reader",
)

# modules that hold messages, values or lists only: what uses them tests them
WITHOUT_TEST = (
    "hostedge.api.parts",
    "hostedge.http.calling",
    "hostedge.http.placing",
    "hostedge.ipc",
    "hostedge.mappings.parts",
    "hostedge.model.kind",
    "hostedge.model.site",
)

# modules that are two ends of one wire, or whose work is a whole node: tested where it shows
TESTED_IN = {
    "hostedge.supervise.event": "tests/supervise/test_events.py",
    "hostedge.cli.manhole": "tests/live/test_manhole.py",
    "hostedge.compose": "tests/live/test_node.py",
    "hostedge.console.sessions": "tests/live/test_manhole.py",
    "hostedge.console.ssh": "tests/live/test_manhole.py",
    "hostedge.console.unix": "tests/live/test_manhole.py",
    "hostedge.edge": "tests/live/test_node.py",
    "hostedge.keeper": "tests/live/test_node.py",
    "hostedge.tap": "tests/live/test_start.py",
    "hostedge.links.edge": "tests/links/test_keeper.py",
    "hostedge.links.listeners": "tests/live/test_link.py",
    "hostedge.links.template": "tests/live/test_node.py",
    "hostedge.net.blocking": "tests/live/test_link.py",
    "hostedge.supervise.entering": "tests/supervise/test_machine.py",
    "hostedge.supervise.running": "tests/live/test_daemons.py",
    "hostedge.supervise.probing": "tests/live/test_daemons.py",
    "hostedge.supervise.surroundings": "tests/supervise/test_supervised.py",
    "hostedge.supervise.telling": "tests/supervise/test_supervised.py",
    "hostedge.supervise.waiting": "tests/supervise/test_supervised.py",
    "hostedge.store.tables": "tests/store/test_upgrade.py",
}

# lines of a module and of a function past which splitting is the better answer
LONG_MODULE = 600
LONG_FUNCTION = 60
# a machine is one function with a block for each state, a role one list of parts
LONG_BY_NATURE = (
    "hostedge.compose",
    "hostedge.supervise.ending",
    "hostedge.supervise.machine",
    "hostedge.ws.machine",
)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "migrations" not in dotted:
            yield dotted.removesuffix(".__init__"), path


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == p or name.startswith(p + ".") for p in packages)


class ArchitectureTests(SynchronousTestCase):
    """The shape of the tree."""

    def test_pureStaysPure(self) -> None:
        """
        Importing a pure module does not pull in Twisted, not even through a friend.
        """
        pure = [dotted for dotted, _ in modules() if within(dotted, PURE)]
        self.assertGreater(len(pure), 20)
        check = (
            "import importlib, sys\n"
            f"for name in {pure!r}:\n"
            "    importlib.import_module(name)\n"
            "    if 'twisted' in sys.modules: sys.exit(name)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, f"{done.stderr.strip()} pulls in Twisted")

    def test_edgesStaySmall(self) -> None:
        """
        What the template imports for an edge has neither a reactor nor the writer's libraries.
        """
        check = (
            "import sys\n"
            "from hostedge import compose\n"
            "compose.import_edge()\n"
            "heavy = {'twisted.internet.reactor', 'sqlalchemy', 'alembic', 'klein', 'yaml'}\n"
            "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_initFilesAreEmpty(self) -> None:
        """
        `__init__.py` holds a docstring and nothing else.
        """
        for dotted, path in modules():
            if path.name == "__init__.py":
                body = ast.parse(path.read_text()).body
                self.assertLess(len(body), 2, f"{dotted}: code goes in a module")

    def test_noGlobalReactor(self) -> None:
        """
        Only the composition root touches the global reactor.
        """
        for dotted, path in modules():
            if dotted not in ("hostedge.compose", "hostedge.tap") and not within(
                dotted, ("hostedge.cli",)
            ):
                self.assertNotIn(
                    "import reactor", path.read_text(), f"{dotted}: take it as an argument"
                )

    def test_docstringsNavigate(self) -> None:
        """
        Every module with code says who calls it and what leaves it.
        """
        for dotted, path in modules():
            tree = ast.parse(path.read_text())
            if any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in tree.body):
                text = ast.get_docstring(tree) or ""
                self.assertRegex(text, r"(?m)^In:  ", f"{dotted}: say who calls it")
                self.assertRegex(text, r"(?m)^Out: ", f"{dotted}: say what leaves it")

    def test_testsMirrorModules(self) -> None:
        """
        Every module with code has its test file, here or among the live ones.
        """
        for dotted, path in modules():
            tree = ast.parse(path.read_text())
            if dotted in WITHOUT_TEST or not any(
                isinstance(n, ast.FunctionDef | ast.ClassDef) for n in tree.body
            ):
                continue
            relative = path.relative_to(PACKAGE)
            name = f"test_{relative.name}"
            places = [ROOT / "tests" / relative.parent / name, ROOT / "tests" / "live" / name]
            if dotted in TESTED_IN:
                places = [ROOT / TESTED_IN[dotted]]
            self.assertTrue(any(p.exists() for p in places), f"{dotted} has no {places[0]}")

    def test_camelCaseMeansTwistedCallsIt(self) -> None:
        """
        A camelCase method overrides a base class or fulfils a zope interface.
        """
        for dotted, path in modules():
            if not re.search(r"def [a-z]+[A-Z]", path.read_text()):
                continue
            module = importlib.import_module(dotted)
            for _, cls in inspect.getmembers(module, inspect.isclass):
                if cls.__module__ != dotted or getattr(cls, "_is_protocol", False):
                    continue
                inherited = {n for base in cls.__mro__[1:] for n in vars(base)}
                inherited |= {n for iface in implementedBy(cls) for n in iface.names(all=True)}
                for name, value in vars(cls).items():
                    if inspect.isfunction(value) and re.match(r"[a-z]+[A-Z]", name):
                        self.assertIn(name, inherited, f"{dotted}.{cls.__name__}: use snake_case")

    def test_filesStayShort(self) -> None:
        """
        No module and no function has grown past what one idea needs.
        """
        for dotted, path in modules():
            text = path.read_text()
            self.assertLess(text.count("\n"), LONG_MODULE, f"split {dotted}")
            if dotted in LONG_BY_NATURE:
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or 0) - node.lineno
                    self.assertLess(length, LONG_FUNCTION, f"{dotted}.{node.name}")
