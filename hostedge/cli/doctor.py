"""
`hostedge doctor`: look at everything that a node needs, and say what to do.

In:  `cli.main`.
Out: a line for each thing; exit status 1 when the node could not do its work.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from attrs import asdict

from hostedge.cli.finding import Finding
from hostedge.cli.kernel_checks import check_kernel
from hostedge.cli.node_checks import check_node
from hostedge.cli.output import as_json
from hostedge.cli.table import paragraph

LEVEL = 6  # columns of ok, warn, fail
WHAT = 13


def doctor(options: Namespace) -> int:
    """Check all, whatever fails on the way."""
    findings = list(chain(check_kernel(), check_node(Path(options.settings))))
    if options.json:
        print(as_json({"checks": [asdict(each) for each in findings]}))
    else:
        for line in report(findings):
            print(line)
    return 1 if any(each.level == "fail" for each in findings) else 0


def report(findings: Iterable[Finding]) -> Iterator[str]:
    """A line for each, and what to do on the next."""
    for each in findings:
        yield from paragraph(f"{each.level:<{LEVEL}}{each.what}", each.text, LEVEL + WHAT)
        if each.todo:
            yield from paragraph("", f"-> {each.todo}", LEVEL + WHAT)
