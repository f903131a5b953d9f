"""
The series of what an edge counts in plain integers, for Prometheus.

In:  `api.metrics`, with the reports of edges.
Out: a counter for each name of `observe.counters`, by edge; where several names tell one thing, a
     family of them with a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen
from prometheus_client.core import CounterMetricFamily, Metric

from hostedge.errors import CAUSES
from hostedge.observe.counters import H2_FLOODS, NAMES

# how a hello or handshake can end that is none
TLS_FAILURES = (
    *("source_full", "struck", "strained", "refused", "plain", "unknown_name", "no_certificate"),
    *("no_protocol", "timeout", "gone", "failed"),
)

# by the values of the labels: what is added up, then what is taken off
Rows = Mapping[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]]


@frozen
class Group:
    """Counters that are one family."""

    name: str
    text: str
    labels: tuple[str, ...]
    rows: Rows


def _kinds(counters: Mapping[str, str]) -> Rows:
    return {(kind,): ((counter,), ()) for kind, counter in counters.items()}


GROUPS = (
    Group(
        "refused",
        "requests that the node itself has refused, by the cause",
        ("cause",),
        _kinds({cause: f"refused_{cause}" for cause in CAUSES}),
    ),
    Group(
        "tls_handshakes",
        "handshakes completed, by version and whether they resumed a session",
        ("version", "resumed"),
        {
            ("1.2", "no"): (("tls_older",), ("tls_older_resumed",)),
            ("1.2", "yes"): (("tls_older_resumed",), ()),
            ("1.3", "no"): (
                ("tls_handshakes", "tls_older_resumed"),
                ("tls_resumed", "tls_older"),
            ),
            ("1.3", "yes"): (("tls_resumed",), ("tls_older_resumed",)),
        },
    ),
    Group(
        "tls_failures",
        "connections to a port of HTTPS that came to no handshake, by the reason",
        ("reason",),
        _kinds({reason: f"tls_{reason}" for reason in TLS_FAILURES}),
    ),
    Group(
        "shed",
        "what was turned away as there was too much of it, by how far it had come and why",
        ("stage", "reason"),
        {
            ("connection", "source"): (("source_full",), ()),
            ("handshake", "source"): (("tls_source_full",), ()),
            ("handshake", "strike"): (("tls_struck",), ()),
            ("handshake", "strain"): (("tls_strained",), ()),
            ("stream", "limit"): (("h2_refused_streams",), ()),
            ("request", "source"): (("refused_source_busy",), ()),
            ("request", "rate"): (("refused_rate_limited",), ()),
            ("request", "queue_full"): (("refused_queue_full",), ()),
            ("request", "queue_timeout"): (("refused_queue_timeout",), ()),
            ("request", "websockets"): (("refused_websockets_full",), ()),
            ("request", "room"): (("refused_spool_full", "refused_descriptors"), ()),
            ("answer", "unread"): (("h2_shed",), ()),
        },
    ),
    Group(
        "h2_abuse",
        "what clients of HTTP/2 have done that costs us more than them: connections ended because"
        " of floods by what there was too much of, answers shed, streams beyond the limit or"
        " cancelled at once",
        ("kind",),
        _kinds(
            {kind: f"h2_flood_{kind}" for kind in H2_FLOODS}
            | {
                "shed": "h2_shed",
                "refused_streams": "h2_refused_streams",
                "cancelled": "h2_cancelled",
            }
        ),
    ),
    Group(
        "parse_errors",
        "what could not be read, by what it was meant to be",
        ("kind",),
        _kinds(
            {
                "proxy_header": "proxy_refused",
                "tls_hello": "tls_refused",
                "plain_on_tls": "tls_plain",
                "request": "refused_bad_request",
                "host": "refused_bad_host",
                "path": "refused_bad_path",
                "version": "refused_version",
                "long_target": "refused_long_target",
                "large_head": "refused_large_head",
                "h2_request": "h2_malformed",
                "h2_connection": "h2_broken",
                "websocket_client": "websocket_client_broke",
                "websocket_app": "websocket_app_broke",
                "response": "refused_bad_response",
                "dns": "dns_formerr",
            }
        ),
    ),
)

# what is told by a family alone
_TOLD = frozenset(
    name
    for group in GROUPS
    if group.name in ("refused", "tls_handshakes", "tls_failures")
    for plus, minus in group.rows.values()
    for name in (*plus, *minus)
) | {f"h2_flood_{kind}" for kind in H2_FLOODS}

# counters that have a series of their own
PLAIN = {name: text for name, text in NAMES.items() if name not in _TOLD}


def families(edges: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    """All of them; edges without a count of something have 0 of it."""
    edges = list(edges)
    for name, text in PLAIN.items():
        family = CounterMetricFamily(f"hostedge_{name}", text, labels=["edge"])
        for edge in edges:
            family.add_metric([str(edge["index"])], edge["counters"].get(name, 0))
        yield family
    for group in GROUPS:
        labels = ["edge", *group.labels]
        family = CounterMetricFamily(f"hostedge_{group.name}", group.text, labels=labels)
        for edge in edges:
            count = edge["counters"].get
            for values, (plus, minus) in group.rows.items():
                total = sum(count(name, 0) for name in plus) - sum(count(n, 0) for n in minus)
                family.add_metric([str(edge["index"]), *values], total)
        yield family
