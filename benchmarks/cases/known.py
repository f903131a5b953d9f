"""
The cases, in the order of the table.

In:  `__main__`.
Out: `CASES`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case
from benchmarks.cases.plain import PLAIN
from benchmarks.cases.tls import TLS

CASES: tuple[Case, ...] = (PLAIN, TLS)
