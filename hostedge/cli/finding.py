"""
One thing that `hostedge doctor` has looked at.

In:  `cli.kernel_checks` and `cli.node_checks` make them.
Out: `cli.doctor` prints them; one `fail` makes its exit status 1.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen


@frozen
class Finding:
    """`todo` says what to do, and is empty when all is well."""

    level: Literal["ok", "warn", "fail"]
    what: str
    text: str
    todo: str = ""
