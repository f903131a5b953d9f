"""
What a customer's process may and may not, as values and as words for the launcher.

In:  `supervise.placement` chooses the values; `supervise.process`, for each launch.
Out: `KEY=VALUE` words that `supervise.launcher` reads; the order of the steps is the launcher's.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from attrs import field, frozen

BUBBLEWRAP = "bwrap"
# what every program expects to be its own to write, and others' not to read
PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108


@frozen
class Rlimits:
    """
    Soft and hard bounds of one process, see setrlimit(2); None leaves what is.

    Nothing is raised above the hard limit that the keeper itself has. `processes` counts all of
    a user's on the whole machine: where there is a `pids` controller, that one is the better.
    """

    open_files: tuple[int, int] | None = (4096, 16_384)
    # bytes
    core: int | None = 0
    file_size: int | None = None
    locked_memory: int | None = 65_536
    processes: int | None = None

    def words(self) -> list[str]:
        given = {
            "NOFILE": self.open_files,
            "CORE": self.core,
            "FSIZE": self.file_size,
            "MEMLOCK": self.locked_memory,
            "NPROC": self.processes,
        }
        pairs = {k: (v, v) if isinstance(v, int) else v for k, v in given.items() if v is not None}
        return [f"limit={name}:{soft}:{hard}" for name, (soft, hard) in pairs.items()]


def _hidden_of_ours(hidden: list[str]) -> list[str]:
    """Where the node itself is installed, as far as that is hidden; apps run with its programs."""
    ours = dict.fromkeys(map(os.path.realpath, (sys.base_prefix, sys.prefix)))
    return [path for path in ours if any(path.startswith(f"{folder}/") for folder in hidden)]


@frozen
class View:
    """
    A file system in which the program sees its own temporary files, its own home and its own
    processes, and nobody else's.
    """

    # the folder of all homes, hidden save for `home`
    homes: Path
    home: Path
    bubblewrap: str = field(factory=lambda: shutil.which(BUBBLEWRAP) or f"/usr/bin/{BUBBLEWRAP}")
    # runs the launcher inside; has to be seen there, and to be the owner's to run
    python: str = sys.executable

    def words(self) -> list[str]:
        # An own number for each process: the kernel ends them all with the first. Not with the
        # parent: that would be with the keeper, and daemons outlive it.
        arguments = ["--unshare-user", "--unshare-pid", "--unshare-ipc"]
        arguments += ["--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        hidden = [folder for folder in (*PRIVATE, str(self.homes)) if os.path.isdir(folder)]
        for folder in hidden:
            arguments += ["--tmpfs", folder]
        for path in _hidden_of_ours(hidden):
            arguments += ["--ro-bind", path, path]
        arguments += ["--bind", str(self.home), str(self.home)]
        return [f"view={each}" for each in (self.bubblewrap, *arguments)]


@frozen
class Confinement:
    """
    Everything around a customer's process.

    With an owner the capabilities and the ways back to them are dropped in any case.
    """

    # at least this: the higher, the earlier ended when memory runs out; None leaves the keeper's
    oom_score: int | None = 500
    rlimits: Rlimits = Rlimits()
    view: View | None = None

    def words(self) -> list[str]:
        words = [] if self.oom_score is None else [f"oom={self.oom_score}"]
        words += [*self.rlimits.words(), "no-new-privileges=1"]
        if self.view is not None:
            words += [*self.view.words(), f"python={self.view.python}"]
        return words
