"""
Tests for `hostedge.supervise.firewall`, with the kernel's own rules in networks made for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.firewall import Firewall, find_nft, rules
from hostedge.supervise.held import free_port

ROOT = Path(__file__).resolve().parent.parent.parent

# what is run inside the network: it listens, puts the table there when told, and takes it away
INSIDE = """
import socket, sys
from hostedge.supervise.firewall import Firewall
listeners = [socket.create_server(("0.0.0.0", port)) for port in (20001, 15000)]
firewall = Firewall(range(20000, 30000), [0])
print("ready", flush=True)
for line in sys.stdin:
    firewall.raise_it() if line == "up\\n" else firewall.lower_it()
    print(firewall.is_up, flush=True)
"""
# what tries to connect: address, port, uid
TRY = """
import os, socket, sys
os.setuid(int(sys.argv[3]))
with socket.socket() as connection:
    connection.settimeout(1)
    print(connection.connect_ex((sys.argv[1], int(sys.argv[2]))) == 0)
"""
SYSTEM_PYTHON = "/usr/bin/python3"
HERE, CUSTOMER = 0, 20_005


class Networks:
    """A network for the node, and one outside that reaches it; gone when it is closed."""

    def __init__(self) -> None:
        self.inside, self.outside = (f"hostedge-{os.getpid()}-{side}" for side in "io")
        for name in (self.inside, self.outside):
            self._ip("netns", "add", name)
        pair = ("peer", "name", "there", "netns", self.outside)
        self._ip("link", "add", "here", "netns", self.inside, "type", "veth", *pair)
        for name, link, address in (
            (self.inside, "here", "10.99.7.1/24"),
            (self.outside, "there", "10.99.7.2/24"),
        ):
            self._ip("-n", name, "address", "add", address, "dev", link)
            self._ip("-n", name, "link", "set", link, "up")
            self._ip("-n", name, "link", "set", "lo", "up")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    def words(self, name: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", name, *words]

    def reaches(self, name: str, address: str, port: int, uid: int) -> bool:
        line = self.words(name, SYSTEM_PYTHON, "-c", TRY, address, str(port), str(uid))
        return subprocess.run(line, capture_output=True, text=True).stdout == "True\n"

    def close(self) -> None:
        for name in (self.inside, self.outside):
            self._ip("netns", "delete", name)


class FirewallTests(SynchronousTestCase):
    """Who reaches ports of apps."""

    def test_rules(self) -> None:
        """
        The table is replaced as a whole, and names the ports and who may connect.
        """
        text = rules(range(20_000, 20_010), [7, 0, 7])
        self.assertTrue(text.startswith("add table inet hostedge\ndelete table inet hostedge\n"))
        self.assertIn("tcp dport 20000-20009", text)
        self.assertIn("meta skuid != { 0, 7 }", text)

    def test_onlyEdges(self) -> None:
        """
        A daemon on all addresses is reached by the node alone: not from outside, not by another
        customer; other ports are as they were, and all are once the node has ended.
        """
        if os.geteuid() != 0:
            firewall = Firewall(range(20_000, 30_000), [0])
            firewall.raise_it()
            self.assertFalse(firewall.is_up)
            return
        networks = Networks()
        self.addCleanup(networks.close)
        node = subprocess.Popen(
            networks.words(networks.inside, sys.executable, "-c", INSIDE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.addCleanup(node.communicate)
        assert node.stdin is not None and node.stdout is not None
        self.assertEqual(node.stdout.readline(), "ready\n")

        def tell(word: str) -> str:
            print(word, file=node.stdin, flush=True)
            assert node.stdout is not None
            return node.stdout.readline().strip()

        def reached() -> dict[str, bool]:
            inside, outside = networks.inside, networks.outside
            return {
                "edge": networks.reaches(inside, "127.0.0.1", 20_001, HERE),
                "customer": networks.reaches(inside, "127.0.0.1", 20_001, CUSTOMER),
                "around": networks.reaches(inside, "10.99.7.1", 20_001, CUSTOMER),
                "outside": networks.reaches(outside, "10.99.7.1", 20_001, HERE),
                "other port": networks.reaches(outside, "10.99.7.1", 15_000, HERE),
            }

        self.assertEqual(set(reached().values()), {True})
        for _ in range(2):
            # twice: a keeper that was killed has left its table behind
            self.assertEqual(tell("up"), "True")
        self.assertEqual(
            reached(),
            {
                "edge": True,
                "customer": False,
                "around": False,
                "outside": False,
                "other port": True,
            },
        )
        self.assertEqual(tell("down"), "False")
        self.assertEqual(set(reached().values()), {True})

    def test_noProgram(self) -> None:
        """
        Without nft the node goes on, and says who can connect.
        """
        self.patch(sys.modules["hostedge.supervise.firewall"], "find_nft", lambda: None)
        firewall = Firewall(range(20_000, 30_000), [0])
        firewall.raise_it()
        self.assertFalse(firewall.is_up)

    def test_isThere(self) -> None:
        """
        The program that the tests of a whole node need is installed.
        """
        self.assertIsNotNone(find_nft())

    def test_portsOfARange(self) -> None:
        """
        A port is one of those that the rules are about, as long as one is free.
        """
        wanted = range(21_000, 21_020)
        self.assertIn(free_port("127.0.0.1", wanted), wanted)
        taken = free_port("127.0.0.1")
        self.assertEqual(free_port("127.0.0.1", range(taken, taken + 1)), taken)
