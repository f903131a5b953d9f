"""
DNS as its clients see it: dig, kdig, dnspython and a resolver, while parts of the node die.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hostedge.net.datagram import SIZE
from tests.live.node import ROOT, Node, wait_for

SETTINGS = """
dns = [{listen}]
[dns]
addresses = ["192.0.2.1", "2001:db8::1"]
nameservers = ["ns1.shop.example"]
"""

LARGE = " ".join(f'"{"x" * 250}"' for _ in range(12))

RECORDS = [
    ("ns1", "A", "192.0.2.53"),
    ("@", "MX", "10 mail"),
    ("mail", "A", "192.0.2.25"),
    ("large", "TXT", LARGE),
    ("a", "CNAME", "b"),
    ("b", "CNAME", "c"),
    ("c", "A", "192.0.2.3"),
    ("*.wild", "A", "192.0.2.4"),
]


def site(**records: str) -> dict[str, Any]:
    """A shop with its zone; A records by name."""
    zone = {
        "name": "shop.example",
        "records": [{"name": n, "type": t, "data": d} for n, t, d in RECORDS]
        + [{"name": name, "type": "A", "data": data} for name, data in records.items()],
    }
    mappings = [{"path": "/", "redirect": "https://example.org/"}]
    domain = {"name": "shop.example", "aliases": ["www.shop.example"], "mappings": mappings}
    return {"account": "shop", "zones": [zone], "domains": [domain]}


def corpus() -> Iterator[bytes]:
    """Every packet of the cases."""
    for path in sorted((ROOT / "tests" / "cases" / "dns").glob("*.case")):
        lines = path.read_text().splitlines()
        yield bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def damaged(packet: bytes, count: int) -> Iterator[bytes]:
    """The same packet with some bytes changed, and cut off somewhere."""
    chosen = random.Random(53)
    for _ in range(count):
        bad = bytearray(packet)
        for _ in range(chosen.randrange(1, 6)):
            bad[chosen.randrange(len(bad))] = chosen.randrange(256)
        yield bytes(bad[: chosen.randrange(len(bad) + 1)])


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def needs(*commands: str) -> None:
    missing = [each for each in commands if shutil.which(each) is None]
    if missing:
        raise SkipTest(f"{', '.join(missing)} is not installed")


class DnsTests(SynchronousTestCase):
    """One node a test, with a zone."""

    def setUp(self) -> None:
        self.hosts = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
        listen = ", ".join(f'"[{h}]:0"' if ":" in h else f'"{h}:0"' for h in self.hosts)
        self.node = Node(settings=SETTINGS.format(listen=listen))
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.apply(site())
        self.ports = {
            host: next(
                int(each["address"].rpartition(":")[2])
                for each in self.listeners()
                if each["protocol"] == "dns-udp" and host in each["address"]
            )
            for host in self.hosts
        }
        self.port = self.ports["127.0.0.1"]

    def listeners(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(
            (self.node.state / "run" / "listeners.json").read_text()
        )
        return found

    def run_client(self, *words: str, host: str = "127.0.0.1") -> str:
        """What `dig` or `kdig` prints."""
        command, *rest = words
        line = [command, f"@{host}", "-p", str(self.ports[host]), *rest]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def ask(self, name: str, kind: str = "A", timeout: float = 5.0) -> dns.message.Message:
        """One question over UDP, asked once."""
        query = dns.message.make_query(name, kind)
        return dns.query.udp(query, "127.0.0.1", port=self.port, timeout=timeout)

    def address(self, name: str) -> str:
        (answer,) = self.ask(name).answer
        return str(answer[0])

    def counted(self, name: str) -> int:
        """A counter of all edges."""
        edges = self.node.status()["edges"]
        return sum(each["counters"].get(name, 0) for each in edges)

    def no_traceback(self) -> None:
        self.assertNotIn("Traceback", self.node.log())

    # what clients see

    def test_dig(self) -> None:
        """
        dig is answered over UDP and TCP, IPv4 and IPv6, with and without EDNS and cookies.
        """
        needs("dig")
        for host in self.hosts:
            for options in ((), ("+tcp",), ("+noedns",), ("+bufsize=512",), ("+nsid",)):
                printed = self.run_client("dig", *options, "www.shop.example", "A", host=host)
                self.assertIn("status: NOERROR", printed)
                self.assertRegex(printed, r"flags: qr aa[^\n]*ANSWER: 1")
                self.assertRegex(printed, r"www\.shop\.example\.\s+3600\s+IN\s+A\s+192\.0\.2\.1")
        printed = self.run_client("dig", "+cookie", "shop.example", "AAAA")
        self.assertIn("(good)", printed)
        self.assertIn("2001:db8::1", printed)
        self.assertIn("status: REFUSED", self.run_client("dig", "elsewhere.example"))
        self.assertIn("status: NXDOMAIN", self.run_client("dig", "no.shop.example"))
        printed = self.run_client("dig", "+notcp", "shop.example", "ANY")
        self.assertIn("status: NOERROR", printed)
        self.assertIn("Transfer failed", self.run_client("dig", "+tcp", "shop.example", "AXFR"))
        # too long for a datagram: dig asks again over TCP by itself
        printed = self.run_client("dig", "large.shop.example", "TXT")
        self.assertIn("Truncated, retrying in TCP mode", printed)
        self.assertEqual(printed.count("x" * 250), 12)
        self.no_traceback()

    def test_kdig(self) -> None:
        """
        kdig is answered in all its ways, also many questions on one connection.
        """
        needs("kdig")
        for options in ((), ("+tcp",), ("+noedns",), ("+bufsize=512",), ("+nsid",), ("+cookie",)):
            printed = self.run_client("kdig", *options, "c.shop.example", "A")
            self.assertIn("status: NOERROR", printed)
            self.assertRegex(printed, r"c\.shop\.example\.\s+3600\s+IN\s+A\s+192\.0\.2\.3")
        names = [f"{number}.wild.shop.example" for number in range(20)]
        printed = self.run_client("kdig", "+tcp", "+keepopen", *names)
        self.assertEqual(printed.count("192.0.2.4"), 20)
        self.assertEqual(self.counted("dns_tcp_connections"), 2)
        printed = self.run_client("kdig", "+tcp", "shop.example", "AXFR")
        self.assertRegex(printed, "REFUSED|NOTAUTH|NOTIMP")
        self.no_traceback()

    def test_stub(self) -> None:
        """
        A stub resolver finds what the zone says; the case of a name is kept as it was asked.
        """
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        found = resolver.resolve("www.shop.example", "A")
        self.assertEqual([str(each) for each in found], ["192.0.2.1"])
        self.assertEqual(str(resolver.resolve("shop.example", "MX")[0]), "10 mail.shop.example.")
        found = resolver.resolve("a.shop.example", "A")
        self.assertEqual(str(found.canonical_name), "c.shop.example.")
        self.assertEqual(len(resolver.resolve("large.shop.example", "TXT")[0].strings), 12)
        with self.assertRaises(dns.resolver.NXDOMAIN):
            resolver.resolve("no.shop.example")
        query = dns.message.make_query("wWw.ShOp.eXaMpLe", "A")
        for ask in (dns.query.udp, dns.query.tcp):
            for _ in range(2):
                answer = ask(query, "127.0.0.1", port=self.port, timeout=5)
                self.assertEqual(answer.question[0].name.labels[0], b"wWw")
                self.assertEqual(answer.answer[0].name.labels[1], b"ShOp")

    def test_resolver(self) -> None:
        """
        A resolver that has the node as the authority of a zone resolves all of it.
        """
        needs("unbound")
        with self.unbound() as port:
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers = ["127.0.0.1"]
            resolver.port = port
            resolver.lifetime = 20
            answers = {
                ("www.shop.example", "A"): "192.0.2.1",
                ("shop.example", "AAAA"): "2001:db8::1",
                ("shop.example", "MX"): "10 mail.shop.example.",
                ("a.shop.example", "A"): "192.0.2.3",
                ("any.wild.shop.example", "A"): "192.0.2.4",
            }
            for (name, kind), wanted in answers.items():
                self.assertEqual(str(resolver.resolve(name, kind)[0]), wanted, name)
            found = resolver.resolve("large.shop.example", "TXT", tcp=True)
            self.assertEqual(len(found[0].strings), 12)
            with self.assertRaises(dns.resolver.NXDOMAIN):
                resolver.resolve("no.shop.example")
            with self.assertRaises(dns.resolver.NoAnswer):
                resolver.resolve("mail.shop.example", "AAAA")
        self.no_traceback()

    @contextlib.contextmanager
    def unbound(self) -> Iterator[int]:
        """A resolver of its own with the node's zone as a stub; gives its port."""
        folder = Path(tempfile.mkdtemp(prefix="hostedge-unbound-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        (folder / "unbound.conf").write_text(
            f"""
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@{port}
  do-not-query-localhost: no
  do-ip6: no
  use-caps-for-id: yes
  module-config: "iterator"
  num-threads: 1
remote-control:
  control-enable: no
stub-zone:
  name: "shop.example"
  stub-addr: 127.0.0.1@{self.port}
"""
        )
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                ["unbound", "-d", "-c", str(folder / "unbound.conf")], stdout=log, stderr=log
            )
        try:
            wait_for("unbound answers", lambda: self.answers_at(port))
            yield port
        finally:
            process.kill()
            process.wait()

    def answers_at(self, port: int) -> bool:
        query = dns.message.make_query("shop.example", "SOA")
        try:
            answer = dns.query.udp(query, "127.0.0.1", port=port, timeout=0.2)
        except (dns.exception.DNSException, OSError):
            return False
        return answer.rcode() == dns.rcode.NOERROR

    # changes

    def test_changeIsLive(self) -> None:
        """
        What an apply has changed is answered by every edge when it returns.
        """
        edges = self.node.pids("edge")

        def of_each(name: str) -> list[str]:
            found = []
            for pid in edges:
                others = [each for each in edges if each != pid]
                with stopped(*others):
                    found.append(self.address(name))
            return found

        self.node.apply(site(moves="192.0.2.7"))
        self.assertEqual(of_each("moves.shop.example"), ["192.0.2.7"] * 2)
        for number in range(8, 12):
            self.node.apply(site(moves=f"192.0.2.{number}"))
            self.assertEqual(of_each("moves.shop.example"), [f"192.0.2.{number}"] * 2)
        self.node.apply(site())
        self.assertEqual(self.ask("moves.shop.example").rcode(), dns.rcode.NXDOMAIN)

    def test_stoppedEdge(self) -> None:
        """
        A stopped edge swallows no question: each is answered when it is asked once.
        """
        with stopped(self.node.pids("edge")[0]):
            for number in range(100):
                self.address(f"{number}.wild.shop.example")

    # what dies

    def test_edgesKilled(self) -> None:
        """
        While edges are killed one after the other, every question is answered, asked once more
        at most for each edge that took one with it.
        """
        with self.load() as asked:
            for _ in range(3):
                victim = self.node.pids("edge")[0]
                os.kill(victim, signal.SIGKILL)
                wait_for("it is replaced", lambda v=victim: v not in self.node.pids("edge"))
                wait_for("the node is up", self.node.is_up)
        self.assertEqual(asked.unanswered, 0)
        self.assertLessEqual(asked.again, 3 * asked.clients)

    def test_keeperKilled(self) -> None:
        """
        While there is no keeper every question is answered at once; the next one takes the same
        sockets over, and edges that it starts answer on them.
        """
        before = self.listeners()
        with self.load() as asked:
            assert self.node.keeper is not None
            self.node.keeper.kill()
            self.node.keeper.wait()
            self.node.launch()
            wait_for("the node is up", self.node.is_up)
        self.assertEqual((asked.again, asked.unanswered), (0, 0))
        self.assertEqual(self.listeners(), before)
        first = self.node.pids("edge")
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        wait_for("both are replaced", lambda: not set(first) & set(self.node.pids("edge")))
        wait_for("the node is up", self.node.is_up)
        self.address("c.shop.example")
        query = dns.message.make_query("c.shop.example", "A")
        dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=20)

    def test_drain(self) -> None:
        """
        A node that ends answers what was asked over TCP, and datagrams for as long as that takes.
        """
        query = dns.message.make_query("large.shop.example", "TXT").to_wire()
        framed = len(query).to_bytes(2, "big") + query
        slow = socket.create_connection(("127.0.0.1", self.port), 20)
        idle = socket.create_connection(("127.0.0.1", self.port), 20)
        self.addCleanup(slow.close)
        self.addCleanup(idle.close)
        idle.sendall(framed)
        self.assertEqual(len(read_answers(idle, 1)), 1)
        # more than the kernel keeps for a client that does not read
        count = 6000
        slow.sendall(framed * count)
        wait_for("both are being answered", lambda: self.counted("dns_queries") > 9)
        assert self.node.keeper is not None
        self.node.keeper.send_signal(signal.SIGTERM)
        # it ends: nothing else was asked
        self.assertEqual(idle.recv(1), b"")
        self.address("c.shop.example")
        answers = read_answers(slow, count)
        self.assertEqual({len(each) > 3000 for each in answers}, {True})
        self.assertEqual(slow.recv(1), b"")
        self.assertEqual(self.node.keeper.wait(20), 0)
        self.no_traceback()

    # what hurts

    def test_malformed(self) -> None:
        """
        Whatever comes in a datagram or over TCP, the node lives, logs nothing, and answers others.
        """
        good = dns.message.make_query("www.shop.example", "A", use_edns=0).to_wire()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", self.port))
            for number, packet in enumerate((*corpus(), *damaged(good, 3000))):
                client.send(packet)
                if number % 100 == 0:
                    self.address("c.shop.example")
            for size in (1233, SIZE, SIZE + 1, 9000, 65_000):
                client.send(good + bytes(size - len(good)))
        self.address("c.shop.example")
        with socket.create_connection(("127.0.0.1", self.port), 20) as client:
            for packet in (*corpus(), good):
                client.sendall(len(packet).to_bytes(2, "big") + packet)
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as file:
                data = file.read()
        # the last answer, and the connection's end
        answer = dns.message.from_wire(data[data.rindex(good[:2]) :])
        self.assertEqual(str(answer.answer[0][0]), "192.0.2.1")
        oversized = 3 + sum(len(packet) > SIZE for packet in corpus())
        self.assertEqual(self.counted("dns_udp_oversized"), oversized)
        self.assertEqual((self.counted("dns_failed"), self.counted("dns_servfail")), (0, 0))
        self.no_traceback()

    def test_randomNames(self) -> None:
        """
        Names that nobody has asked for before, below a zone and elsewhere, do not fill an edge's
        memory.
        """
        chosen = random.Random(1)

        def flood(count: int) -> int:
            query = bytearray(dns.message.make_query("0" * 16 + ".shop.example", "A").to_wire())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.1", self.port))
                client.settimeout(5)
                for _ in range(count):
                    query[13:29] = b"%016x" % chosen.getrandbits(64)
                    client.send(query)
                    client.recv(4096)
            return max(resident(pid) for pid in self.node.pids("edge"))

        before = flood(5000)
        self.assertLess(flood(40_000) - before, 16 * 1024)

    @contextlib.contextmanager
    def load(self) -> Iterator[Load]:
        """Keep asking from two threads while the block runs."""
        over = threading.Event()
        load = Load(self.ask, over)
        threads = [threading.Thread(target=load.run) for _ in range(load.clients)]
        for thread in threads:
            thread.start()
        try:
            yield load
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertGreater(load.answered, 0)


class Load:
    """Clients that ask again after a second, five times."""

    clients = 2

    def __init__(self, ask: Callable[..., object], over: threading.Event) -> None:
        self._ask = ask
        self._over = over
        self.answered = self.again = self.unanswered = 0

    def run(self) -> None:
        while not self._over.wait(0.002):
            for _ in range(5):
                try:
                    self._ask("c.shop.example", timeout=1.0)
                except dns.exception.Timeout:
                    self.again += 1
                else:
                    self.answered += 1
                    break
            else:
                self.unanswered += 1


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Processes that do nothing while the block runs."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        wait_for("it is stopped", lambda p=pid: state(p) == "T")
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def resident(pid: int) -> int:
    """Kilobytes of memory that the process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"no VmRSS of {pid}")


def read_answers(client: socket.socket, count: int) -> list[bytes]:
    """So many messages, each behind its length."""
    file = client.makefile("rb")
    answers = []
    for _ in range(count):
        length = int.from_bytes(file.read(2), "big")
        answers.append(file.read(length))
    file.close()
    return answers
