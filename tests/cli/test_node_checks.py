"""Tests of `hostedge.cli.node_checks`."""

from __future__ import annotations

import os
import socket
from os import geteuid
from pathlib import Path
from pwd import getpwuid
from shutil import rmtree
from tempfile import mkdtemp

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli import node_checks
from hostedge.cli.finding import Finding
from hostedge.model.site import Account, Domain, Site
from hostedge.settings import Console, Dns, Listen, Settings
from hostedge.store.writer import RouteStore
from tests.api.node import words


class NodeChecksTests(SynchronousTestCase):
    """A state folder, well and unwell."""

    def setUp(self) -> None:
        self.state = Path(mkdtemp(prefix="hostedge-")) / "state"
        self.addCleanup(rmtree, self.state.parent)
        self.settings = Settings(Path("node.toml"), self.state, Path())

    def make_store(self) -> None:
        self.state.mkdir(mode=0o750)
        RouteStore(self.settings.store, words(), lambda: 0.0).close()

    def only(self, findings: object) -> Finding:
        (finding,) = findings  # type: ignore[misc]
        return finding

    def test_newFolder(self) -> None:
        """
        A folder that is not there is made by the node, where there can be one.
        """
        self.assertEqual(self.only(node_checks.folder(self.settings)).level, "ok")
        away = Settings(Path("node.toml"), Path("/dev/null/state"), Path())
        finding = self.only(node_checks.folder(away))
        self.assertEqual(finding.level, "fail")
        self.assertEqual(finding.text, "/dev/null/state: Not a directory")

    def test_user(self) -> None:
        """
        Apps that run as root are a warning; a user that does not exist is a failure.
        """
        mine = node_checks.apps_user(evolve(self.settings, user=getpwuid(geteuid()).pw_name))
        self.assertEqual(mine.level, "warn" if geteuid() == 0 else "ok")
        finding = node_checks.apps_user(evolve(self.settings, user="no-such-user"))
        self.assertEqual(finding.level, "fail")
        self.assertIn("user: want a user of this machine", finding.text)

    def test_modes(self) -> None:
        """
        A folder that others may enter is a warning; keys that others may read are a failure.
        """
        self.make_store()
        self.settings.ca_key.write_text("")
        self.settings.ca_key.chmod(0o600)
        self.assertEqual(self.only(node_checks.folder(self.settings)).level, "ok")
        self.state.chmod(0o755)
        self.settings.ca_key.chmod(0o640)
        self.settings.store.chmod(0o644)
        found = {each.what: each for each in node_checks.folder(self.settings)}
        self.assertEqual(
            {name: each.level for name, each in found.items()},
            {"state": "warn", "store.db": "fail", "ca.key": "fail"},
        )
        self.assertIn("chmod 0640", found["store.db"].todo)
        self.assertIn("chmod 0600", found["ca.key"].todo)

    def test_operators(self) -> None:
        """
        Keys that others may write are found, those of a manhole that is off are not looked at.
        """
        keys = Path(self.mktemp())
        self.assertEqual(list(node_checks.operators(Console("", keys))), [])
        keys.write_text("")
        for mode, level in ((0o644, "ok"), (0o664, "fail")):
            keys.chmod(mode)
            found = self.only(node_checks.operators(Console("127.0.0.1:0", keys)))
            self.assertEqual((found.level, found.what), (level, "keys"))

    def test_store(self) -> None:
        """
        No store yet is well; one that is whole is counted; one that is not is said.
        """
        self.assertEqual(self.only(node_checks.store(self.settings.store)).level, "ok")
        self.make_store()
        self.assertEqual(
            self.only(node_checks.store(self.settings.store)),
            Finding("ok", "store", "whole; 0 accounts"),
        )
        size = os.path.getsize(self.settings.store)
        with self.settings.store.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xaa" * (size - 4096))
        damaged = self.only(node_checks.store(self.settings.store))
        self.assertEqual(damaged.level, "fail")
        self.assertIn("backup", damaged.todo)

    def test_defaultSite(self) -> None:
        """
        A default site that nobody has is a warning; a wildcard may have it.
        """
        settings = evolve(self.settings, default_site="www.a.test")
        self.assertEqual(list(node_checks.default_site(settings)), [])
        self.make_store()
        self.assertEqual(list(node_checks.default_site(self.settings)), [])
        self.assertEqual(self.only(node_checks.default_site(settings)).level, "warn")
        for name in ("www.a.test", "*.a.test"):
            store = RouteStore(self.settings.store, words(), lambda: 0.0)
            store.apply([Site(Account("demo"), domains=(Domain(name),))], "root")
            store.close()
            self.assertEqual(self.only(node_checks.default_site(settings)).level, "ok", name)

    def test_addresses(self) -> None:
        """
        An address is free, or held by this node, or by somebody else.
        """
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listen = Listen(http=("127.0.0.1:0",), https=(address,))
        settings = Settings(Path("x"), self.state, Path(), listen=listen)
        free, other = node_checks.addresses(settings, runs=False)
        self.assertEqual((free.level, other.level), ("ok", "fail"))
        self.assertIn("Address already in use", other.text)
        settings.run.mkdir(parents=True)
        (settings.run / "listeners.json").write_text(
            f'[{{"protocol": "https", "address": "{address}"}}]'
        )
        _, ours = node_checks.addresses(settings, runs=True)
        self.assertEqual(ours, Finding("ok", "https", f"{address} is held by this node"))

    def test_dnsAddresses(self) -> None:
        """
        An address for DNS is looked at for UDP and for TCP; without addresses to tell it is a
        warning.
        """
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = Settings(Path("x"), self.state, Path(), listen=Listen(dns=(address,)))
        udp, tcp, warned = node_checks.addresses(settings, runs=False)
        self.assertEqual((udp.what, udp.level), ("dns-udp", "fail"))
        me = f"{Path('/proc/self/comm').read_text().strip()}, pid {os.getpid()}"
        self.assertIn(f"Address already in use by {me}", udp.text)
        self.assertEqual(tcp, Finding("ok", "dns-tcp", f"{address} is free"))
        self.assertEqual((warned.what, warned.level), ("dns", "warn"))
        settings = evolve(settings, dns=Dns(addresses=("192.0.2.1",)))
        self.assertEqual(len(list(node_checks.addresses(settings, runs=False))), 2)

    def test_impossibleAddresses(self) -> None:
        """
        An address of another machine, or of none, is a failure with something to do.
        """
        for address in ("192.0.2.1:0", "no.such.name.invalid:0"):
            finding = node_checks._bindable("http", address)
            self.assertEqual(finding.level, "fail")
            self.assertEqual(finding.todo, "want an address of this machine")

    def test_notRunning(self) -> None:
        """
        A node that does not run is a warning with the way to start it.
        """
        finding = node_checks.running(self.settings)
        self.assertEqual(finding.level, "warn")
        self.assertIn("twistd -n hostedge --settings", finding.text)
