"""
Tests for `hostedge.settings`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.settings import Accounts, Limits, Trust, parse_address, read_settings

ROOT = Path(__file__).resolve().parent.parent


class ReadSettingsTests(SynchronousTestCase):
    """One line for every mistake."""

    def read(self, text: str) -> object:
        # trial's own folders are too deep for UNIX sockets
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "homes").mkdir()
        self.file = folder / "node.toml"
        self.file.write_text(text)
        return read_settings(self.file)

    def refused(self, text: str) -> str:
        error = self.assertRaises(ConfigError, self.read, text)
        self.assertNotIn("\n", str(error))
        self.assertTrue(error.where.startswith(str(self.file)), error.where)
        return str(error).removeprefix(str(self.file))

    def test_minimal(self) -> None:
        """
        State and homes are enough; they are relative to the file.
        """
        settings = self.read('state = "../var"\nhomes = "homes"\n')
        self.assertEqual(settings.state, self.file.resolve().parent.parent / "var")
        self.assertEqual(settings.homes, self.file.resolve().parent / "homes")
        self.assertEqual(settings.limits, Limits())
        self.assertGreaterEqual(settings.edges, 1)

    def test_everything(self) -> None:
        """
        Every value of the file arrives.
        """
        settings = self.read(
            'name = "n1.example"\ndefault_site = "WWW.Example."\n'
            'state = "v"\nhomes = "homes"\nedges = 3\n'
            '[listen]\nhttp = ["127.0.0.1:0", "[::1]:80"]\nhttps = ["127.0.0.1:443"]\n'
            "[limits]\nheader_timeout = 3\nbody_size = 1000\n"
            '[dns]\naddresses = ["192.0.2.1", "2001:DB8::1"]\nnameservers = ["NS1.example."]\n'
            '[console]\nssh = "127.0.0.1:0"\nkeys = "node.toml"\n'
            '[trust]\nproxies = ["10.0.0.0/8", "192.0.2.1"]\ndepth = 2\n'
            '[accounts]\nusers = "own"\nfirst = 30000\n'
        )
        self.assertEqual(settings.trust, Trust(("10.0.0.0/8", "192.0.2.1/32"), 2))
        self.assertEqual(settings.dns.addresses, ("192.0.2.1", "2001:db8::1"))
        self.assertEqual(settings.accounts, Accounts("own", 30_000))
        self.assertEqual(settings.default_site, "www.example")
        self.assertEqual(settings.dns.nameservers, ("ns1.example",))
        self.assertEqual(settings.console.ssh, "127.0.0.1:0")
        self.assertEqual(settings.console.keys, self.file.resolve())
        self.assertEqual((settings.name, settings.edges), ("n1.example", 3))
        self.assertEqual(settings.listen.http, ("127.0.0.1:0", "[::1]:80"))
        self.assertEqual(settings.limits.header_timeout, 3.0)
        self.assertEqual(settings.limits.body_size, 1000)

    def test_mistakes(self) -> None:
        """
        Each mistake is answered by file, key and what is wanted.
        """
        good = 'state = "v"\nhomes = "homes"\n'
        for text, wanted in {
            "state = ": ": is not TOML: Invalid value (at end of document)",
            'homes = "homes"': ": state: is missing: want the path of a folder",
            'state = "v"': ": homes: is missing: want the path of a folder",
            good + "edges = 0": ": edges: want 1 to 256, not 0",
            good + 'tls = "old"': ": tls: want default or modern, not 'old'",
            good + "edges = true": ": edges: want a whole number, not True",
            good + 'edges = "2"': ": edges: want a whole number, not '2'",
            'default_site = "a b"\n' + good: ": default_site: want a host name: labels of "
            "letters, digits and inner hyphens, not 'a b'",
            good + '[trust]\nproxies = ["10.0.0.1/8"]': ": trust: proxies: want an IP address or a "
            "network: 10.0.0.1/8 has host bits set",
            good
            + '[listen]\nproxy_http = ["127.0.0.1:0"]': ": trust: proxies: is missing: want the "
            "proxies that may use the listeners for them",
            good + "[trust]\ndepth = 1": ": trust: proxies: is missing: want the proxies of which"
            " there are so many",
            good + '[accounts]\nusers = "x"': ": accounts: users: want shared or own, not 'x'",
            good + "[accounts]\nfirst = 999": ": accounts: first: want a range within 1000 to "
            "2147483647",
            good + "[accounts]\nlast = 1999": ": accounts: first: want a range within 1000 to "
            "2147483647",
            good + "[trust]\ndepth = 33": ": trust: depth: want 0 to 32, not 33",
            good + "[trust]\ndepth = -1": ": trust: depth: want 0 to 32, not -1",
            good + "[limits]\nheader_timeout = 61": ": limits: header_timeout: want at most 60, "
            "not 61.0",
            good + "name = 3": ": name: want a text, not 3",
            good + "listen = 3": ": listen: want a table, [listen]",
            good + '[listen]\nhttp = "127.0.0.1:80"': ": listen: http: want a list,"
            ' ["127.0.0.1:8080"]',
            good + '[listen]\ndns = ["[::]:53"]': ": listen: dns: want each address by itself,"
            " not [::]:53",
            good + '[listen]\ndns = ["localhost:53"]': ": listen: dns: want an IP address,"
            " not 'localhost'",
            good + '[dns]\naddresses = "::1"': ": dns: addresses: want a list,"
            ' ["192.0.2.1", "2001:db8::1"]',
            good + '[dns]\naddresses = ["::1:80:x"]': ": dns: addresses: want an IP address,"
            " not '::1:80:x'",
            good + '[dns]\nnameservers = ["192.0.2.1"]': ": dns: nameservers: want a host name,"
            " not '192.0.2.1'",
            good + '[console]\nssh = "127.0.0.1:22"': ": console: keys: want the file of the"
            " public keys that are let in",
            good + '[console]\nssh = "22"\nkeys = "x"': ": console: ssh: want host:port or"
            " [v6]:port, not '22'",
            good
            + '[listen]\nhttp = ["80"]': ": listen: http: want host:port or [v6]:port, not '80'",
            good + "[limits]\ndrain = -1": ": limits: drain: want more than 0, and an end",
            good + "[limits]\ndrain = nan": ": limits: drain: want more than 0, and an end",
            good + "[limits]\ndrain = inf": ": limits: drain: want more than 0, and an end",
            good + "[metrics]\nsites = 5000": ": metrics: sites: want 0 to 4096, not 5000",
            good + "[metrics]\nbackends = 5000": ": metrics: backends: want 0 to 4096, not 5000",
            good + "[metrics]\nsites = -1": ": metrics: sites: want 0 to 4096, not -1",
            good + "name = 'a b'": ": name: want a host name: labels of letters, digits and inner"
            " hyphens, not 'a b'",
            good + "[listen]\nhttp = ['\u00e4:80']": ": listen: http: want host:port or"
            " [v6]:port, not '\u00e4:80'",
            good + "[listen]\nftp = []": ": listen: ftp: is not a setting; known here: dns, http,"
            " https, proxy_http, proxy_https",
        }.items():
            self.assertEqual(self.refused(text), wanted, text)

    def test_nameInNormalForm(self) -> None:
        """
        The node's name is compared with names in normal form, so it is one.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        file = folder / "node.toml"
        file.write_text('state = "/s"\nhomes = "."\nname = "Node1.Example."')
        self.assertEqual(read_settings(file).name, "node1.example")

    def test_missingHomes(self) -> None:
        """
        Homes must exist: otherwise every app would fail one by one, later.
        """
        self.assertIn("want a folder", self.refused('state = "v"\nhomes = "nowhere"'))

    def test_longState(self) -> None:
        """
        A state folder below which no UNIX socket can be bound is refused at once.
        """
        self.assertIn("UNIX sockets", self.refused(f'state = "{"x" * 90}"\nhomes = "homes"'))

    def test_unreadable(self) -> None:
        """
        A file that is not there, or no text, is named.
        """
        error = self.assertRaises(ConfigError, read_settings, Path("nowhere.toml"))
        self.assertEqual(str(error), "nowhere.toml: cannot be read: No such file or directory")
        file = Path(self.mktemp())
        file.write_bytes(b"\xff")
        self.assertRaises(ConfigError, read_settings, file)

    def test_sampleIsValid(self) -> None:
        """
        The settings file that `make run` uses can be read.
        """
        settings = read_settings(ROOT / "etc" / "hostedge.toml")
        self.assertEqual(settings.state, ROOT / "var")


class ParseAddressTests(SynchronousTestCase):
    """host:port in all its forms."""

    def test_forms(self) -> None:
        """
        IPv4, names and bracketed IPv6 are split.
        """
        self.assertEqual(parse_address("127.0.0.1:80", ""), ("127.0.0.1", 80))
        self.assertEqual(parse_address("[::1]:0", ""), ("::1", 0))

    def test_refused(self) -> None:
        """
        What the kernel could misread is refused.
        """
        for text in ("", "80", ":80", "a:", "a:x", "a:65536", "::1:80", "a:٣", "a:-1"):
            self.assertRaises(ConfigError, parse_address, text, "here")
