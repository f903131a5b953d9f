"""A mapping's own limits, by the node's table."""

from __future__ import annotations

from math import inf
from typing import Any

import yaml
from attrs import asdict, evolve, fields, frozen
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.limits import MappingLimits, limits_of, told
from hostedge.model.names import Size
from hostedge.model.parse import Words, parse_site, site_document
from hostedge.settings import Limits


@frozen
class ToApp:
    app: str
    limits: MappingLimits | None = None


class Kind:
    word = "app"
    value = ToApp


@frozen
class Run:
    command: str


class Runtime:
    word = "run"
    value = Run


WORDS = Words((Kind(),), (Runtime(),))
SITE = """
account: demo
apps: [{name: x, runtime: run, command: y}]
domains:
  - {name: a.test, mappings: [{path: /, app: x, limits: {%s}}]}
"""


class MappingLimitsTests(SynchronousTestCase):
    """What may be said, and what comes of it."""

    def read(self, text: str) -> Any:
        site = parse_site(yaml.safe_load(SITE % text), "f", WORDS)
        (domain,) = site_document(site, WORDS)["domains"]  # type: ignore[misc]
        return site.domains[0].mappings[0].to.limits, domain["mappings"][0].get("limits")  # type: ignore[attr-defined]

    def test_read(self) -> None:
        """Sizes and durations have units, and keep them."""
        own, written = self.read(
            "body_size: 2g, body_timeout: 2m, response_timeout: 600, body_rate: 0, read_rate: 1"
        )
        self.assertEqual(
            asdict(own, filter=lambda _, value: value is not None),
            {"body_size": 2**31, "body_timeout": 120.0, "body_rate": 0, "read_rate": 1}
            | {"response_timeout": 600.0},
        )
        self.assertEqual(
            written,
            {"body_size": "2g", "body_timeout": "2m", "body_rate": 0, "read_rate": 1}
            | {"response_timeout": "10m"},
        )

    def test_nodesCeilings(self) -> None:
        """A mapping's limits are the node's, with the node's ceilings."""
        table = {each.name: each.metadata for each in fields(Limits)}
        for name in (each.name for each in fields(MappingLimits)):
            ceiling, zero = table[name]["ceiling"], table[name]["zero"]
            if ceiling < inf:
                self.assertEqual(getattr(self.read(f"{name}: {ceiling}")[0], name), ceiling)
                with self.assertRaises(ConfigError) as caught:
                    self.read(f"{name}: {ceiling + 1}")
                problem = f"limits: {name}: want at most {ceiling}, not {ceiling + 1}"
                self.assertIn(problem, str(caught.exception))
            if zero:
                self.assertEqual(getattr(self.read(f"{name}: 0")[0], name), 0)
            else:
                self.assertRaises(ConfigError, self.read, f"{name}: 0")

    def test_mistakes(self) -> None:
        """The way to the value is told."""
        where = "f: domains[0] (a.test): mappings[0]: limits: "
        for text, problem in (
            ("header_timeout: 5", "header_timeout: is not known here"),
            ("body_size: 2t", "body_size: want a size"),
            ("body_size: -1", "body_size: want a size"),
            ("body_timeout: soon", "body_timeout: want a duration"),
            ("body_rate: 1.5", "body_rate: want a whole number"),
        ):
            with self.assertRaises(ConfigError) as caught:
                self.read(text)
            self.assertTrue(str(caught.exception).startswith(where + problem), caught.exception)

    def test_told(self) -> None:
        """Whoever asks reads what the site file says."""
        own = MappingLimits(body_size=Size(2**31), response_timeout=600.0, body_rate=0)
        self.assertEqual(told(own), "body_size 2g, body_rate 0, response_timeout 10m")

    def test_limitsOf(self) -> None:
        """What a mapping does not say is as the node has it."""
        node = evolve(Limits(), body_timeout=7.0, response_timeout=70.0)
        self.assertIs(limits_of(None, node), node)
        self.assertEqual(limits_of(MappingLimits(), node), node)
        own = MappingLimits(response_timeout=600.0, body_rate=0)
        self.assertEqual(limits_of(own, node), evolve(node, response_timeout=600.0, body_rate=0))
