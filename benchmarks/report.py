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

from benchmarks.cases.kind import Goal
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


def summarize(drives: Sequence[Drive]) -> Summary:
    """Give the medians of the rounds."""
    costs = [drive.cost for drive in drives]
    middle = median(costs)
    return Summary(
        cost=middle,
        spread=(max(costs) - min(costs)) / 2 / middle,
        rate=median(drive.rate for drive in drives),
        busy=median(drive.busy for drive in drives),
        p99=median(drive.p99 for drive in drives),
    )


def pace(slowest: float, most: float) -> float:
    """Give the rate for everybody: half of what the slowest can do, in round hundreds."""
    half = min(slowest / 2, most)
    return max(100.0, half // 100 * 100)


def costs_of(peers: Mapping[str, Sequence[Drive]]) -> dict[str, float]:
    """Give the median cost of every peer that was measured."""
    return {name: summarize(drives).cost for name, drives in peers.items() if drives}


def table(results: Results, goals: Goals) -> list[str]:
    """Give a table for each case; a peer's ratio is to the case's base."""
    lines = []
    for case, peers in results.items():
        goal, costs = goals[case], costs_of(peers)
        if not costs:
            continue
        head = f"{case:<22} {'µs CPU':>8} {f'× {goal.title}':>8} {'spread':>7}"
        head += f" {'per s':>8} {'core':>5} {'p99 ms':>7}"
        lines += [head, "-" * len(head)]
        for name in costs:
            found = summarize(peers[name])
            ratio = f"{found.cost / costs[goal.base]:.2f}" if goal.base in costs else "-"
            late = f"{found.p99 * 1000:.2f}" if found.p99 else "-"
            lines.append(
                f"{name:<22} {found.cost:>8.1f} {ratio:>8} {found.spread:>7.1%}"
                f" {found.rate:>8,.0f} {found.busy:>5.0%} {late:>7}"
            )
        lines.append("")
    return lines


def reach(results: Results, goals: Goals) -> list[str]:
    """Say for each case whether ours costs what it may."""
    lines = []
    for case, peers in results.items():
        goal, costs = goals[case], costs_of(peers)
        if OURS not in costs:
            continue
        if goal.base in costs:
            ratio = costs[OURS] / costs[goal.base]
            met = "met" if ratio <= goal.reach else "MISSED"
            lines.append(f"{case:<22} {ratio:.2f} × {goal.title}, at most {goal.reach:g}: {met}")
        if goal.below in costs:
            met = "met" if costs[OURS] < costs[goal.below] else "MISSED"
            lines.append(
                f"{case:<22} {costs[OURS]:.1f} µs,"
                f" below {costs[goal.below]:.1f} of {goal.below}: {met}"
            )
    return lines


def document(results: Results, goals: Goals, meta: Mapping[str, object]) -> dict[str, Any]:
    """Give what `build/bench.json` holds."""
    found = {
        case: {name: summarize(drives) for name, drives in peers.items() if drives}
        for case, peers in results.items()
    }
    return {
        "cases": {
            case: {name: round(each.cost, 2) for name, each in peers.items()}
            for case, peers in found.items()
        },
        "meta": {
            **meta,
            "unit": "CPU microseconds a request, a message and its echo, or a question",
            "goals": {
                case: {"base": goals[case].base, "reach": goals[case].reach} for case in found
            },
            "details": {
                case: {
                    name: {
                        "spread": round(each.spread, 4),
                        "requests_per_second": round(each.rate, 1),
                        "core": round(each.busy, 4),
                        "p99_ms": round(each.p99 * 1000, 3),
                    }
                    for name, each in peers.items()
                }
                for case, peers in found.items()
            },
        },
    }
