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

from benchmarks.load import Drive

# what the others are compared with
BASE = "nginx"
OURS = "hostedge"
# CPU time of ours to that of nginx, at most
REACH = 3.0

Results = Mapping[str, Mapping[str, Sequence[Drive]]]


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


def table(results: Results) -> list[str]:
    """Give the table; a peer's ratio is to nginx in the same case."""
    head = f"{'case':<15} {'peer':<14} {'µs CPU':>8} {'× nginx':>8} {'spread':>7}"
    head += f" {'req/s':>8} {'core':>5} {'p99 ms':>7}"
    lines = [head, "-" * len(head)]
    for case, peers in results.items():
        base = summarize(peers[BASE]).cost if peers.get(BASE) else None
        for name, drives in peers.items():
            if not drives:
                continue
            found = summarize(drives)
            ratio = f"{found.cost / base:.2f}" if base else "-"
            late = f"{found.p99 * 1000:.2f}" if found.p99 else "-"
            lines.append(
                f"{case:<15} {name:<14} {found.cost:>8.1f} {ratio:>8} {found.spread:>7.1%}"
                f" {found.rate:>8,.0f} {found.busy:>5.0%} {late:>7}"
            )
        lines.append("")
    return lines


def reach(results: Results) -> list[str]:
    """Say for each case whether ours costs what it may: 3 × nginx, and less than Caddy."""
    lines = []
    for case, peers in results.items():
        costs = {name: summarize(drives).cost for name, drives in peers.items() if drives}
        if OURS not in costs:
            continue
        if BASE in costs:
            ratio = costs[OURS] / costs[BASE]
            met = "met" if ratio <= REACH else "MISSED"
            lines.append(f"{case:<15} {ratio:.2f} × nginx, at most {REACH:.0f}: {met}")
        if "caddy" in costs:
            met = "met" if costs[OURS] < costs["caddy"] else "MISSED"
            lines.append(
                f"{case:<15} {costs[OURS]:.1f} µs, below Caddy's {costs['caddy']:.1f}: {met}"
            )
    return lines


def document(results: Results, meta: Mapping[str, object]) -> dict[str, Any]:
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
            "unit": "CPU microseconds a request",
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
