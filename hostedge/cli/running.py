"""
`hostedge status`, `restart` and `explain`: what the node is doing.

In:  `cli.main`.
Out: tables; with --json what the API answered.
"""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hostedge.cli.client import ApiClient
from hostedge.cli.daemons import path_of
from hostedge.cli.output import as_json
from hostedge.cli.table import WIDTH, paragraph, span, table
from hostedge.cli.times import clock, moment
from hostedge.net.identity import process_started
from hostedge.settings import Settings, read_settings
from hostedge.version import VERSION

STEP = len("certificate") + 2  # columns of the word for a step; there is no longer one


def _ask(options: Namespace, method: str, path: str) -> Any:
    with ApiClient(read_settings(Path(options.settings))) as client:
        return client.call(method, path)


def _print(options: Namespace, answer: Any, lines: Iterator[str]) -> int:
    if options.json:
        print(as_json(answer))
    else:
        for line in lines:
            print(line)
    return 0


def status(options: Namespace) -> int:
    """Show processes, listeners and the counters that are not zero."""
    settings = read_settings(Path(options.settings))
    with ApiClient(settings) as client:
        report = client.call("GET", "/v1/status")
    report["processes"] = processes(settings)
    report["listeners"] = listeners(settings)
    report["installed"] = VERSION
    return _print(options, report, status_lines(report))


def listeners(settings: Settings) -> list[dict[str, str]]:
    """The addresses that the node has bound; none while it does not run."""
    bound = []
    notes = settings.run / "listeners.json", settings.console_note, settings.metrics_note
    for note in notes:
        # the last two are off on most nodes
        with suppress(OSError, ValueError, KeyError, TypeError):
            for each in json.loads(note.read_text()):
                bound.append({"protocol": each["protocol"], "address": each["address"]})
    return bound


def processes(settings: Settings) -> list[dict[str, Any]]:
    """The node's own processes as the keeper has noted them, the keeper first."""
    try:
        pid, _, version = (settings.run / "keeper.lock").read_text().partition("\n")
        keeper = {"role": "keeper", "pid": int(pid), "version": version.strip()}
        noted = [keeper, *json.loads((settings.run / "family.json").read_text())]
        known = [(each["role"], each["pid"], each.get("version", "")) for each in noted]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    found = []
    for role, pid, version in known:
        uptime = _uptime(pid)
        if uptime is not None:
            found.append({"role": role, "pid": pid, "uptime": uptime, "version": version})
    return found


def _uptime(pid: int) -> float | None:
    """Seconds since the process began; None: there is no such process."""
    try:
        began = process_started(pid) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return None
    return max(0.0, float(Path("/proc/uptime").read_text().split()[0]) - began)


def status_lines(report: dict[str, Any], width: int = WIDTH) -> Iterator[str]:
    yield f"Node {report['name']}, store at revision {report['revision']}."
    if not report.get("keeper"):
        yield "The keeper does not answer: apps run on, but none can be started."
    known = {each.get("version") for each in report.get("processes", [])}
    installed = report.get("installed", "")
    if installed and known - {installed, "", None}:
        yield f"Version {installed} is installed: `hostedge upgrade` has the node go on as that."
    yield ""
    edges = report.get("edges", [])
    others = [each for each in report.get("processes", []) if each["role"] != "edge"]
    rows: list[tuple[object, ...]] = [
        (each["role"], each["pid"], span(each["uptime"]), "", "", "", each.get("version"))
        for each in others
    ]
    versions = {each["pid"]: each.get("version") for each in report.get("processes", [])}
    yield from table(
        ("ROLE", "PID", "UPTIME", "CONNECTIONS", "IN FLIGHT", "REVISION", "VERSION"),
        [*rows, *((*_edge_row(each), versions.get(each.get("pid"))) for each in edges)],
        right=("PID", "CONNECTIONS", "IN FLIGHT", "REVISION"),
        width=width,
    )
    for edge in edges:
        if edge.get("step", "calm") != "calm":
            yield ""
            yield from paragraph("", _pressed(edge), 0, width)
    if report.get("listeners"):
        yield ""
        rows = [(each["protocol"], each["address"]) for each in report["listeners"]]
        yield from table(("LISTENS", "ADDRESS"), rows, width=width)
    counted = _sum(each.get("counters", {}) for each in edges)
    if counted:
        yield ""
        rows = sorted(counted.items())
        yield from table(("COUNTER", "ALL EDGES"), rows, right=("ALL EDGES",), width=width)


_STEPS = {
    "shorten": "idle connections get less time",
    "narrow": "idle connections get less time, HTTP/2 fewer streams",
    "pause": "it accepts no connection",
}


def _pressed(edge: dict[str, Any]) -> str:
    share = round(edge["pressure"] * 100)
    what = f"{edge['pressed_by']} at {share} % of what it can bear"
    return f"Edge {edge['index']} is hard pressed, {what}: {_STEPS[edge['step']]}."


def _edge_row(edge: dict[str, Any]) -> tuple[object, ...]:
    uptime = edge.get("uptime", edge.get("age"))
    leaving = ", leaving" if edge.get("leaving") else ""
    return (
        f"edge {edge.get('index', '')}{leaving}",
        edge.get("pid"),
        "not linked" if edge.get("linked") is False else "" if uptime is None else span(uptime),
        edge.get("connections"),
        edge.get("in_flight"),
        edge.get("revision"),
    )


def _sum(counters: Iterator[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counters:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return {name: count for name, count in total.items() if count}


def restart(options: Namespace) -> int:
    """Swap an app for a new generation; the old one finishes what it has begun."""
    answer = _ask(options, "POST", path_of(options.app, "/restart"))
    return _print(options, answer, iter([f"{options.app} is being restarted."]))


def explain(options: Namespace) -> int:
    """Tell what an edge would do with a request."""
    asked = {"url": options.url, "method": options.method}
    query = urlencode({**asked, "at": moment(options.at)} if options.at else asked)
    answer = _ask(options, "GET", f"/v1/explain?{query}")
    return _print(options, answer, explain_lines(answer))


def explain_lines(answer: dict[str, Any], width: int = WIDTH) -> Iterator[str]:
    at = f" at revision {answer['at']}" if "at" in answer else ""
    yield f"{answer['method']} {answer['url']}{at}"
    for step in answer["steps"]:
        yield from paragraph(step["step"], step["answer"], STEP, width)
        if step["reason"]:
            yield from paragraph("", step["reason"], STEP, width)
        if "changed" in step:
            made = step["changed"]
            last = f"{made['key']} changed at revision {made['revision']}"
            about = f"{last}, {clock(made['time'])}, by {made['who']}"
            yield from paragraph("", about, STEP, width)
