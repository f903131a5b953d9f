"""
What is asked for beside what was measured, where one figure is one line.

In:  `scale` and `daemons` add a bound for each step.
Out: a table, a JSON file, and whether all is as asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from benchmarks.machine import describe


@frozen
class Bound:
    """One thing measured; `most` is what is asked for, None: only told."""

    what: str
    unit: str
    measured: float
    most: float | None = None

    @property
    def met(self) -> bool:
        return self.most is None or self.measured <= self.most


class Bounds(list[Bound]):
    """What a run has measured so far; each line is printed when it is known."""

    def bound(self, what: str, unit: str, measured: float, most: float | None) -> None:
        self.append(Bound(what, unit, measured, most))
        print(table(self[-1:])[2].rstrip(), flush=True)

    def tell(self, what: str, unit: str, measured: float) -> None:
        self.bound(what, unit, measured, None)


def table(bounds: Sequence[Bound]) -> list[str]:
    """Give the lines of the table."""
    head = f"{'':<44} {'asked':>9} {'measured':>11}   {'':<6}"
    lines = [head, "-" * len(head)]
    for bound in bounds:
        asked = "" if bound.most is None else f"≤ {bound.most:g}"
        word = "" if bound.most is None else "met" if bound.met else "MISSED"
        measured = f"{bound.measured:.1f} {bound.unit:<2}"
        lines.append(f"{bound.what:<44} {asked:>9} {measured:>11}   {word:<6}")
    return lines


def write_bounds(
    file: Path, bounds: Sequence[Bound], facts: Mapping[str, object], failure: str
) -> None:
    """Write it all as JSON; `facts` is what else there is to know of the run."""
    measured = [
        {
            "what": each.what.strip(),
            "unit": each.unit,
            "asked": each.most,
            "measured": round(each.measured, 3),
            "met": each.met,
        }
        for each in bounds
    ]
    document = {**facts, "measured": measured, "failure": failure, "meta": describe([])}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
