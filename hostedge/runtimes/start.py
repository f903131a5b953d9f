"""
What every runtime offers: how a daemon of its kind is started, and how much it can do at once.

In:  `runtimes.known` lists the runtimes.
Out: `Start` for `supervise.running`; the capacity for compiled routes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import frozen

from hostedge.model.kind import Kind
from hostedge.model.site import App

# what the node itself runs with: daemons without an environment of their own use it too
NODE_BIN = Path(sys.executable).parent


@frozen
class Start:
    """
    A command line, and how it comes to its listener.

    `socket`: descriptor 3 listens already (LISTEN_FDS). `port`: it binds $PORT on $HOST itself.
    """

    argv: tuple[str, ...]
    listen: Literal["socket", "port"]
    # folders that PATH begins with
    path: tuple[Path, ...] = (NODE_BIN,)
    # False: it goes on when one of its processes is ended, and starts another
    whole: bool = True


class Runtime(Kind, Protocol):
    """One word after `runtime:` in the site file."""

    def launch(self, value: Any, app: App, home: Path) -> Start:
        """How to start this app, whose owner's home this is."""

    def capacity(self, value: Any) -> int:
        """How many requests it can work on at the same time."""

    def keep_alive(self, value: Any) -> float:
        """Seconds for which it keeps a connection that nobody uses; 0: nobody knows."""


def own_bin(app: App, home: Path) -> Path | None:
    """The folder of commands of the virtual environment beside the app, if there is one."""
    folder = home / app.directory / ".venv" / "bin"
    return folder if (folder / "python").exists() else None
