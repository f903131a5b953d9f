"""
What sites do by the second: the difference of two looks at their counts.

In:  `cli.top`, with what `GET /v1/sites` has answered twice.
Out: a row for each active site, all edges together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

SERVER_ERRORS = 4  # place of the 5xx among the classes of statuses


@frozen
class Row:
    """One site. Rates are by the second; latencies None where nothing has ended meanwhile."""

    site: str
    requests: float
    errors: float
    waiting: int
    in_flight: int
    p50: float | None
    p95: float | None
    bytes: float


# what rows can be sorted by: the most first, but names from the beginning
ORDERS = ("requests", "errors", "waiting", "in_flight", "p50", "p95", "bytes", "site")


def rates(before: dict[str, Any], after: dict[str, Any], seconds: float) -> list[Row]:
    """
    Give a row for each site that is active after, in no order.

    A site that was not there before, or was idle in between, and one of an edge that is new, has
    begun at zero.
    """
    known = {
        (edge["pid"], each["site"], each["number"]): each
        for edge in before["edges"]
        for each in edge["sites"]
    }
    parts: dict[str, list[tuple[dict[str, Any], dict[str, Any] | None]]] = {}
    for edge in after["edges"]:
        for each in edge["sites"]:
            earlier = known.get((edge["pid"], each["site"], each["number"]))
            parts.setdefault(each["site"], []).append((each, earlier))
    return [_row(site, pairs, after["bounds"], seconds) for site, pairs in parts.items()]


def _row(
    site: str,
    pairs: list[tuple[dict[str, Any], dict[str, Any] | None]],
    bounds: Sequence[float],
    seconds: float,
) -> Row:
    durations = [0] * (len(bounds) + 1)
    requests = errors = size = waiting = in_flight = 0
    for now, then in pairs:
        waiting += now["waiting"]
        in_flight += now["in_flight"]
        requests += now["requests"] - (then["requests"] if then else 0)
        errors += now["statuses"][SERVER_ERRORS] - (then["statuses"][SERVER_ERRORS] if then else 0)
        size += now["bytes"] - (then["bytes"] if then else 0)
        for place, count in enumerate(now["durations"]):
            durations[place] += count - (then["durations"][place] if then else 0)
    return Row(
        site=site,
        requests=requests / seconds,
        errors=errors / seconds,
        waiting=waiting,
        in_flight=in_flight,
        p50=quantile(durations, bounds, 0.50),
        p95=quantile(durations, bounds, 0.95),
        bytes=size / seconds,
    )


def quantile(counts: Sequence[int], bounds: Sequence[float], part: float) -> float | None:
    """
    The time within which that part of all has ended, as near as the buckets tell; beyond the
    last bound it is the last bound.
    """
    total = sum(counts)
    if not total:
        return None
    left = part * total
    lower = 0.0
    for count, upper in zip(counts, bounds, strict=False):
        if left <= count:
            return min(upper, lower + (upper - lower) * left / count)
        left -= count
        lower = upper
    return lower


def ordered(rows: Iterable[Row], key: str) -> list[Row]:
    """By one of `ORDERS`; those that are equal by name."""
    rows = sorted(rows, key=lambda row: row.site)
    if key != "site":
        rows.sort(key=lambda row: -(getattr(row, key) or 0))
    return rows


def total(rows: Iterable[Row]) -> tuple[float, float, int, int]:
    """Requests and errors by the second, who waits, who is in flight."""
    rows = list(rows)
    return (
        sum(row.requests for row in rows),
        sum(row.errors for row in rows),
        sum(row.waiting for row in rows),
        sum(row.in_flight for row in rows),
    )
