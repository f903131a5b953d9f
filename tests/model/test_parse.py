"""
Tests for `hostedge.model.parse`.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from attrs import frozen
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.mappings import known as mappings
from hostedge.model.parse import Words, object_document, parse_object, parse_site, site_document
from hostedge.model.site import Account, Certificate, Domain, Mapping, Site
from hostedge.runtimes import known as runtimes
from hostedge.store.plan import objects_of
from tests.model.words import (
    WORDS,
    Elsewhere,
    Files,
    Script,
    ToApp,
    Word,
    pair,
    sites,
)

SITE = """
account: demo
apps:
  - {name: hello, runtime: script, command: [a, b], idle: 30m, environment: {A: b}}
  - {name: chat, runtime: script, command: [c], processes: 2, directory: apps/chat}
pools:
  - {name: legacy, servers: [{address: "10.0.0.7:80"}, {address: "10.0.0.8:80", weight: 2}]}
domains:
  - name: Demo.localhost.
    aliases: ["*.demo.localhost"]
    mappings:
      - {path: /, app: hello}
      - {path: /static/, static: www/static, expires: 1h, fallthrough: hello}
      - {path: /old, redirect: "https://demo.localhost/new", status: 302}
      - {path: /legacy, pool: legacy}
  - {name: other.localhost}
"""


class ParseTests(SynchronousTestCase):
    """Site files: read, refused with the way to the value, written back."""

    def document(self) -> Any:
        return yaml.safe_load(SITE)

    def test_errorPages(self) -> None:
        """Pages for refusals are read and written back; a status stands once and is one."""
        document = self.document()
        document["domains"][0]["errors"] = pages = [
            {"status": 404, "page": "<p>no"},
            {"status": "5xx", "page": "<p>{{id}}"},
        ]
        site = parse_site(document, "site.yaml", WORDS)
        self.assertEqual([each.status for each in site.domains[0].errors], ["404", "5xx"])
        self.assertEqual(parse_site(site_document(site, WORDS), "again", WORDS), site)
        for wrong, said in (
            ({"status": 404, "page": "x"}, "404 stands here twice"),
            ({"status": 200, "page": "x"}, "want a status from 400 to 599, 4xx or 5xx"),
            ({"status": True, "page": "x"}, "want a status from 400 to 599"),
            ({"status": 403, "page": " "}, "want a page of HTML"),
            ({"status": 403, "page": "é" * 40_000}, "want at most 65536 bytes"),
            ({"status": 403}, "page: is missing"),
        ):
            document["domains"][0]["errors"] = [pages[0], wrong]
            self.assertIn(said, self.refused(document))

    def test_hsts(self) -> None:
        """How long is always said; what browsers make final needs all that they ask for it."""
        document = self.document()
        for said, back in (
            ({"max_age": 0}, {"max_age": 0}),
            ({"max_age": "30d", "preload": False}, {"max_age": "30d"}),
            (
                {"max_age": 31_536_000, "include_subdomains": True, "preload": True},
                {"max_age": "365d", "include_subdomains": True, "preload": True},
            ),
        ):
            document["domains"][0]["hsts"] = said
            site = parse_site(document, "site.yaml", WORDS)
            written = site_document(site, WORDS)
            self.assertEqual(written["domains"][0]["hsts"], back)  # type: ignore[index]
            self.assertEqual(parse_site(written, "again", WORDS), site)
        for wrong, wanted in (
            ({}, "hsts: max_age: is missing"),
            ({"max_age": -1}, "hsts: max_age: want a duration"),
            ({"max_age": "30d", "include_subdomains": 1}, "include_subdomains: want true or"),
            ({"max_age": "365d", "preload": True}, "hsts: preload: want include_subdomains"),
            (
                {"max_age": "30d", "include_subdomains": True, "preload": True},
                "hsts: preload: want include_subdomains and a max_age of 365d",
            ),
        ):
            document["domains"][0]["hsts"] = wrong
            self.assertIn(wanted, self.refused(document))

    def refused(self, document: object) -> str:
        error = self.assertRaises(ConfigError, parse_site, document, "site.yaml", WORDS)
        return str(error)

    def test_whole(self) -> None:
        """
        A site file becomes the values that it stands for, in normal form.
        """
        site = parse_site(self.document(), "site.yaml", WORDS)
        self.assertEqual(site.account, Account("demo"))
        self.assertEqual([app.name for app in site.apps], ["hello", "chat"])
        self.assertEqual(site.apps[0].idle, 1800.0)
        self.assertEqual(site.apps[1].run, Script(("c",), 2))
        self.assertEqual([server.weight for server in site.pools[0].servers], [1, 2])
        self.assertEqual(site.domains[0].name, "demo.localhost")
        self.assertEqual(site.domains[0].aliases, ("*.demo.localhost",))
        self.assertEqual(
            site.domains[0].mappings[:3],
            (
                Mapping("/", ToApp("hello")),
                Mapping("/static", Files("www/static", 3600.0, "hello")),
                Mapping("/old", Elsewhere("https://demo.localhost/new", 302)),
            ),
        )

    def test_accountWithOptions(self) -> None:
        """
        An account is a name, or a name with options; empty lists may be left empty.
        """
        for account in ("demo", {"name": "demo"}):
            document = {"account": account, "apps": None, "domains": []}
            self.assertEqual(parse_site(document, "x", WORDS), Site(Account("demo")))
        site = parse_site({"account": {"name": "demo", "suspended": True}}, "x", WORDS)
        self.assertEqual(site_document(site, WORDS)["account"], {"name": "demo", "suspended": True})

    def test_refused(self) -> None:
        """
        Each wrong value is named by its way from the top, with what is wanted.
        """
        domain = "site.yaml: domains[0] (Demo.localhost.)"
        normal = "site.yaml: domains[0] (demo.localhost)"
        for path, value, wanted in (
            (("users",), [], "site.yaml: users: is not known here; known: account, apps"),
            (
                ("zones",),
                [{"name": "a.b", "records": [{"name": "@", "type": "A", "data": "x"}]}],
                "site.yaml: zones[0] (a.b): records[0]: data: want A data such as 192.0.2.1, not",
            ),
            (("zones",), [{"name": "a.b"}, {"name": "A.b."}], "zones: a.b stands here twice"),
            (("account",), None, "site.yaml: account: want a name"),
            (("account",), {"name": "x", "y": 1}, "site.yaml: account: y: is not known here"),
            (("apps",), {}, "site.yaml: apps: want a list"),
            (("apps", 0), "x", "site.yaml: apps[0]: want keys and values"),
            (("apps", 1, "name"), "hello", "site.yaml: apps: hello stands here twice"),
            (("apps", 0, "runtime"), "php", "runtime: want one of script, not 'php'"),
            (("apps", 0, "runtime"), [], "runtime: want one of script, not []"),
            (("apps", 0, "idle"), "x", "site.yaml: apps[0] (hello): idle: want a duration"),
            (("apps", 0, "queue"), -1, "queue: want a whole number from 0"),
            (("apps", 0, "stop_timeout"), 0, "stop_timeout: want more than 0"),
            (("apps", 0, "buffer"), "x", "buffer: want spool or stream"),
            (("apps", 0, "directory"), "../x", "directory: want a path without"),
            (("apps", 0, "environment"), {"LD_X": ""}, "environment: want other names"),
            (("apps", 0, "processes"), 0, "site.yaml: apps[0] (hello): processes: 'processes'"),
            (("apps", 0, "threads"), 1, "threads: is not known here; known: name, runtime"),
            (("pools", 0, "servers"), [], "pools[0] (legacy): servers: want at least one"),
            (("pools", 0, "servers", 1, "weight"), -1, "(legacy): servers[1]: weight: want"),
            (("pools", 0, "servers", 1, "address"), "10.0.0.7:80", "servers: 10.0.0.7:80 stands"),
            (("pools", 0, "maxconn"), 0, "maxconn: want a whole number from 1"),
            (("domains", 0, "name"), "a_b", "site.yaml: domains[0] (a_b): name: want a host name"),
            (("domains", 0, "aliases"), ["*.*"], f"{domain}: aliases[0]: want a host name"),
            (("domains", 0, "x"), 1, f"{domain}: x: is not known here; known: name, aliases, err"),
            (("domains", 0, "mappings"), {"x": 1}, f"{domain}: mappings: want a list"),
            (
                ("domains", 0, "mappings", 2, "status"),
                5,
                f"{domain}: mappings[2]: status: 'stat",
            ),
            (("domains", 0, "mappings", 2, "app"), "a", "mappings[2]: want exactly one of app, "),
            (("domains", 0, "mappings", 2), {"path": "/"}, "mappings[2]: want exactly one of app"),
            (("domains", 0, "mappings", 2), {"app": "a"}, "mappings[2]: path: is missing"),
            (("domains", 0, "mappings", 2, "path"), "x", "mappings[2]: path: want a path that"),
            (("domains", 0, "mappings", 2, "path"), "/static", "mappings: /static stands here tw"),
            (("domains", 0, "mappings", 1, "static"), "/", "mappings[1]: static: want a path rel"),
            (("domains", 0, "mappings", 0, "app"), "x", f"{normal}: mappings[0]: app: want the n"),
            (("domains", 0, "mappings", 3, "pool"), "hello", "pool: want the name of one of"),
            (("domains", 0, "mappings", 1, "fallthrough"), "x", "fallthrough: want the name"),
            (("domains", 1, "name"), "DEMO.localhost", "domains[1] (demo.localhost): demo.localh"),
            (("domains", 1, "aliases"), ["*.demo.localhost"], "stands at demo.localhost already"),
            (("domains", 1, "aliases"), [f"a{i}.x" for i in range(1001)], "want at most 1000"),
        ):
            document = at = self.document()
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = value
            self.assertIn(wanted, self.refused(document))
        self.assertIn("site.yaml: account: is missing", self.refused({}))
        self.assertIn("site.yaml: want keys and values", self.refused([]))

    @settings(max_examples=40, deadline=None)
    @given(sites())
    def test_roundTrip(self, site: Site) -> None:
        """
        What a site is written as gives the same site, through YAML and through JSON.
        """
        document = site_document(site, WORDS)
        self.assertEqual(parse_site(document, "x", WORDS), site)
        text = yaml.safe_dump(document, sort_keys=False)
        self.assertEqual(parse_site(yaml.safe_load(text), "x", WORDS), site)
        self.assertEqual(list(json.loads(json.dumps(document))), list(document))

    @settings(max_examples=40, deadline=None)
    @given(sites())
    def test_objectsRoundTrip(self, site: Site) -> None:
        """
        Each object alone is written and read by its key.
        """
        for key, value in objects_of(site):
            document = json.loads(json.dumps(object_document(value, WORDS)))
            self.assertEqual(parse_object(key, document, WORDS), value)

    def test_objectRefused(self) -> None:
        """
        A key of no kind, a name that is not the key's, and wrong values name the key.
        """
        for key, document, wanted in (
            ("x/y", {}, "x/y: want account, app, pool"),
            ("certificate/a/b", {"name": "b"}, "certificate/a/b: chain: is missing"),
            ("account/a", {"name": "b"}, "account/a: name: want the name in the key, not b"),
            ("pool/a/p", {"name": "p"}, "pool/a/p: servers: is missing"),
            ("domain/a", [], "domain/a: want keys and values"),
        ):
            error = self.assertRaises(ConfigError, parse_object, key, document, WORDS)
            self.assertIn(wanted, str(error))


class CertificateTests(SynchronousTestCase):
    """Customers' own certificates."""

    def parse(self, **values: object) -> Site:
        document = {"account": "demo", "certificates": [{"name": "own", "key": "k", **values}]}
        return parse_site(document, "site.yaml", WORDS)

    def test_namesOfTheChain(self) -> None:
        """
        Names left out are all that the certificate is made out to.
        """
        chain = pair("a.example", "*.b.example")[0]
        own = Certificate("own", ("a.example", "*.b.example"), chain, "k")
        self.assertEqual(self.parse(chain=chain).certificates, (own,))
        some = self.parse(chain=chain, names=["x.b.example"])
        self.assertEqual(some.certificates[0].names, ("x.b.example",))
        self.assertEqual(parse_site(site_document(some, WORDS), "x", WORDS), some)

    def test_refused(self) -> None:
        """
        Names that the certificate is not good for, and what is no chain, are refused.
        """
        chain, key = pair("a.example")
        for values, wanted in (
            ({"chain": chain, "names": ["b.example"]}, "names: the certificate is not made out"),
            ({"chain": chain, "names": ["a.example"] * 2}, "names: a.example stands here twice"),
            ({"chain": "x"}, "site.yaml: certificates[0] (own): chain: want certificates in PEM"),
            ({"chain": chain + key}, "chain: want certificates only"),
            ({"chain": 1}, "chain: want a text"),
            ({}, "chain: is missing"),
        ):
            error = self.assertRaises(ConfigError, self.parse, **values)
            self.assertIn(wanted, str(error))


class KnownWordsTests(SynchronousTestCase):
    """The words that the program has."""

    def test_roundTrip(self) -> None:
        """
        They make site files that can be read, refused at the right place, and written back.
        """
        words = Words(mappings.KINDS, runtimes.KINDS)
        document = {
            "account": "demo",
            "apps": [
                {"name": "a", "runtime": "wsgi", "module": "hello:app", "processes": 2},
                {"name": "b", "runtime": "command", "command": ["python", "chat.py"]},
            ],
            "domains": [
                {
                    "name": "a.example",
                    "mappings": [
                        {"path": "/", "static": "www", "expires": "1h", "fallthrough": "a"},
                        {"path": "/old", "redirect": "https://b.example", "status": 301},
                    ],
                }
            ],
        }
        site = parse_site(document, "site.yaml", words)
        self.assertEqual(site_document(site, words), document)
        document["apps"][0]["processes"] = 0  # type: ignore[index]
        error = self.assertRaises(ConfigError, parse_site, document, "site.yaml", words)
        self.assertIn("site.yaml: apps[0] (a): processes: want 1 to", str(error))


@frozen
class Misnamed:
    target: str


@frozen
class Mixed:
    mixed: str
    app: str = ""


@frozen
class Clashing:
    directory: str


class WordsTests(SynchronousTestCase):
    """Words that would make site files ambiguous are refused when the program starts."""

    def test_ourOwnFault(self) -> None:
        """
        The first field is the word; no option is another word or an option of every app.
        """
        app = Word("app", ToApp)
        self.assertRaises(TypeError, Words, (Word("misnamed", Misnamed),), ())
        self.assertRaises(TypeError, Words, (app, Word("mixed", Mixed)), ())
        self.assertRaises(TypeError, Words, (), (Word("clashing", Clashing),))

    def test_emptyDomain(self) -> None:
        """
        A domain without mappings is one that answers nothing yet.
        """
        self.assertEqual(
            parse_object("domain/a.example", {"name": "a.example"}, WORDS), Domain("a.example")
        )
