"""The benchmarks' arithmetic: what they read, how they sum, what they print."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import dns.message
import dns.zone
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import cpu, dnsperf, frames, report, sink, zone
from benchmarks.__main__ import empty_log
from benchmarks.body_generator import GULP, PIECE, Download, Upload, trickle
from benchmarks.body_generator import flood as flood_bodies
from benchmarks.bounds import Bound, table
from benchmarks.cases.kind import Goal, Unit
from benchmarks.cases.known import CASES
from benchmarks.daemons import at_once
from benchmarks.echo import SAMPLE, Echo
from benchmarks.generator import missing, quantile, schedule
from benchmarks.load import Drive, answered, at_rate
from benchmarks.origin import LARGE_SIZE
from benchmarks.peers.known import PEERS
from benchmarks.probe import names_in
from benchmarks.scale_site import Crowd, text_of
from benchmarks.sockets import find_inode
from benchmarks.stage import NotMeasured, key_text, make_certificate
from benchmarks.websocket_generator import KEY, Echoed, check_handshake, flood

ANSWER = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello"


def make_process(proc: Path, pid: int, parent: int, tasks: dict[int, int]) -> None:
    """Make what /proc shows of a process; tasks are nanoseconds by thread."""
    folder = proc / str(pid)
    for task, spent in tasks.items():
        (folder / "task" / str(task)).mkdir(parents=True)
        (folder / "task" / str(task) / "schedstat").write_text(f"{spent} 7 9\n")
    zeros = " ".join("0" for _ in range(17))
    (folder / "stat").write_text(f"{pid} (a) b (c) S {parent} {zeros} {pid * 10} 0 0\n")


class CpuTests(SynchronousTestCase):
    """CPU time of a tree of processes."""

    def setUp(self) -> None:
        self.proc = Path(self.mktemp())
        make_process(self.proc, 10, 1, {10: 100, 11: 50})
        make_process(self.proc, 20, 10, {20: 1000})
        make_process(self.proc, 30, 20, {30: 5})
        make_process(self.proc, 40, 1, {40: 7777})
        (self.proc / "meminfo").write_text("")

    def test_treeHasAllDescendants(self) -> None:
        """Grandchildren belong to the tree, others do not; names with brackets are read."""
        self.assertEqual(cpu.tree(10, self.proc), {10: 100, 20: 200, 30: 300})

    def test_treeOfNobody(self) -> None:
        """A process that has gone has no tree."""
        self.assertEqual(cpu.tree(99, self.proc), {})

    def test_everyThreadCounts(self) -> None:
        """A window's CPU is that of all threads, also of those that began within it."""
        before = cpu.use([10, 20], self.proc)
        (self.proc / "10/task/11/schedstat").write_text("2050 7 9\n")
        make_process(self.proc, 21, 20, {21: 3000})
        after = cpu.use([10, 20, 21, 99], self.proc)
        self.assertAlmostEqual(cpu.between(before, after), 5e-6)

    def test_growth(self) -> None:
        """What a tree holds more at its most; a process that came later counts whole."""
        for pid in (10, 20, 30):
            (self.proc / f"{pid}/status").write_text("Name: a\nVmHWM: 90 kB\nVmRSS:\t 40 kB\n")
        growth = cpu.Growth(10, self.proc)
        self.assertEqual((self.proc / "20/clear_refs").read_text(), "5")
        (self.proc / "10/status").write_text("VmHWM: 45 kB\nVmRSS: 41 kB\n")
        (self.proc / "20/status").write_text("VmHWM: 40 kB\nVmRSS: 40 kB\n")
        (self.proc / "30/status").unlink()
        make_process(self.proc, 50, 10, {50: 1})
        (self.proc / "50/status").write_text("VmHWM: 7 kB\n")
        self.assertEqual(growth.read(), (5 + 0 - 40 + 7) * 1024)

    def test_proportionalSize(self) -> None:
        """The size is given in bytes."""
        (self.proc / "10/smaps_rollup").write_text("00-ff ---p\nRss:  9 kB\nPss:     12 kB\n")
        self.assertEqual(cpu.proportional_size(10, self.proc), 12288)


class GeneratorTests(SynchronousTestCase):
    """The open-loop load generator."""

    def test_answerIsWholeAtItsEndOnly(self) -> None:
        """However an answer is cut, only all of it is an answer."""
        for cut in range(len(ANSWER)):
            self.assertNotEqual(missing(ANSWER[:cut]), 0)
        self.assertEqual(missing(ANSWER), 0)

    def test_badAnswers(self) -> None:
        """Another status, or no length, stops the measurement."""
        self.assertRaises(ValueError, missing, ANSWER.replace(b"200", b"502"))
        self.assertRaises(ValueError, missing, ANSWER.replace(b"content-length: 5\r\n", b""))

    @given(st.floats(100, 5000), st.floats(0.1, 2))
    def test_scheduleHasTheRate(self, rate: float, seconds: float) -> None:
        """As many requests as asked for are due, in order, within the window."""
        due = schedule(rate, seconds)
        self.assertEqual(len(due), round(rate * seconds))
        self.assertEqual(due, sorted(due))
        self.assertTrue(all(0 <= each <= seconds for each in due))

    def test_scheduleIsTheSameForAll(self) -> None:
        """Every peer gets the same arrivals."""
        self.assertEqual(schedule(100, 1), schedule(100, 1))

    def test_quantile(self) -> None:
        """The last value is the largest quantile."""
        self.assertEqual(quantile([1, 2, 3, 4], 0.5), 3)
        self.assertEqual(quantile([1, 2, 3, 4], 1.0), 4)


class LoadTests(SynchronousTestCase):
    """What h2load reports."""

    REPORT = (
        "finished in 1.50s, 60515.00 req/s, 9.64MB/s\n"
        "requests: 605 total, 605 started, 605 done, 605 succeeded, 0 failed, 0 errored\n"
        "status codes: 605 2xx, 0 3xx, 0 4xx, 0 5xx\n"
    )

    def test_answered(self) -> None:
        """The number of good answers is read."""
        self.assertEqual(answered(self.REPORT), 605)
        self.assertEqual(answered(self.REPORT.replace("605 2xx", "609 2xx")), 605)

    def test_failures(self) -> None:
        """A single bad answer, none at all, or no report is no measurement."""
        for bad in (
            self.REPORT.replace("605 2xx", "604 2xx"),
            self.REPORT.replace("605 succ", "604 succ"),
            self.REPORT.replace("605 2xx, 0 3xx", "605 2xx, 1 3xx"),
            self.REPORT.replace("605", "0"),
            "",
        ):
            self.assertRaises(NotMeasured, answered, bad)

    def test_rate(self) -> None:
        """A drive that did not have the rate it was asked for is none."""
        self.assertEqual(at_rate(Drive(981, 1.0, 0.1), 1000.0).requests, 981)
        self.assertRaises(NotMeasured, at_rate, Drive(979, 1.0, 0.1), 1000.0)
        self.assertRaises(NotMeasured, at_rate, Drive(1021, 1.0, 0.1), 1000.0)

    def test_log(self) -> None:
        """The log is emptied; a peer that has ended without one is not measured."""
        file = Path(self.mktemp())
        file.write_text("a line\n")
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        empty_log(process, file)
        self.assertEqual(file.read_text(), "")
        self.assertRaises(NotMeasured, empty_log, process, file)


class FrameTests(SynchronousTestCase):
    """WebSocket frames, and the echo server that remembers."""

    @given(st.binary(max_size=70_000), st.sampled_from([b"", b"\x00\x00\x00\x00", b"\x01\xf0a~"]))
    def test_messageComesBack(self, payload: bytes, mask: bytes) -> None:
        """Whatever the length and the mask, what is read is what was framed."""
        raw = frames.frame(frames.BINARY, payload, mask)
        self.assertEqual(
            frames.read_message(raw + b"more"), frames.Message(frames.BINARY, payload, len(raw))
        )
        self.assertIsNone(frames.read_message(raw[:-1]))

    def test_knownFrame(self) -> None:
        """The frames of RFC 6455 section 5.7."""
        hello = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
        self.assertEqual(frames.frame(frames.TEXT, b"Hello", b"\x37\xfa\x21\x3d"), hello)
        pieces = b"\x01\x03Hel\x80\x02lo"
        self.assertEqual(frames.read_message(pieces), frames.Message(frames.TEXT, b"Hello", 9))
        self.assertIsNone(frames.read_message(pieces[:5]))

    def test_badFrames(self) -> None:
        """An extension's bits, and pieces that belong to nothing, are no message."""
        for bad in (b"\xc1\x00", b"\x80\x00", b"\x01\x00\x81\x00"):
            self.assertRaises(ValueError, frames.read_message, bad)

    def test_handshake(self) -> None:
        """Only an answer to our key, without an extension, opens a WebSocket."""
        self.assertEqual(
            frames.accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        )
        good = Echo().receive(b"GET /echo HTTP/1.1\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n")
        check_handshake(good)
        for bad in (
            good.replace(b"101", b"200"),
            good.replace(frames.accept(KEY), frames.accept(b"x")),
            good.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
            good + b"\x81\x00",
        ):
            self.assertRaises(ValueError, check_handshake, bad)

    def make_echo(self) -> Echo:
        echo = Echo()
        echo.receive(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: a\r\n\r\n")
        return echo

    @given(st.integers(0, 40), st.sampled_from([b"m1m1", b"m2m2"]))
    def test_echo(self, cut: int, mask: bytes) -> None:
        """However a message comes, it goes back as it was; also when it came before."""
        echo = self.make_echo()
        for payload in (b"x" * 40, b"y" * 39):
            for again in (b"m1m1", mask, mask):
                raw = frames.frame(frames.BINARY, payload, again)
                answer = frames.frame(frames.BINARY, payload)
                self.assertEqual(b"".join(map(echo.receive, (raw[:cut], raw[cut:]))), answer)

    def test_echoOfAnotherContent(self) -> None:
        """A proxy that changes messages is found out before a sample is over."""
        echo = self.make_echo()
        echo.receive(frames.frame(frames.BINARY, b"x" * 64, b"mask"))
        changed = frames.frame(frames.BINARY, b"y" * 64, b"mAsk")
        with self.assertRaises(ValueError):
            for _ in range(SAMPLE):
                echo.receive(changed)

    def make_echoed(self, change: bytes = b"") -> Echoed:
        """Connect to an echo; it puts other bytes in the place of the payload's first ones."""
        ours, theirs = socket.socketpair()
        echo = self.make_echo()

        def serve() -> None:
            while echo.open and (data := theirs.recv(65536)):
                answer = echo.receive(data)
                theirs.sendall(answer[:2] + change + answer[2 + len(change) :])
            theirs.close()

        thread = Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(ours.close)
        ours.setblocking(False)
        return Echoed(ours, b"0123456789", b"mask")

    def test_flood(self) -> None:
        """A message is sent for each that has come back, until the time is over."""
        connection = self.make_echoed()
        seconds, took = flood([connection], 0.05)
        self.assertGreaterEqual(seconds, 0.05)
        self.assertGreater(len(took), 10)
        self.assertLessEqual(sum(took), seconds)
        connection.close()

    def test_floodOfOtherBytes(self) -> None:
        """An echo that is not what was sent stops the measurement."""
        self.assertRaises(ValueError, flood, [self.make_echoed(b"01x")], 5.0)

    def test_echoCloses(self) -> None:
        """A close frame is answered with the same, and is the end."""
        echo = self.make_echo()
        close = echo.receive(frames.frame(frames.CLOSE, b"\x03\xe8", b"mask"))
        self.assertEqual(close, frames.frame(frames.CLOSE, b"\x03\xe8"))
        self.assertFalse(echo.open)


class DnsTests(SynchronousTestCase):
    """The zone, the questions, and what dnsperf reports."""

    REPORT = (
        "  Queries sent:         200000\n  Queries completed:    199900 (99.95%)\n"
        "  Queries lost:         100 (0.05%)\n\n"
        "  Response codes:       NOERROR 199850 (99.97%), SERVFAIL 50 (0.03%)\n"
        "  Run time (s):         2.5\n"
    )

    def test_report(self) -> None:
        """Only answers with the right code count; one in a thousand may be missing."""
        self.assertEqual(dnsperf.read_report(self.REPORT, "NOERROR"), (199850, 2.5))
        for bad, code in (
            (self.REPORT, "NXDOMAIN"),
            (self.REPORT.replace("199850", "199799"), "NOERROR"),
            (self.REPORT.replace("200000", "0"), "NOERROR"),
            ("", "NOERROR"),
        ):
            self.assertRaises(NotMeasured, dnsperf.read_report, bad, code)

    def test_zone(self) -> None:
        """The zone is one, and the site file has the same records."""
        parsed = dns.zone.from_text(zone.zone_text(), zone.ZONE, relativize=False)
        self.assertEqual(len(parsed.nodes), zone.NAMES + 2)
        addresses = {str(record) for _, _, record in parsed.iterate_rdatas("A")}
        self.assertEqual(len(addresses), zone.NAMES + 1)
        records = yaml.safe_load(zone.site_records())
        self.assertEqual({each["data"] for each in records if each["type"] == "A"}, addresses)

    def test_question(self) -> None:
        """A question is a resolver's: for one address, EDNS, nothing wanted but the answer."""
        message = dns.message.from_wire(zone.question("shop-1"))
        self.assertEqual(str(message.question[0]), f"shop-1.{zone.ZONE}. IN A")
        self.assertEqual((message.flags, message.edns, message.payload), (0, 0, 1232))
        self.assertEqual(message.options, ())

    def test_questions(self) -> None:
        """Each name is asked for once, each question behind its length."""
        file = Path(self.mktemp())
        zone.write_known(file)
        data, found = file.read_bytes(), set()
        while data:
            size = int.from_bytes(data[:2], "big")
            found.add(data[2 : 2 + size])
            data = data[2 + size :]
        self.assertEqual(found, {zone.question(zone.label(each)) for each in range(zone.NAMES)})

    def test_randomLabels(self) -> None:
        """No name comes twice, in one drive or in two."""
        labels = zone.random_labels(5000, 1) + zone.random_labels(5000, 2)
        self.assertEqual(len(set(labels)), 10000)
        self.assertEqual({len(each) for each in labels}, {16})


class BodyTests(SynchronousTestCase):
    """The generator of large bodies, against servers that behave and one that does not."""

    def serve(self, run: Callable[[socket.socket], object]) -> int:
        """Run this for each connection; give the port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def accept() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                Thread(target=run, args=(accepted,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)
        port: int = listener.getsockname()[1]
        return port

    def answer(self, connected: socket.socket) -> None:
        """Answer each request with a large body."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE_SIZE
        body = bytes(LARGE_SIZE)
        with connected, contextlib.suppress(OSError):
            while connected.recv(4096):
                connected.sendall(head)
                connected.sendall(body)

    def test_download(self) -> None:
        """Bodies follow each other on one connection, and each byte is counted once."""
        client = Download(self.serve(self.answer), "a.example")
        self.addCleanup(client.socket.close)
        moved = 0
        while moved < 2 * LARGE_SIZE + PIECE:
            moved += client.move(LARGE_SIZE)
        self.assertLess(moved, 2 * LARGE_SIZE + 2 * GULP)

    def test_upload(self) -> None:
        """The sink has taken each body whole before the next one begins."""
        client = Upload(self.serve(sink.serve), "a.example")
        self.addCleanup(client.socket.close)
        moved = 0
        while moved < LARGE_SIZE + PIECE:
            moved += client.move(GULP)
        self.assertLess(moved, LARGE_SIZE + PIECE + GULP)

    def test_sum(self) -> None:
        """Asked for, the sink tells the sum of what came."""
        body = b"abc" * 100_000
        with socket.create_connection(("127.0.0.1", self.serve(sink.serve)), 10) as asking:
            head = b"POST /upload?sum HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
            asking.sendall(head + body)
            answer = asking.recv(4096)
        wanted = b"%d %08x" % (len(body), zlib.crc32(body))
        self.assertTrue(answer.endswith(b"\r\n\r\n" + wanted), answer)

    def test_cut(self) -> None:
        """A body that ends too early is no measurement."""

        def cut(connected: socket.socket) -> None:
            with connected:
                connected.recv(4096)
                connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 70000000\r\n\r\nabc")

        client = Download(self.serve(cut), "a.example")
        self.addCleanup(client.socket.close)
        self.assertRaises(ValueError, flood_bodies, [client], 5.0)

    def test_trickle(self) -> None:
        """At a rate, as much moves as is due."""
        client = Download(self.serve(self.answer), "a.example")
        self.addCleanup(client.socket.close)
        seconds, moved = trickle([client], 20e6, 0.1)
        self.assertGreaterEqual(moved, 2e6 - PIECE)
        self.assertGreaterEqual(seconds, 0.09)


class ReportTests(SynchronousTestCase):
    """Medians, ratios and lines."""

    RESULTS = {
        "plain": {
            "nginx": [Drive(1000, 1.0, cost * 1e-3) for cost in (10, 30, 20)],
            "hostedge": [Drive(1000, 1.0, 50e-3, 0.001, 0.002)],
            "caddy": [Drive(1000, 1.0, 70e-3)],
            "haproxy": [],
        },
        "websocket-16k-paced": {"hostedge": [Drive(123456, 1.0, 123.456)]},
        "dns": {"bind": [Drive(1000, 1.0, 10e-3)], "hostedge": [Drive(1000, 1.0, 11e-3)]},
    }
    GOALS = {
        "plain": Goal("nginx", "nginx", 3.0, below="caddy"),
        "websocket-16k-paced": Goal("nginx", "nginx", 4.0),
        "dns": Goal("bind", "BIND", 1.1),
    }

    def test_median(self) -> None:
        """The median round counts; the spread is half of what lies between the extremes."""
        found = report.summarize(self.RESULTS["plain"]["nginx"])
        self.assertAlmostEqual(found.cost, 20.0)
        self.assertAlmostEqual(found.spread, 0.5)
        self.assertAlmostEqual(found.busy, 0.02)

    def test_table(self) -> None:
        """The ratio is to the case's base; no line is wider than a terminal."""
        lines = report.table(self.RESULTS, self.GOALS)
        ours = [line.split()[2] for line in lines if line.startswith("hostedge")]
        self.assertEqual(ours, ["2.50", "-", "1.10"])
        heads = [line for line in lines if "µs CPU" in line]
        self.assertEqual(["× BIND" in line for line in heads], [False, False, True])
        self.assertNotIn("haproxy", "".join(lines))
        self.assertLessEqual(max(len(line) for line in lines), 80)

    def test_reach(self) -> None:
        """Bounds are judged, where there is something to compare with."""
        lines = report.reach(self.RESULTS, self.GOALS)
        self.assertEqual([line.rpartition(": ")[2] for line in lines], ["met"] * 3)
        dear = {**self.RESULTS["plain"], "hostedge": [Drive(1000, 1.0, 71e-3)]}
        slow = {**self.RESULTS["dns"], "hostedge": [Drive(1000, 1.0, 11.1e-3)]}
        lines = report.reach({"plain": dear, "dns": slow}, self.GOALS)
        self.assertEqual([line.rpartition(": ")[2] for line in lines], ["MISSED"] * 3)

    def test_outright(self) -> None:
        """A bound that no peer is needed for, in a unit of its own; memory has a column."""
        unit = Unit("kB each", lambda drive: drive.memory / drive.requests / 1000)
        goals = {"idle": Goal("nginx", "nginx", most=60.0, unit=unit)}
        for kept, judged in ((300e6, "met"), (301e6, "MISSED")):
            results = {"idle": {"hostedge": [Drive(5000, 9.0, 1.0, memory=int(kept))]}}
            (line,) = report.reach(results, goals)
            self.assertTrue(line.endswith(f" kB each, at most 60: {judged}"), line)
        head, _, ours, _ = report.table(results, goals)
        self.assertIn("kB each", head)
        self.assertTrue(head.endswith("more MB") and ours.endswith("301.0"), ours)
        self.assertEqual(report.document(results, goals, {})["meta"]["units"], {"idle": "kB each"})

    def test_known(self) -> None:
        """Every case has names of its own; what it is judged by is a peer."""
        names = [name for case in CASES for name in (case.name, f"{case.name}-paced")]
        self.assertEqual(len(set(names)), len(names))
        peers = {peer.name for peer in PEERS} | {""}
        self.assertEqual({case.goal.base for case in CASES} - peers, set())
        self.assertEqual({case.goal.below for case in CASES} - peers, set())

    def test_document(self) -> None:
        """The document has the costs by case and peer, and leaves out what was not measured."""
        found = report.document(self.RESULTS, self.GOALS, {"rounds": 3})
        self.assertEqual(found["cases"]["plain"], {"nginx": 20.0, "hostedge": 50.0, "caddy": 70.0})
        self.assertEqual(found["meta"]["rounds"], 3)
        self.assertEqual(
            found["meta"]["goals"]["dns"], {"base": "bind", "reach": 1.1, "most": None}
        )

    def test_pace(self) -> None:
        """The pace is half of the slowest's, but no more than can be generated."""
        self.assertEqual(report.pace(3010.0, 3000.0), 1500.0)
        self.assertEqual(report.pace(90000.0, 3000.0), 3000.0)
        self.assertEqual(report.pace(20.0, 3000.0), 100.0)


class ScaleTests(SynchronousTestCase):
    """The crowd of sites, and finding the edge at the other end."""

    def test_siteFile(self) -> None:
        """Each account has its domains, each with two mappings and its own certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        file = Path(self.mktemp())
        file.write_bytes(key_text(key))
        document = yaml.safe_load(text_of(Crowd(10, 2), 3, 8000, file))
        self.assertEqual(document["account"], "a00003")
        names = [domain["name"] for domain in document["domains"]]
        self.assertEqual(names, ["shop-6.example.net", "shop-7.example.net"])
        self.assertEqual([len(domain["mappings"]) for domain in document["domains"]], [2, 2])
        for name, certificate in zip(names, document["certificates"], strict=True):
            self.assertEqual(certificate["names"], [name])
            shown = x509.load_pem_x509_certificate(certificate["chain"].encode())
            self.assertEqual(names_in(shown.public_bytes(Encoding.DER)), [name])

    def test_certificateNamesAll(self) -> None:
        """A certificate has every name it was made for."""
        made = make_certificate(["a.test", "b.test"], ec.generate_private_key(ec.SECP256R1()))
        shown = x509.load_pem_x509_certificate(made).public_bytes(Encoding.DER)
        self.assertEqual(names_in(shown), ["a.test", "b.test"])

    def test_findInode(self) -> None:
        """A connection is found by both of its ends."""
        text = (
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid\n"
            "   0: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000 0 0 77 1\n"
            "   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 0 0 88 1\n"
        )
        door, ours = ("127.0.0.1", 8080), ("127.0.0.1", 54321)
        self.assertEqual(find_inode(text, door, ours), 77)
        self.assertEqual(find_inode(text, ours, door), 88)
        self.assertIsNone(find_inode(text, door, door))

    def test_table(self) -> None:
        """A bound is met or missed; what is only told is neither; 80 columns are enough."""
        lines = table([Bound("a", "s", 2.0, 2.0), Bound("b", "MB", 3.0, 2.0), Bound("c", "s", 9.0)])
        self.assertEqual([line.split()[-1] for line in lines[2:]], ["met", "MISSED", "s"])
        self.assertLessEqual(max(len(line) for line in lines), 80)


class DaemonsTests(SynchronousTestCase):
    """How many starts there are at once."""

    def test_atOnce(self) -> None:
        """Spans that overlap are counted; one that begins when another ends does not overlap it."""
        self.assertEqual(at_once([(0, 10), (2, 4), (3, 12), (10, 11)]), 3)
        self.assertEqual(at_once([(0, 1), (1, 2), (2, 3)]), 1)
        self.assertEqual(at_once([]), 0)
