"""
Questions over UDP, as resolvers ask them: for 1,000 names of a zone, and for names it lacks.

In:  `cases.known`.
Out: `KNOWN` and `RANDOM`.
"""

from __future__ import annotations

from itertools import count

from benchmarks.cases.kind import Case, Goal
from benchmarks.dnsperf import ask
from benchmarks.load import Drive
from benchmarks.peers.kind import Running
from benchmarks.probe import check_zone
from benchmarks.stage import Stage
from benchmarks.zone import random_labels, write_known, write_questions

# dnsperf sends evenly what fits between two of its looks at the clock
MOST_PACED = 20_000.0
# nobody answers more in a second
MOST = 300_000

# no two drives ask for the same random names
_seeds = count()


def _known(stage: Stage, peer: Running, rate: float | None, seconds: float) -> Drive:
    file = stage.folder / "known.questions"
    if not file.exists():
        write_known(file)
    return ask(stage, peer, file, "NOERROR", rate, seconds)


def _random(stage: Stage, peer: Running, rate: float | None, seconds: float) -> Drive:
    file = stage.folder / "random.questions"
    asked = round((rate or MOST) * seconds * 1.05)
    write_questions(file, random_labels(asked, next(_seeds)))
    return ask(stage, peer, file, "NXDOMAIN", rate, seconds, once=True)


KNOWN = Case(
    name="dns",
    title="DNS: 1,000 names with an address",
    door="dns",
    goal=Goal(base="bind", title="BIND", reach=1.0),
    seconds=1.2,
    check=check_zone,
    flat=lambda stage, peer, seconds: _known(stage, peer, None, seconds),
    paced=_known,
    most_paced=MOST_PACED,
    logged=False,
)

RANDOM = Case(
    name="dns-random",
    title="DNS: random names that do not exist",
    door="dns",
    goal=Goal(base="bind", title="BIND", reach=1.5),
    seconds=1.2,
    check=check_zone,
    flat=lambda stage, peer, seconds: _random(stage, peer, None, seconds),
    paced=_random,
    most_paced=MOST_PACED,
    logged=False,
)
