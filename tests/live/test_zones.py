"""
Zones on a running node: what the `hostedge zone` command does to them.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import TestCase

from tests.live.node import Node

SITE = {
    "account": "demo",
    "pools": [{"name": "none", "servers": [{"address": "127.0.0.1:1"}]}],
    "domains": [{"name": "www.demo.test", "mappings": [{"path": "/", "pool": "none"}]}],
}
ZONE = """\
$ORIGIN demo.test.
$TTL 1h
@   SOA ns1 hostmaster ( 40 2h 15m
        2w 5m )   ; as the old server had it
    NS  ns1
    NS  ns.example.net.
    MX  10 mail
ns1 A   192.0.2.53
mail 5m A 192.0.2.25
"""


class ZoneTests(TestCase):
    """One node, one zone from its zone file to its end."""

    def setUp(self) -> None:
        self.node = Node(edges=1, settings='[dns]\naddresses = ["192.0.2.1", "2001:db8::1"]\n')
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.apply(SITE)
        self.file = self.node.folder / "demo.zone"
        self.file.write_text(ZONE)

    def zone(self, *words: str, status: int = 0, stdin: str = "") -> str:
        """What the command prints; on stderr where it fails."""
        done = self.node.command("zone", *words, stdin=stdin)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr + self.node.log())
        return done.stderr or done.stdout

    def test_life(self) -> None:
        """
        A zone file is imported, shown, checked, changed and kept by an export.
        """
        importing = ("import", str(self.file), "--account", "demo")
        said = self.zone(*importing, "--dry-run")
        self.assertIn("+ mail 300 A 192.0.2.25\n", said)
        self.assertIn("Zone demo.test would be created: 6 records new, 0 gone; noth", said)
        self.assertIn("there is no zone demo.test", self.zone("show", "demo.test", status=1))
        self.assertIn("Live at revision 2: zone demo.test created", self.zone(*importing))
        self.assertIn("Nothing to change", self.zone(*importing))

        shown = self.zone("show", "Demo.test.")
        self.assertIn("$ORIGIN demo.test.\n$TTL 3600\n", shown)
        # 40 of the file, and the revision
        self.assertRegex(shown, r"@ +IN SOA +ns1\.demo\.test\. hostmaster\.demo\.test\. 42 7200 ")
        self.assertRegex(shown, r"mail +300 IN A +192\.0\.2\.25\n")
        self.assertIn("; www.demo.test. is a domain: 192.0.2.1 2001:db8::1\n", shown)
        # what is shown is a zone file again
        self.assertIn("Nothing to change", self.zone(*_as(importing, "-"), stdin=_served(shown)))

        self.assertEqual(self.zone("check"), "Checked: 1 zone.\n")
        self.file.write_text(ZONE.replace("10 mail", "10 www\n NS ns2").replace("mail 5m", "mail"))
        said = self.zone(*importing)
        self.assertIn("- @ 3600 MX 10 mail.demo.test.\n", said)
        self.assertIn("zone demo.test changed, 3 records new, 2 gone.", said)
        found = self.zone("check", "demo.test", status=1)
        self.assertRegex(found, r"error +@ NS +ns2\.demo\.test\. has no A or AAAA")
        self.assertNotIn("MX", found)

        exported = self.node.command("export").stdout
        self.assertIn("zones:", exported)
        self.assertIn("Nothing to change", self.node.command("apply", "-", stdin=exported).stdout)
        keys = [json.loads(line)["key"] for line in self.changes()]
        self.assertEqual(keys.count("zone/demo.test"), 2)

    def test_refused(self) -> None:
        """
        What is refused is one line that says what to do, and changes nothing.
        """
        self.zone("import", str(self.file), "--account", "demo")
        self.node.apply({"account": "other"})
        for words, wanted in (
            (("import", str(self.file), "--account", "other"), "demo.test is a zone of account de"),
            (("import", str(self.file), "--account", "nobody"), "there is no account nobody"),
            (("import", "/nowhere", "--account", "demo"), "/nowhere: cannot be read"),
            (("show", "a..b"), "want a host name"),
            (("check", "other.test"), "there is no zone other.test"),
        ):
            said = self.zone(*words, status=1)
            self.assertIn(wanted, said)
            self.assertEqual(said.count("\n"), 1)
        self.assertEqual(self.node.status()["revision"], 3)

    def changes(self) -> list[str]:
        return self.node.command("changes", "--json").stdout.splitlines()


def _as(words: tuple[str, ...], file: str) -> tuple[str, ...]:
    return (words[0], file, *words[2:])


def _served(shown: str) -> str:
    """What was shown, with the serial that stands in the zone itself."""
    return shown.replace(" 42 7200", " 40 7200")
