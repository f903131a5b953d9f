"""
Every example and every `module:name` of the documentation is real.
"""

from __future__ import annotations

import importlib
import os
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from attrs import fields, has
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.demo import guide, pages_of, questions_of
from hostedge.cli.sites import read_sites
from hostedge.cli.words import words
from hostedge.model.limits import MappingLimits
from hostedge.model.parse import parse_site, site_document
from hostedge.model.site import (
    Account,
    App,
    Certificate,
    Domain,
    Hsts,
    Pool,
    Rate,
    Record,
    Server,
    Site,
    Zone,
)
from hostedge.settings import Limits, Settings, read_settings
from hostedge.tls.authority import Authority

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
SETTINGS = (ROOT / "docs/settings.md").read_text()
NAME = re.compile(r"`(hostedge(?:\.\w+)*):([A-Za-z_][\w.]*)`")
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
IN_DOCSTRING = re.compile(r"^Site file::\n\n((?: {4}.*\n|\n)+)", re.MULTILINE)

# what an example of one line stands in, told by a key that only it has
PLACES = {
    "runtime": "apps",
    "servers": "pools",
    "chain": "certificates",
    "mappings": "domains",
    "records": "zones",
}


def examples() -> Iterator[tuple[str, str]]:
    """Every site file and piece of one, and where it stands."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            yield page.name, block
    for package in ("mappings", "runtimes"):
        for path in sorted((ROOT / "hostedge" / package).glob("*.py")):
            for block in IN_DOCSTRING.findall(path.read_text()):
                yield f"{package}/{path.name}", textwrap.dedent(block)


def whole(document: Any) -> dict[str, Any]:
    """Put a piece of a site file into an account that has what it names."""
    if isinstance(document, dict):
        return document
    site: dict[str, Any] = {"account": "demo"}
    for item in document:
        place = next((PLACES[key] for key in item if key in PLACES), "mappings")
        site.setdefault(place, []).append(item)
    mappings = site.pop("mappings", [])
    if mappings:
        site["domains"] = [{"name": "demo.localhost", "mappings": mappings}]
        apps = {
            m[option]: None for m in mappings for option in ("app", "fallthrough") if option in m
        }
        pools = {m["pool"]: None for m in mappings if "pool" in m}
        run = {"runtime": "command", "command": ["true"]}
        site["apps"] = [{"name": name, **run} for name in apps]
        site["pools"] = [{"name": name, "servers": [{"address": "127.0.0.1:1"}]} for name in pools]
    return site


class DocumentationTests(SynchronousTestCase):
    """What is written is so."""

    def read(self, document: dict[str, Any]) -> Site:
        """Read a site file with the reader of `hostedge apply`."""
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = Authority.load_or_create(folder / "ca.pem", folder / "ca.key", lambda: 1.7e9)
        chain, key, _ = authority.sign("shop.example")
        (folder / "shop.pem").write_text(chain)
        (folder / "shop.key").write_text(key)
        (folder / "site.yaml").write_text(yaml.safe_dump(document))
        ((site, _prepared),) = read_sites(str(folder / "site.yaml"), words())
        return site

    def test_namesAreThere(self) -> None:
        """
        Every `module:name` on a page can be imported.
        """
        seen = 0
        for page in PAGES:
            for dotted, name in NAME.findall(page.read_text()):
                target = importlib.import_module(dotted)
                for part in name.split("."):
                    self.assertTrue(hasattr(target, part), f"{page.name}: {dotted}:{name}")
                    target = getattr(target, part)
                seen += 1
        self.assertGreater(seen, 0)

    def test_linksLeadSomewhere(self) -> None:
        """
        Every link to a file of ours has a file at its end.
        """
        for page in PAGES:
            for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_examplesAreAccepted(self) -> None:
        """
        Every example of a site file, or of a piece of one, is taken by the real reader.
        """
        pages = set()
        for where, text in examples():
            try:
                self.read(whole(yaml.safe_load(text)))
            except Exception as error:  # noqa: BLE001 - whatever it is, say where
                self.fail(f"{where}: {error}\n{text}")
            pages.add(where)
        self.assertIn("site-file.md", pages)
        for word in (*words().shapes, *words().runs):
            kinds = {f"mappings/{word}.py", f"runtimes/{word}.py"}
            self.assertTrue(kinds & pages, f"{word}: its docstring has no example")

    def test_samplesAreAccepted(self) -> None:
        """
        The sample site files are taken as they are, and their own form is what export gives.
        """
        paths = sorted((ROOT / "etc").glob("*.yaml"))
        self.assertNotEqual(paths, [])
        for path in paths:
            for site, _ in read_sites(str(path), words()):
                again = parse_site(site_document(site, words()), path.name, words())
                self.assertEqual(again, site)

    def test_whatYouSee(self) -> None:
        """
        The README shows what `make run` prints.
        """
        # paths are told as they are shortest from here
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(ROOT)
        settings = read_settings(ROOT / "etc" / "hostedge.toml")
        sites = [site for site, _ in read_sites(str(ROOT / "etc" / "demo.yaml"), words())]
        listen = settings.listen
        bound = [
            {"protocol": protocol, "address": address}
            for protocol, (address,) in (("https", listen.https), ("dns-udp", listen.dns))
        ]
        pages, questions = list(pages_of(sites, bound)), list(questions_of(sites, bound))
        printed = "\n".join(guide(settings, pages, questions, ".venv/bin/hostedge"))
        page = (ROOT / "README.md").read_text()
        self.assertIn(f"```\n{printed}\n```\n", page)

    def test_everyOptionIsDescribed(self) -> None:
        """
        The page on site files has a row for every option of every object and word.
        """
        page = (ROOT / "docs" / "site-file.md").read_text()
        described = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
        classes = [Account, App, Pool, Domain, Certificate, Zone, Record, MappingLimits, Rate, Hsts]
        wanted = {attribute.name for each in classes for attribute in fields(each)} - {"run"}
        for shape in (*words().shapes.values(), *words().runs.values()):
            wanted |= shape.fields.keys()
        self.assertEqual(described, wanted)
        for attribute in fields(Server):
            self.assertIn(f"`{attribute.name}`", page)

    def test_defaultsAreTrue(self) -> None:
        """
        The default in a row is the one in the code.
        """
        page = (ROOT / "docs" / "site-file.md").read_text()
        sections = re.split(r"^#+ (?:runtime: )?(\w+)$", page, flags=re.MULTILINE)
        shapes = {**words().shapes, **words().runs}
        checked = 0
        for word, text in zip(sections[1::2], sections[2::2], strict=True):
            if word not in shapes:
                continue
            for name, default in re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", text, re.MULTILINE):
                field = shapes[word].fields[name]
                self.assertEqual(field.read(yaml.safe_load(default)), field.default, name)
                checked += 1
        self.assertGreater(checked, 4)

    def test_limits(self) -> None:
        """
        The table of limits is what the node goes by.
        """
        rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (?:(\d+) )?\| ", SETTINGS, re.MULTILINE)
        for each, (name, default, ceiling) in zip(fields(Limits), rows, strict=True):
            told = name, float(default), float(ceiling or "inf")
            self.assertEqual(told, (each.name, each.default, each.metadata["ceiling"]))

    def test_settings(self) -> None:
        """
        The example of a settings file has every key there is.
        """
        (text,) = re.findall(r"^```toml\n(.*?)^```$", SETTINGS, re.MULTILINE | re.DOTALL)
        example = tomllib.loads(text)
        for each in fields(Settings):
            if each.name == "file":
                continue
            self.assertIn(each.name, example)
            if has(type(each.default)) and each.name != "limits":
                keys = {every.name for every in fields(type(each.default))}
                self.assertEqual(set(example[each.name]), keys)
