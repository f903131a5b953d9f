"""The benchmarks' arithmetic: what they read, how they sum, what they print."""

from __future__ import annotations

from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import cpu, report
from benchmarks.generator import missing, quantile, schedule
from benchmarks.load import Drive, answered
from benchmarks.probe import names_in
from benchmarks.scale import Bound, table
from benchmarks.scale_site import Crowd, text_of
from benchmarks.sockets import find_inode
from benchmarks.stage import NotMeasured, key_text, make_certificate

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

    def test_failures(self) -> None:
        """A single bad answer, none at all, or no report is no measurement."""
        for bad in (
            self.REPORT.replace("605 2xx", "604 2xx"),
            self.REPORT.replace("605 succ", "604 succ"),
            self.REPORT.replace("605", "0"),
            "",
        ):
            self.assertRaises(NotMeasured, answered, bad)


class ReportTests(SynchronousTestCase):
    """Medians, ratios and lines."""

    RESULTS = {
        "plain": {
            "nginx": [Drive(1000, 1.0, cost * 1e-3) for cost in (10, 30, 20)],
            "hostedge": [Drive(1000, 1.0, 50e-3, 0.001, 0.002)],
            "caddy": [Drive(1000, 1.0, 70e-3)],
            "haproxy": [],
        },
        "websocket-paced": {"hostedge": [Drive(123456, 1.0, 123.456)]},
    }

    def test_median(self) -> None:
        """The median round counts; the spread is half of what lies between the extremes."""
        found = report.summarize(self.RESULTS["plain"]["nginx"])
        self.assertAlmostEqual(found.cost, 20.0)
        self.assertAlmostEqual(found.spread, 0.5)
        self.assertAlmostEqual(found.busy, 0.02)

    def test_table(self) -> None:
        """The ratio is to nginx; no line is wider than a terminal."""
        lines = report.table(self.RESULTS)
        self.assertIn("2.50", next(line for line in lines if "hostedge" in line))
        self.assertNotIn("haproxy", "".join(lines))
        self.assertLessEqual(max(len(line) for line in lines), 80)

    def test_reach(self) -> None:
        """The two bounds are judged, where there is something to compare with."""
        lines = report.reach(self.RESULTS)
        self.assertEqual([line.rpartition(": ")[2] for line in lines], ["met", "met"])
        dear = {**self.RESULTS["plain"], "hostedge": [Drive(1000, 1.0, 71e-3)]}
        lines = report.reach({"plain": dear})
        self.assertEqual([line.rpartition(": ")[2] for line in lines], ["MISSED", "MISSED"])

    def test_document(self) -> None:
        """The document has the costs by case and peer, and leaves out what was not measured."""
        found = report.document(self.RESULTS, {"rounds": 3})
        self.assertEqual(found["cases"]["plain"], {"nginx": 20.0, "hostedge": 50.0, "caddy": 70.0})
        self.assertEqual(found["meta"]["rounds"], 3)

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
