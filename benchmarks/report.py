"""
What the drives of a run say: medians, ratios, the table, the document.

In:  `__main__` with the drives of every case, peer and round.
Out: lines of at most 80 columns, and what goes into `build/bench.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from attrs import frozen

from benchmarks.cases.kind import CPU, Goal, Unit
from benchmarks.load import Drive

OURS = "hostedge"

# drives by case and peer; goals by case
Results = Mapping[str, Mapping[str, Sequence[Drive]]]
Goals = Mapping[str, Goal]


@frozen
class Summary:
    """Medians over the rounds of one peer in one case."""

    cost: float
    # half the distance of the extremes, as a share of the median
    spread: float
    rate: float
    busy: float
    p99: float
    # bytes, the most of all rounds
    memory: int


def summarize(drives: Sequence[Drive], unit: Unit = CPU) -> Summary:
    """Give the medians of the rounds."""
    costs = [unit.of(drive) for drive in drives]
    middle = median(costs)
    return Summary(
        cost=middle,
        spread=(max(costs) - min(costs)) / 2 / middle if middle else 0.0,
        rate=median(drive.rate for drive in drives),
        busy=median(drive.busy for drive in drives),
        p99=median(drive.p99 for drive in drives),
        memory=max(drive.memory for drive in drives),
    )


def pace(slowest: float, most: float) -> float:
    """Give the rate for everybody: half of what the slowest can do, in round hundreds."""
    half = min(slowest / 2, most)
    return max(100.0, half // 100 * 100)


def costs_of(peers: Mapping[str, Sequence[Drive]], unit: Unit) -> dict[str, float]:
    """Give the median cost of every peer that was measured."""
    return {name: summarize(drives, unit).cost for name, drives in peers.items() if drives}


def table(results: Results, goals: Goals) -> list[str]:
    """Give a table for each case; a peer's ratio is to the case's base."""
    lines = []
    for case, peers in results.items():
        goal = goals[case]
        costs = costs_of(peers, goal.unit)
        if not costs:
            continue
        heavy = any(drive.memory for drives in peers.values() for drive in drives)
        head = f"{case:<22} {goal.unit.name:>8} {f'× {goal.title}':>8} {'spread':>7}"
        head += f" {'per s':>8} {'core':>5} {'more MB' if heavy else 'p99 ms':>7}"
        lines += [head, "-" * len(head)]
        for name in costs:
            found = summarize(peers[name], goal.unit)
            ratio = f"{found.cost / costs[goal.base]:.2f}" if costs.get(goal.base) else "-"
            last = f"{found.p99 * 1000:.2f}" if found.p99 else "-"
            if heavy:
                last = f"{found.memory / 1e6:.1f}"
            lines.append(
                f"{name:<22} {found.cost:>8.1f} {ratio:>8} {found.spread:>7.1%}"
                f" {found.rate:>8,.0f} {found.busy:>5.0%} {last:>7}"
            )
        lines.append("")
    return lines


def reach(results: Results, goals: Goals) -> list[str]:
    """Say for each case whether ours costs what it may."""
    lines = []
    for case, peers in results.items():
        goal = goals[case]
        costs = costs_of(peers, goal.unit)
        if OURS not in costs:
            continue
        if goal.reach is not None and costs.get(goal.base):
            ratio = costs[OURS] / costs[goal.base]
            met = "met" if ratio <= goal.reach else "MISSED"
            lines.append(f"{case:<22} {ratio:.2f} × {goal.title}, at most {goal.reach:g}: {met}")
        if goal.below in costs:
            met = "met" if costs[OURS] < costs[goal.below] else "MISSED"
            lines.append(
                f"{case:<22} {costs[OURS]:.1f} µs,"
                f" below {costs[goal.below]:.1f} of {goal.below}: {met}"
            )
        if goal.most is not None:
            met = "met" if costs[OURS] <= goal.most else "MISSED"
            lines.append(
                f"{case:<22} {costs[OURS]:.2f} {goal.unit.name}, at most {goal.most:g}: {met}"
            )
    return lines


def document(results: Results, goals: Goals, meta: Mapping[str, object]) -> dict[str, Any]:
    """Give what `build/bench.json` holds."""
    found = {
        case: {
            name: summarize(drives, goals[case].unit) for name, drives in peers.items() if drives
        }
        for case, peers in results.items()
    }
    return {
        "cases": {
            case: {name: round(each.cost, 2) for name, each in peers.items()}
            for case, peers in found.items()
        },
        "meta": {
            **meta,
            "unit": "CPU microseconds a unit of the case, unless `units` says otherwise",
            "units": {case: goals[case].unit.name for case in found},
            "goals": {
                case: {
                    "base": goals[case].base,
                    "reach": goals[case].reach,
                    "most": goals[case].most,
                }
                for case in found
            },
            "details": {
                case: {
                    name: {
                        "spread": round(each.spread, 4),
                        "requests_per_second": round(each.rate, 1),
                        "core": round(each.busy, 4),
                        "p99_ms": round(each.p99 * 1000, 3),
                        "more_bytes": each.memory,
                    }
                    for name, each in peers.items()
                }
                for case, peers in found.items()
            },
        },
    }
