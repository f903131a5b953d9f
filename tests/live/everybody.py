"""
An interpreter and this checkout where every user of the machine can reach them.

In:  live tests of nodes whose processes have users of their own.
Out: a `twistd` command line and its environment; copies are made only of what is out of reach.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from hostedge.supervise.user import can_reach
from tests.live.node import ROOT

# an arbitrary user: whom nothing belongs to
ANYBODY = 54_321
_TWISTD = "from twisted.scripts.twistd import run; run()"


def find_python() -> str:
    """
    This interpreter, or the system's of the same version: what is installed here runs there too.

    Raises:
        AssertionError: there is none.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if program is not None and can_reach(Path(program).resolve(), ANYBODY, ANYBODY):
            return str(Path(program).resolve())
    raise AssertionError(f"every user has to reach a {version}; /usr/bin has none")


class Everybody:
    """What is copied lies below `folder`, which is the caller's to remove."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = find_python()
        packages = self._reachable(Path(sysconfig.get_path("purelib")), "packages")
        checkout = self._reachable(ROOT, "checkout", "hostedge", "twisted", "tests")
        self.environment = {**os.environ, "PYTHONPATH": f"{checkout}:{packages}"}
        self.twistd = (self.python, "-c", _TWISTD)

    def _reachable(self, place: Path, name: str, *parts: str) -> Path:
        if can_reach(place, ANYBODY, ANYBODY):
            return place
        copy = self.folder / name
        for part in parts or (".",):
            shutil.copytree(place / part, copy / part, symlinks=True, dirs_exist_ok=True)
        return copy
