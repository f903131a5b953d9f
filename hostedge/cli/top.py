"""
`hostedge top`: what sites are doing now.

In:  `cli.main`; keys, where there is a terminal.
Out: a table that is drawn anew every two seconds; one table with --once, or where nobody watches;
     with --json its rows.

The node counts for nobody: this looks twice and shows the difference, so that it costs what the
active sites cost to be listed, however many there are in the store.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import get_terminal_size
from time import monotonic
from typing import Any

from attrs import asdict

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.rates import ORDERS, Row, ordered, rates, total
from hostedge.cli.table import WIDTH, table
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

# a key of the keyboard for each order
KEYS = dict(zip("rewf59bs", ORDERS, strict=True))
QUIT = ("q", "\x04")
HEAD = ("SITE", "REQ/S", "ERR/S", "WAIT", "FLIGHT", "P50", "P95", "SENT/S")
LEGEND = "r requests  e errors  w waiting  f flight  5 p50  9 p95  b bytes  s site  q quit"

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _END_OF_LINE, _BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def top(options: Namespace) -> int:
    """Show a table, once or until somebody has seen enough."""
    if not 0.1 <= options.every <= 3600:
        raise ConfigError("--every", "want 0.1 to 3600 seconds")
    with ApiClient(read_settings(Path(options.settings))) as client:
        looks = Looks(client)
        if options.once or options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            # nobody to press a key
            select.select([], [], [], options.every)
            rows = ordered(looks.next(), options.sort)
            if options.json:
                print(as_json({"sites": [asdict(row) for row in rows]}))
            else:
                for line in lines(rows, options.sort):
                    print(line)
            return 0
        with _whole_terminal():
            _watch(looks, options.sort, options.every)
    return 0


class Looks:
    """Looks at a node, each compared with the one before."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._last, self._at = self._look()

    def _look(self) -> tuple[dict[str, Any], float]:
        answer: dict[str, Any] = self._client.call("GET", "/v1/sites")
        return answer, monotonic()

    def next(self) -> list[Row]:
        """What was done since the last one."""
        now, at = self._look()
        rows = rates(self._last, now, at - self._at)
        self._last, self._at = now, at
        return rows


def _watch(looks: Looks, order: str, every: float) -> None:
    """Draw, and follow keys, until one of `QUIT`."""
    rows: list[Row] = []
    due = monotonic() + min(every, 1.0)
    while True:
        width, height = get_terminal_size()
        shown = [*lines(ordered(rows, order), order, width)][: height - 2]
        _draw([*shown, "", LEGEND[:width]])
        key = _pressed(due - monotonic())
        if key in QUIT:
            return
        order = KEYS.get(key, order)
        if monotonic() >= due:
            due = monotonic() + every
            rows = looks.next()


def _draw(shown: list[str]) -> None:
    sys.stdout.write(_HOME + "".join(f"{line}{_END_OF_LINE}\r\n" for line in shown[:-1]))
    sys.stdout.write(f"{shown[-1]}{_END_OF_LINE}{_BELOW}")
    sys.stdout.flush()


def _pressed(patience: float) -> str:
    """The next key; empty: none in time."""
    if not select.select([sys.stdin], [], [], max(0.0, patience))[0]:
        return ""
    # the end of what is typed: the terminal is gone
    return os.read(sys.stdin.fileno(), 1).decode("latin-1") or QUIT[0]


@contextmanager
def _whole_terminal() -> Iterator[None]:
    """The screen and its keys are ours; whatever was there comes back."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdout.write(_ENTER)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def lines(rows: list[Row], order: str, width: int = WIDTH) -> Iterator[str]:
    """The table, with all of it in a line above."""
    requests, errors, waiting, in_flight = total(rows)
    count = f"{len(rows)} active site{'' if len(rows) == 1 else 's'}"
    yield (
        f"{count}: {_rate(requests)} requests/s, {_rate(errors)} errors/s, "
        f"{waiting} waiting, {in_flight} in flight"
    )[:width]
    yield ""
    head = list(HEAD)
    # the column that decides
    head[_COLUMNS.index(order)] += "*"
    yield from table(
        head,
        [
            (
                row.site,
                _rate(row.requests),
                _rate(row.errors),
                row.waiting,
                row.in_flight,
                _time(row.p50),
                _time(row.p95),
                _size(row.bytes),
            )
            for row in rows
        ],
        right=head[1:],
        width=width,
    )


_COLUMNS = ("site", "requests", "errors", "waiting", "in_flight", "p50", "p95", "bytes")


def _rate(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 0.1:
        return f"{seconds * 1000:.1f}ms"
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f}{unit}" if unit == "B" else f"{count:.1f}{unit}"
        count /= 1000
    return f"{count:.1f}GB"
