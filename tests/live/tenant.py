"""
A customer's user, where the tests may become one: as root any uid will do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hostedge.supervise.user import can_reach

UID = 20_011
# None: the tests are not root, and everything runs as their own user
OWNER = None if os.geteuid() else (UID, UID)


def python() -> str:
    """An interpreter that the customer can run: that of the tests may lie in root's home."""
    known = Path(sys.executable).resolve()
    if OWNER is None or can_reach(known, *OWNER):
        return str(known)
    return "/usr/bin/python3"


def may_have_a_view() -> bool:
    """Does this machine let the customer make a file system of his own?"""
    names = {} if OWNER is None else {"user": UID, "group": UID, "extra_groups": []}
    command = ["bwrap", "--unshare-user", "--unshare-pid", "--bind", "/", "/", "--", "/bin/true"]
    return subprocess.run(command, capture_output=True, **names).returncode == 0


def own(path: Path) -> Path:
    """Give a file or folder to the customer."""
    if OWNER is not None:
        os.chown(path, *OWNER)
    return path
