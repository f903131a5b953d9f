"""Every case file, with real relays and servers behind them: whole, and cut anywhere."""

from __future__ import annotations

import re
import select
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from tests.http.casefile import Case, Step, read_cases
from tests.http.played import POOLS, OneSite, Outcome, Place, World

# inputs up to this size are cut at every position
EVERYWHERE = 4096
# inputs up to this size come byte by byte as well
BYTEWISE = 1000
# larger ones are cut at every position so near to their ends, the ends of the first heads, and to
# what is fed at once or is a limit, and so many times between these
NEAR = 8
BORDERS = (8192, 16384, 32768, 65536)
BETWEEN = 10
BYTE_BY_BYTE = "byte by byte"
# made-up names
NAMES = 3000
# what could be cut
CUT = ("request", "response")
# seconds until what has to come over TCP has come
PATIENCE = 5.0
WAIT = 0.001

_RELAYED = re.compile(r"200 ([A-Z]+ \S+ \d+)(?: close)?")
_FINAL = re.compile(r"(?:[2-5]\d\d|101)(?: |$)")
_TO_HEAD = re.compile(r"\d+ length ")


@frozen
class Wanted:
    """What a file wants to come of it, or one of two ways."""

    answers: list[str]
    arrived: dict[str, list[str]]
    counters: dict[str, int]
    # counted or not
    perhaps: frozenset[str]
    head: bytes | None
    answer: bytes | None

    @property
    def heads(self) -> list[bool]:
        """Which answers are to HEAD."""
        answers = [line for line in self.answers if line[:1] in "2345" and line[:3].isdigit()]
        return [_TO_HEAD.match(line) is not None for line in answers]


def wanted_of(case: Case, buffer: str) -> list[Wanted]:
    """What may come of a case."""
    answers = case.lines("", buffer)
    assert answers is not None, case.name
    others = case.lines("or", buffer)
    return [_wanted(case, buffer, each) for each in (answers, others) if each is not None]


def _wanted(case: Case, buffer: str, answers: list[str]) -> Wanted:
    counters = Counter(f"refused_{cause}" for cause in map(cause_of, answers) if cause)
    perhaps = set()
    for line in case.lines("counters", buffer) or ():
        name, _, count = line.partition(" ")
        if count == "?":
            perhaps.add(name)
        else:
            counters[name] += int(count or 1)
    relayed = [found[1] for line in answers if (found := _RELAYED.fullmatch(line))]
    arrived = {name: case.lines(name, buffer) for name in POOLS}
    if arrived["backend"] is None:
        arrived["backend"] = relayed
    return Wanted(
        answers,
        {name: lines or [] for name, lines in arrived.items()},
        dict(counters),
        frozenset(perhaps),
        case.text("head", buffer),
        case.text("answer", buffer),
    )


def cause_of(line: str) -> str:
    """Why this answer refuses; empty: it does not."""
    status, _, rest = line.partition(" ")
    cause = rest.split(" ")[0]
    return cause if cause in CAUSES and str(CAUSES[cause].status) == status else ""


def cuts(data: bytes) -> list[int]:
    """Where to cut so many bytes in two."""
    size = len(data)
    if size <= EVERYWHERE:
        return list(range(1, size))
    borders = {0, size, *BORDERS}
    borders |= {found.end() for found in re.finditer(rb"\r\n\r\n", data[:EVERYWHERE])}
    near = {border + step for border in borders for step in range(-NEAR, NEAR + 1)}
    return sorted({*near, *range(0, size, size // BETWEEN)} & {*range(1, size)})


def ways(steps: tuple[Step, ...]) -> Iterator[tuple[str, list[Step]]]:
    """Every way in which the bytes could come, and how it is called."""
    yield "whole", list(steps)
    for number, step in enumerate(steps):
        if step.kind not in CUT:
            continue
        for cut in cuts(step.data):
            parts = [step.part(0, cut), step.part(cut)]
            yield f"{step.kind} cut at {cut}", [*steps[:number], *parts, *steps[number + 1 :]]
    if sum(len(step.data) for step in steps) <= BYTEWISE:
        yield BYTE_BY_BYTE, [single for step in steps for single in singles(step)]


def singles(step: Step) -> list[Step]:
    """The same, a byte at a time."""
    if step.kind not in CUT:
        return [step]
    return [step.part(at, at + 1) for at in range(len(step.data))]


def misfit(wanted: Wanted, got: Outcome, buffer: str, way: str) -> list[object]:
    """What differs first, if anything does: wanted, then got."""
    counters = {name: n for name, n in got.counters.items() if name not in wanted.perhaps}
    head = wanted.head
    if head is not None:
        head = head.replace(b"<port>", b"%d" % got.port)
    for name, mine, its in (
        ("answers", wanted.answers, got.answers),
        ("counters", wanted.counters, counters),
        ("head", head, got.heads),
        ("answer", wanted.answer, got.answer),
    ):
        if mine is not None and mine != its:
            return [name, mine, its]
    wrong = unlogged(got)
    if wrong:
        return ["logged", *wrong]
    for name, lines in wanted.arrived.items():
        without = [line for line in lines if not line.endswith(" cut off")]
        possible = [lines]
        if buffer == "spool":
            possible = [without]
        elif way != BYTE_BY_BYTE:
            # a fault that has come along with the head may be seen before anything is sent
            possible = [lines, without]
        if got.arrived[name] not in possible:
            return [name, lines, got.arrived[name]]
    return []


def unlogged(got: Outcome) -> list[object]:
    """Answers and lines of the log, where there is not one of these for each of those."""
    answers = [f"{line} ".split(" ")[:2] for line in got.answers if _FINAL.match(line)]
    logged = [line.split(" ") for line in got.logged]
    if [status for status, _ in answers] != [status for status, _ in logged]:
        # the line of a WebSocket comes when it is closed
        return [] if answers[-1:] and answers[-1][0] == "101" else [answers, logged]
    for (status, said), (_, cause) in zip(answers, logged, strict=True):
        if cause_of(f"{status} {said}") not in ("", cause):
            return [answers, logged]
    return []


class CaseTests(SynchronousTestCase):
    """The files of one folder a test."""

    def setUp(self) -> None:
        self.place = Place(Path(self.mktemp()).resolve())
        self.addCleanup(self.place.close)

    def play(self, case: Case, site: OneSite, steps: list[Step], wanted: Wanted) -> Outcome:
        world = World(self.place, site, case)
        try:
            world.play(steps)
            got = world.outcome(wanted.heads)
            left = PATIENCE if case.proxied else 0.0
            while left > 0 and got.answers != wanted.answers:
                # over TCP it takes the kernel a moment
                select.select([], [], [], WAIT)
                left -= WAIT
                world.settle()
                got = world.outcome(wanted.heads)
            return got
        finally:
            world.close()

    def check(self, case: Case) -> list[object]:
        """What is wrong with what comes of a case, for the first way in which it is."""
        for buffer in case.buffer:
            wanted = wanted_of(case, buffer)
            site = self.place.compiled(case, buffer)
            seen = set()
            for way, steps in ways(case.steps):
                got = self.play(case, site, steps, wanted[0])
                wrong = [misfit(each, got, buffer, way) for each in wanted]
                logged = self.flushLoggedErrors()
                if logged or all(wrong):
                    return [case.name, buffer, way, *wrong, *logged]
                seen.add(wrong.index([]))
            if len(seen) < len(wanted):
                return [case.name, buffer, "never", wanted[1 - seen.pop()].answers]
        return []

    def check_folder(self, folder: str, least: int) -> None:
        cases = read_cases(folder)
        self.assertGreaterEqual(len(cases), least)
        wrong = [found for case in cases if (found := self.check(case))]
        self.assertFalse(wrong, "\n".join(map(str, wrong)))

    def test_requests(self) -> None:
        """What a client sends: framing, sizes, targets, and what is no request."""
        self.check_folder("http", 149)

    def test_routing(self) -> None:
        """Paths and mappings, and bodies that a mapping does not want."""
        self.check_folder("routing", 37)

    def test_identity(self) -> None:
        """What a client says of itself, and of this hop."""
        self.check_folder("identity", 15)

    def test_proxies(self) -> None:
        """What comes to a port for proxies."""
        self.check_folder("proxy", 19)

    def test_responses(self) -> None:
        """What a server behind answers."""
        self.check_folder("response", 45)

    def test_slow(self) -> None:
        """Who takes too long."""
        self.check_folder("slow", 11)

    def test_manyNames(self) -> None:
        """A16: names that are not served leave nothing behind, however many they are."""
        case = Case("a16", (), {})
        world = World(self.place, self.place.compiled(case, "stream"), case)
        self.addCleanup(world.close)
        before = set(world.counters)
        text = b"GET / HTTP/1.1\r\nHost: %032x.test\r\n\r\n"
        for number in range(NAMES):
            world.play([Step("request", text % (number * 0x9E3779B97F4A7C15))])
        self.assertEqual(world.counters["refused_unknown_host"], NAMES)
        self.assertEqual(set(world.counters), before)
        stats = world.hosts.stats()
        self.assertEqual(stats.hosts, 0)
        self.assertLess(stats.gaps, 10)
        self.assertLess(stats.loads, 10)
        self.assertEqual(world.sites.active, {})
        self.assertEqual([each.told() for each in world.behind.values()], [[], []])
