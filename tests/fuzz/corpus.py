"""
The inputs that are kept: a file for each target, a line of hexadecimal digits for each input.

In:  `tests.fuzz.__main__`, `reached`, `test_corpus`.
Out: bytes; `add` writes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.targets.kind import Target

FOLDER = Path(__file__).resolve().parent / "corpus"

# a file, the line before, and the line: a way through the code
Step = tuple[str, int, int]


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.hex"


def read(name: str) -> list[bytes]:
    """Give the kept inputs of a target; none, if there is no file yet."""
    file = file_of(name)
    return [bytes.fromhex(line) for line in file.read_text().split()] if file.exists() else []


def add(target: Target, found: Sequence[bytes]) -> int:
    """Keep those inputs that take a way which no shorter one takes; give how many there are."""
    candidates = sorted({*read(target.name), *target.seeds(), *found}, key=lambda x: (len(x), x))
    known: set[Step] = set()
    kept = []
    for data in candidates:
        ways = steps(target, data)
        if ways - known:
            known |= ways
            kept.append(data)
    FOLDER.mkdir(exist_ok=True)
    file_of(target.name).write_text("".join(f"{data.hex()}\n" for data in kept))
    return len(kept)


def steps(target: Target, data: bytes) -> set[Step]:
    """Give the ways that an input takes through the target's modules."""
    files = {sys.modules[name].__file__ for name in target.modules}
    found: set[Step] = set()
    last: dict[CodeType, int] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if code.co_filename not in files:
            return None
        if event == "call":
            last[code] = 0
        elif event == "line":
            found.add((code.co_filename, last.get(code, 0), frame.f_lineno))
            last[code] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        target.check(data)
    finally:
        sys.settrace(None)
    return found
