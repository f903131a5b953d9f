"""
Tables that fit a terminal.

In:  the words of the command line and the manhole's, with rows of texts.
Out: lines of at most 80 columns, or as many as are asked for; what does not fit is cut and ends
     with `…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

WIDTH = 80
GAP = 2
LEAST = 6  # columns that a cell keeps, however wide its neighbours are

# colours and the like; the whole sequence, so that no rest of it is seen
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    right: Sequence[str] = (),
    width: int = WIDTH,
) -> Iterator[str]:
    """Lay out rows under a head; columns named in `right` are set to the right."""
    texts = [["" if cell is None else _one_line(str(cell)) for cell in row] for row in rows]
    wanted = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    widths = _widths(wanted, width)
    for row in (head, *texts):
        cells = [
            cut(cell, room).rjust(room) if name in right else cut(cell, room).ljust(room)
            for name, cell, room in zip(head, row, widths, strict=True)
        ]
        yield (" " * GAP).join(cells).rstrip()


def _widths(wanted: list[int], width: int) -> list[int]:
    """Take from the widest until all fit."""
    widths = list(wanted)
    over = sum(widths) + GAP * (len(widths) - 1) - width
    while over > 0 and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
        over -= 1
    return widths


def cut(text: str, width: int) -> str:
    """The text, or as much of it as there is room for."""
    return text if len(text) <= width else text[: width - 1] + "…"


def _one_line(text: str) -> str:
    return _marked(" ".join(text.split()))


def _marked(text: str) -> str:
    # names and reasons may come from customers' daemons: no escape sequences to the terminal
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def printable(line: str) -> str:
    """A line of what a daemon says, for a terminal: it may have colours in it, or worse."""
    return _marked(_SEQUENCE.sub("", line))


def paragraph(label: str, text: str, indent: int, width: int = WIDTH) -> Iterator[str]:
    """A label and a text beside it, wrapped."""
    lines = wrap(_one_line(text), max(LEAST, width - indent), break_on_hyphens=False) or [""]
    yield f"{_marked(label):<{indent}}{lines[0]}".rstrip()
    for line in lines[1:]:
        yield " " * indent + line


def span(seconds: float) -> str:
    """A duration in its two largest units: `3d 4h`, `5m 7s`, `12s`."""
    left = max(0.0, seconds)
    shown: list[str] = []
    for size, unit in _UNITS:
        if left >= size or shown:
            shown.append(f"{int(left // size)}{unit}")
            left %= size
    shown.append(f"{int(left)}s")
    return " ".join(shown[:2])
