"""Tests of `hostedge.cli.demo`; the command as a whole is in `tests.live`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.demo import (
    Page,
    bring_up,
    curl,
    guide,
    has_ended,
    node_command,
    pages_of,
    questions_of,
)
from hostedge.cli.words import words
from hostedge.errors import ConfigError
from hostedge.model.parse import parse_site
from hostedge.model.site import Account, Record, Site, Zone
from hostedge.settings import Settings

SITE = {
    "account": "demo",
    "domains": [
        {"name": "demo.localhost", "mappings": [{"path": "/", "redirect": "/hello"}]},
        {"name": "*.wild.test", "mappings": [{"path": "/", "redirect": "/hello"}]},
    ],
}
BOUND = [
    {"protocol": "http", "address": "127.0.0.1:8080"},
    {"protocol": "https", "address": "0.0.0.0:8443"},
]


class PageTests(SynchronousTestCase):
    """What there is to open."""

    def pages(self, bound: list[dict[str, str]]) -> list[Page]:
        return list(pages_of([parse_site(SITE, "x", words())], bound))

    def test_https(self) -> None:
        """
        Every mapping has a page, over HTTPS, at an address that can be connected to; a wildcard
        has no name to ask for.
        """
        (page,) = self.pages(BOUND)
        self.assertEqual(
            page, Page("https", "demo.localhost", "127.0.0.1", 8443, "/", "redirect /hello")
        )
        self.assertEqual(page.url, "https://demo.localhost:8443/")

    def test_http(self) -> None:
        """
        A node without HTTPS has the same pages over HTTP, one without either has none.
        """
        (page,) = self.pages(BOUND[:1])
        self.assertEqual(page.url, "http://demo.localhost:8080/")
        self.assertEqual(self.pages([]), [])

    def test_curl(self) -> None:
        """
        The command can be pasted: names without DNS are resolved in it, and no line is long.
        """
        page = Page("https", "demo.localhost", "127.0.0.1", 8443, "/x", "")
        self.assertEqual(
            list(curl(page, "var/control/ca.pem")),
            ["curl --cacert var/control/ca.pem https://demo.localhost:8443/x"],
        )
        other = Page("http", "demo.test", "127.0.0.1", 8080, "/x", "")
        self.assertEqual(
            list(curl(other, "var/control/ca.pem")),
            ["curl --resolve demo.test:8080:127.0.0.1 http://demo.test:8080/x"],
        )
        long = Page("https", "demo.test", "127.0.0.1", 8443, "/x", "")
        self.assertEqual(
            list(curl(long, "var/control/ca.pem")),
            [
                "curl --cacert var/control/ca.pem --resolve demo.test:8443:127.0.0.1 \\",
                "  https://demo.test:8443/x",
            ],
        )

    def test_guide(self) -> None:
        """
        The table, the commands, the certificate and the way to stop; all at 80 columns.
        """
        settings = Settings(Path("node.toml"), Path.cwd() / "var", Path())
        pages = self.pages(BOUND)
        socket = Page("https", "demo.localhost", "127.0.0.1", 8443, "/live", "app chat", True)
        dig = "dig @127.0.0.1 -p 8053 demo.localhost MX"
        lines = list(guide(settings, [*pages, socket], [dig], ".venv/bin/hostedge"))
        self.assertLessEqual(max(map(len, lines)), 80)
        text = "\n".join(lines)
        self.assertIn("https://demo.localhost:8443/    redirect /hello", text)
        self.assertIn("wss://demo.localhost:8443/live  app chat", text)
        self.assertEqual(
            [line for line in lines if line.startswith("curl")],
            list(curl(pages[0], "var/control/ca.pem")),
        )
        self.assertIn(dig, lines)
        self.assertIn("browsers and curl: var/control/ca.pem", text)
        self.assertIn("  .venv/bin/hostedge explain https://demo.localhost:8443/", text)
        self.assertIn("  .venv/bin/hostedge manhole\n", text)
        self.assertIn("Ctrl-C", text)


class QuestionTests(SynchronousTestCase):
    """What there is to ask over DNS."""

    def test_questions(self) -> None:
        """
        Each zone is asked for its first record, at an address that is bound.
        """
        site = Site(
            Account("demo"),
            zones=(
                Zone("demo.test", (Record("@", "MX", "10 mail.demo.test."),)),
                Zone("deep.test", (Record("_sip._tcp", "SRV", "1 1 5060 sip.deep.test."),)),
                Zone("bare.test"),
            ),
        )
        bound = [*BOUND, {"protocol": "dns-udp", "address": "127.0.0.1:8053"}]
        self.assertEqual(
            list(questions_of([site], bound)),
            [
                "dig @127.0.0.1 -p 8053 demo.test MX",
                "dig @127.0.0.1 -p 8053 _sip._tcp.deep.test SRV",
                "dig @127.0.0.1 -p 8053 bare.test SOA",
            ],
        )
        self.assertEqual(list(questions_of([site], BOUND)), [])


class StartTests(SynchronousTestCase):
    """The node's process, seen by its watcher."""

    def setUp(self) -> None:
        self.settings = Settings(Path("/x/node.toml"), Path("/x/var"), Path())

    def test_command(self) -> None:
        """
        The node is twistd in the foreground, its log in the state folder.
        """
        command = node_command(self.settings)
        self.assertEqual(command[-3:], ["hostedge", "--settings", "/x/node.toml"])
        self.assertIn("--logfile=/x/var/log/keeper.log", command)
        self.assertIn("--nodaemon", command)

    def test_endsEarly(self) -> None:
        """
        A node that ends before it can be called is said, with the place of its log.
        """
        with self.assertRaises(ConfigError) as caught:
            bring_up(self.settings, [], lambda: True)
        self.assertEqual(
            str(caught.exception),
            "node: has ended before the node answered; its log: /x/var/log/keeper.log",
        )

    def test_pidfd(self) -> None:
        """
        The end of a process is seen at once; one that lives is waited for a moment.
        """
        own = os.pidfd_open(os.getpid())
        self.addCleanup(os.close, own)
        self.assertFalse(has_ended(own, 0.0))
        child = os.posix_spawn("/bin/true", ["true"], {})
        ended = os.pidfd_open(child)
        self.addCleanup(os.close, ended)
        self.assertTrue(has_ended(ended, 10.0))
        os.waitpid(child, 0)
