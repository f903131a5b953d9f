"""
Bodies of 64 MiB that pass while they come; a unit is 1 MB, so ms for a unit are s for a GB.

In:  `cases.known`.
Out: `DOWNLOAD` and `UPLOAD`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case, Goal
from benchmarks.load import bodies
from benchmarks.probe import check_download, check_upload

# MB a second that a Python program takes evenly, beside an origin on the same core
MOST_PACED = 200.0

DOWNLOAD = Case(
    name="download",
    title="1 MB of a 64 MiB answer",
    door="large",
    goal=Goal(base="nginx", title="nginx", reach=2.0),
    seconds=2.0,
    check=check_download,
    flat=lambda stage, peer, seconds: bodies(stage, peer, "download", None, seconds),
    paced=lambda stage, peer, rate, seconds: bodies(stage, peer, "download", rate, seconds),
    most_paced=MOST_PACED,
    logged=False,
)

UPLOAD = Case(
    name="upload",
    title="1 MB of a 64 MiB request",
    door="large",
    goal=Goal(base="nginx", title="nginx", reach=2.0),
    seconds=2.0,
    check=check_upload,
    flat=lambda stage, peer, seconds: bodies(stage, peer, "upload", None, seconds),
    paced=lambda stage, peer, rate, seconds: bodies(stage, peer, "upload", rate, seconds),
    most_paced=MOST_PACED,
    logged=False,
)
