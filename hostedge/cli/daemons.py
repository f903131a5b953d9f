"""
`hostedge apps`, `suspend` and `resume`: what daemons are doing, and why, and that they stop.

In:  `cli.main`.
Out: tables, or all that is known of one app; with --json what the API answered.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.table import GAP, WIDTH, cut, paragraph, printable, span, table
from hostedge.cli.times import clock
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

LABEL = len("last start") + 2
UNCUT = 1000  # columns in which every row has room
RIGHT = ("FOR", "TASKS", "MEMORY", "CPU", "FLIGHT", "START")
_SIZES = ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "k"))


def split_name(name: str) -> tuple[str, str]:
    """
    Account and app of `ACCOUNT/APP`.

    Raises:
        ConfigError: it is not written so.
    """
    account, slash, app = name.partition("/")
    if not slash or not account or not app or "/" in app:
        raise ConfigError(name, "want ACCOUNT/APP")
    return account, app


def path_of(name: str, rest: str = "") -> str:
    """
    The API's path for an app.

    Raises:
        ConfigError: it is not written as `ACCOUNT/APP`.
    """
    account, app = split_name(name)
    return f"/v1/apps/{quote(account, safe='')}/{quote(app, safe='')}{rest}"


def apps(options: Namespace) -> int:
    """List the apps that the keeper knows, all or of one account; or tell all of one."""
    with ApiClient(read_settings(Path(options.settings))) as client:
        if "/" in options.name:
            answer = client.call("GET", path_of(options.name))
            lines = one_app(answer)
        else:
            answer = client.call("GET", "/v1/apps")
            if options.name:
                mine = [a for a in answer["apps"] if a["app"].startswith(f"{options.name}/")]
                answer["apps"] = mine
            lines = app_lines(answer["apps"], account=options.name)
    if options.json:
        print(as_json(answer))
        return 0
    for line in lines:
        print(line)
    return 0


def app_lines(known: list[dict[str, Any]], width: int = WIDTH, account: str = "") -> Iterator[str]:
    """A line for each app, and below it why it is so; columns that nobody fills are not there."""
    if not known:
        of_account = f" of account {account}" if account else ""
        yield f"No app{of_account} was asked for yet: each is started by its first request."
        return
    head = ("APP", "STATE", "FOR", "TASKS", "MEMORY", "CPU", "FLIGHT", "START", "NEXT")
    rows = [_row(each) for each in known]
    there = [n for n in range(len(head)) if any(row[n] not in (None, "") for row in rows)]
    columns, cells = [head[n] for n in there], [[row[n] for n in there] for row in rows]
    beside = table(columns[1:], [row[1:] for row in cells], RIGHT, UNCUT)
    room = width - GAP - max(map(len, beside))
    for row in cells:
        if len(str(row[0])) > room:
            # if it were cut, two apps of one account would look the same
            row[0] = ""
    shown = table(columns, cells, RIGHT, width)
    yield next(shown)
    for each, row, line in zip(known, cells, shown, strict=True):
        if not row[0]:
            yield cut(each["app"], width)
        yield line
        if each.get("reason"):
            yield from paragraph("", each["reason"], 2, width)


def _row(app: dict[str, Any]) -> tuple[object, ...]:
    start = app.get("start")
    since = app.get("since")
    return (
        app["app"],
        app["state"],
        None if since is None else span(since),
        app.get("pids") or None,
        _amount(app.get("memory")),
        _seconds(app.get("cpu")),
        app.get("in_flight"),
        (_seconds(start["seconds"]) if start["ok"] else "failed") if start else None,
        _next(app),
    )


def _next(app: dict[str, Any]) -> str:
    timer = app.get("next")
    return f"{_words(timer['what'])} in {span(timer['seconds'])}" if timer else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"


def _amount(size: float | None) -> str | None:
    """Bytes in the largest unit that leaves a number before the point."""
    if not size:
        return None
    for unit, letter in _SIZES:
        if size >= unit:
            return (
                f"{size / unit:.0f}{letter}" if size >= 10 * unit else f"{size / unit:.1f}{letter}"
            )
    return f"{size:.0f}B"


def _seconds(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < 60 else span(seconds)


def one_app(answer: dict[str, Any], width: int = WIDTH) -> Iterator[str]:
    """Everything about one app, what is not known left out."""
    app = answer["app"]
    for label, text in _facts(app).items():
        if text:
            yield from paragraph(label, text, LABEL, width)
    if answer.get("journey"):
        yield ""
        yield from journey_lines(answer["journey"], width)


def _facts(app: dict[str, Any]) -> dict[str, str]:
    since = "" if app.get("since") is None else f" for {span(app['since'])}"
    used = [
        f"generation {app['generation']}" if app.get("generation") else "",
        f"pid {app['pid']}" if app.get("pid") else "",
        _tasks(app["pids"]) if app.get("pids") else "",
        f"memory {_amount(app['memory'])}" if app.get("memory") else "",
        f"CPU {_seconds(app['cpu'])}" if app.get("cpu") is not None else "",
    ]
    idle = f", the last {span(app['idle'])} ago" if app.get("idle") is not None else ""
    flight = "" if app.get("in_flight") is None else f"{app['in_flight']} in flight{idle}"
    return {
        "app": app["app"],
        "state": f"{app['state']}{since}",
        "why": str(app.get("reason") or ""),
        "next": _next(app),
        "runs as": ", ".join(filter(None, used)),
        "requests": flight,
        "last start": _start(app.get("start")),
    }


def _start(start: dict[str, Any] | None) -> str:
    if not start:
        return ""
    phases = ", ".join(
        f"{_words(name)} {_seconds(seconds)}" for name, seconds in start["phases"].items()
    )
    how = "took" if start["ok"] else "failed after"
    return f"{clock(start['began'])}, {how} {_seconds(start['seconds'])}: {phases}"


def journey_lines(journey: dict[str, Any], width: int = WIDTH) -> Iterator[str]:
    """How a start went that failed."""
    when = f"{clock(journey['began'])}, generation {journey['generation']}"
    yield from paragraph("", f"The last start that failed: {when}", 0, width)
    yield from paragraph("", journey["reason"] or _ending(journey), 2, width)
    rows = [
        (each["step"], _seconds(each["ms"] / 1000), _ending(journey) if n == 0 else "")
        for n, each in enumerate(reversed(journey["steps"]))
    ]
    for line in table(("STEP", "AFTER", "HOW"), rows[::-1], ("AFTER",), width - 2):
        yield f"  {line}"
    if journey["stderr"]:
        yield "  It said last:"
        for line in journey["stderr"]:
            # as it stands, like a log: a traceback that is wrapped anew is none
            yield f"    {printable(line)}"


def _ending(journey: dict[str, Any]) -> str:
    if journey["oom"]:
        return "killed for memory"
    if journey["signal"] is not None:
        return f"signal {journey['signal']}"
    return "" if journey["exit"] is None else f"exit status {journey['exit']}"


def suspend(options: Namespace) -> int:
    """Have every site of an account answer 503, and stop its apps; live when this returns."""
    return _suspend(options, "suspend")


def resume(options: Namespace) -> int:
    """Let a suspended account be served again."""
    return _suspend(options, "resume")


def _suspend(options: Namespace, word: str) -> int:
    path = f"/v1/accounts/{quote(options.account, safe='')}/{word}"
    with ApiClient(read_settings(Path(options.settings))) as client:
        answer = client.call("POST", path)
    if options.json:
        print(as_json(answer))
        return 0
    for line in suspension(answer):
        print(line)
    return 0


def suspension(answer: dict[str, Any], width: int = WIDTH) -> Iterator[str]:
    """What has changed, and what it has stopped."""
    state = "suspended" if answer["suspended"] else "served"
    account, revision = answer["account"], answer["revision"]
    if answer["changes"]:
        yield f"{account} is {state} from revision {revision} on, on every process of the node."
    else:
        yield f"{account} was {state} before; nothing has changed."
    if not answer["suspended"]:
        return
    if answer["stopped"] is None:
        yield "The keeper does not answer: what runs is stopped when it is back."
    elif answer["stopped"]:
        yield "Stopped:" if answer["changes"] else "Not all of it has ended yet:"
        rows = [
            (each["app"], each["state"], each["generation"], each["pid"] or None)
            for each in answer["stopped"]
        ]
        yield from table(("APP", "WAS", "GEN", "PID"), rows, ("GEN", "PID"), width)
    else:
        yield "None of its apps has run."
