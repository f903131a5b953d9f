"""Tests of `hostedge.cli.sites`."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.sites import Prepared, read_sites
from hostedge.errors import ConfigError
from hostedge.model.keys import secret_reference
from tests.api.node import words
from tests.cli.certificates import make_certificate


class ReadTests(SynchronousTestCase):
    """What is in a file, and what is wrong with it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "site.yaml"

    def read(self, text: str) -> list[Prepared]:
        self.file.write_text(text)
        return [each for _, each in read_sites(str(self.file), words())]

    def wrong(self, text: str) -> str:
        """The error, without the folder."""
        with self.assertRaises(ConfigError) as caught:
            self.read(text)
        line = str(caught.exception)
        self.assertNotIn("\n", line)
        return line.replace(f"{self.folder}/", "")

    def test_accounts(self) -> None:
        """
        One document is one account, ready to be sent.
        """
        first, second = self.read("account: a\n---\naccount: b\n")
        self.assertEqual((first.account, first.encoded), ("a", b'{"account":"a"}'))
        self.assertEqual(json.loads(second.encoded), {"account": "b"})

    def test_wrongLine(self) -> None:
        """
        What is no YAML is named by its line.
        """
        self.assertTrue(self.wrong("account: a\napps: [\n").startswith("site.yaml:3: is not YAML"))

    def test_wrongKey(self) -> None:
        """
        A wrong value is named by the way to it; in later documents, by their number.
        """
        self.assertEqual(
            self.wrong("account: a\n---\naccount: b\napps: [{name: x, runtime: y}]\n"),
            "site.yaml: document 2: apps[0] (x): runtime: want one of command, not 'y'",
        )

    def test_empty(self) -> None:
        """
        A file without an account would do nothing; that is no one's intention.
        """
        self.assertEqual(
            self.wrong("# nothing\n"), "site.yaml: is empty: want at least `account: NAME`"
        )

    def test_accountTwice(self) -> None:
        """
        The second document would delete what the first one made.
        """
        self.assertEqual(
            self.wrong("account: a\n---\naccount: a\n"),
            "site.yaml: document 2: account: a stands in this file twice",
        )

    def test_nameTwice(self) -> None:
        """
        Two accounts cannot have one name.
        """
        site = "account: {}\ndomains: [{{name: x.test}}]\n"
        self.assertEqual(
            self.wrong(site.format("a") + "---\n" + site.format("b")),
            "site.yaml: document 2: domains (x.test): x.test stands at account a already",
        )

    def test_noFile(self) -> None:
        """
        A file that cannot be read is named with the reason.
        """
        with self.assertRaises(ConfigError) as caught:
            list(read_sites("/nowhere.yaml", words()))
        self.assertEqual(
            str(caught.exception), "/nowhere.yaml: cannot be read: No such file or directory"
        )

    def site(self, **certificate: str) -> str:
        return json.dumps({"account": "a", "certificates": [{"name": "own", **certificate}]})

    def test_certificate(self) -> None:
        """
        Chain and key are files beside the site file; the key travels apart, by its reference.
        """
        chain, key = make_certificate("x.test")
        (self.folder / "x.pem").write_text(chain)
        (self.folder / "x.key").write_text(key)
        (prepared,) = self.read(self.site(chain="file:x.pem", key="file:x.key"))
        (certificate,) = json.loads(prepared.encoded)["certificates"]
        reference = secret_reference(key)
        self.assertEqual(prepared.keys, {reference: key})
        self.assertEqual((certificate["chain"], certificate["key"]), (chain, reference))
        self.assertNotIn("PRIVATE", repr(prepared))

    def test_referenceOfAStoredKey(self) -> None:
        """
        A key that is no file is a reference, and is left alone.
        """
        chain, _ = make_certificate("x.test")
        (prepared,) = self.read(self.site(chain=chain, key="sha256-abc"))
        self.assertEqual(prepared.keys, {})
        self.assertIn(b"sha256-abc", prepared.encoded)

    def test_wrongCertificates(self) -> None:
        """
        Files that are missing, are something else, or do not belong together are named.
        """
        chain, key = make_certificate("x.test")
        _, other = make_certificate("x.test")
        (self.folder / "x.pem").write_text(chain)
        (self.folder / "x.key").write_text(key)
        (self.folder / "other.key").write_text(other)
        (self.folder / "empty").write_text("\n")
        (self.folder / "binary").write_bytes(b"\xff")
        own = "site.yaml: certificates[0] (own)"
        for chain_file, key_file, error in (
            ("none.pem", "x.key", ": chain: none.pem cannot be read: No such file or directory"),
            ("empty", "x.key", ": chain: empty is not PEM"),
            ("x.pem", "binary", ": key: binary is not PEM"),
            ("x.pem", "other.key", ": key: want the private key of this certificate"),
            ("x.pem", "x.pem", ": key: want an unencrypted private key in PEM"),
        ):
            text = self.site(chain=f"file:{chain_file}", key=f"file:{key_file}")
            self.assertEqual(self.wrong(text), own + error)
        text = self.site(chain="file:x.key", key="file:x.key")
        self.assertIn(f"{own}: chain: want certificates only", self.wrong(text))
