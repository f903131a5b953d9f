"""
`hostedge upgrade`: has the running node go on as the code that is installed now.

In:  `cli.main`.
Out: a line for each step when it is done; with --json all of them at the end. Exit status 1 when
     the upgrade was stopped, with what runs which version then.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from hostedge.cli.client import ApiClient, is_held
from hostedge.cli.output import as_json
from hostedge.cli.running import processes
from hostedge.cli.table import WIDTH, table
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

LOOK = 0.1  # seconds between two looks at how far it has come
STILL = 120.0  # seconds without a step, longer than any of them may take
GONE = 5.0  # seconds without a keeper, longer than whoever watches over it needs
STEP = len("template") + 2  # columns of a step's name; there is no longer one


def upgrade(options: Namespace) -> int:
    """Begin an upgrade and follow it to its end."""
    settings = read_settings(Path(options.settings))
    say: Callable[[str], None] = (lambda line: None) if options.json else _print
    with ApiClient(settings) as client:
        client.call("POST", "/v1/upgrade")
        record = _follow(client, settings.run / "keeper.lock", say)
    known = processes(settings)
    if options.json:
        print(as_json({**record, "processes": known}))
        return 0 if record["state"] == "done" else 1
    for line in process_lines(known):
        print(line)
    if record["state"] != "done":
        raise ConfigError("upgrade", f"stopped at {record['step']}: {record['reason']}")
    return 0


def _print(line: str) -> None:
    # whoever waits sees each step when it is done
    print(line, flush=True)


def _follow(client: ApiClient, lock: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """
    The record of the upgrade once it is over.

    Raises:
        ConfigError: the node does not go on with it.
    """
    told, last = 0, monotonic()
    kept = last
    while True:
        try:
            record: dict[str, Any] = client.call("GET", "/v1/upgrade")["upgrade"]
        except ConfigError:
            # control is one of the steps
            record = {"state": "running", "steps": []}
        for step in record["steps"][told:]:
            say(f"{step['step']:{STEP}}{step['seconds']:.1f} s")
            told, last = told + 1, monotonic()
        if record["state"] != "running":
            return record
        if is_held(lock):
            kept = monotonic()
        elif monotonic() - kept >= GONE:
            problem = "the keeper has ended as the new code; what runs goes on. Its log says why"
            raise ConfigError("upgrade", problem)
        if monotonic() - last >= STILL:
            raise ConfigError("upgrade", "does not go on; the logs of the node say why")
        Event().wait(LOOK)


def process_lines(known: list[dict[str, Any]], width: int = WIDTH) -> Iterator[str]:
    """Which process runs which version."""
    rows = [(each["role"], each["pid"], each["version"] or "not linked yet") for each in known]
    yield from table(("ROLE", "PID", "VERSION"), rows, right=("PID",), width=width)
