"""
Which lines of the parsers the corpus reaches.

In:  `python -m tests.fuzz --lines`.
Out: coverage.py's table, and the numbers of the lines that are not reached.
"""

from __future__ import annotations

import sys
from importlib import import_module

import coverage

from tests.fuzz.corpus import read


def report() -> int:
    """Replay every corpus under coverage.py and print its table."""
    # so that the lines that define things are counted as well
    for name in [each for each in sys.modules if each.startswith("hostedge")]:
        del sys.modules[name]
    measured = coverage.Coverage(branch=True, data_file=None, source_pkgs=["hostedge"])
    measured.start()
    targets = import_module("tests.fuzz.targets.known").TARGETS
    for target in targets.values():
        for data in (*read(target.name), *target.seeds()):
            target.check(data)
    measured.stop()
    wanted = [sys.modules[name].__file__ for each in targets.values() for name in each.modules]
    measured.report(morfs=sorted({*wanted}), show_missing=True)
    return 0
