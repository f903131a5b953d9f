"""
The environment of a daemon: a white list, its owner's variables, and the node's.

In:  `supervise.launching`, for each launch.
Out: the whole environment; `LISTEN_PID` and `LISTEN_FDS` are added by the launcher.

What the owner may set was asked when the configuration was written. It is asked again here, by
the one who launches as somebody else: a row of the store is not the place to trust.
"""

from __future__ import annotations

import errno
import re

# loaders, sockets and identity: what steers how a process is loaded and who it is
_NODE_ONLY = re.compile(r"LD_.*|LISTEN_.*|HOSTEDGE_.*|NOTIFY_SOCKET", re.DOTALL)


class VariableRefused(OSError):
    """The daemon is not launched; the text names the variable."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(errno.EPERM, f"the variable {name} {why}")
        self.name = name

    def __str__(self) -> str:
        return str(self.strerror)


def check_owner(variables: dict[str, str]) -> None:
    """
    Raises:
        VariableRefused: one of them is the node's to set, or cannot be in an environment.
    """
    for name, value in variables.items():
        if _NODE_ONLY.fullmatch(name):
            raise VariableRefused(name, "is the node's to set")
        if not name or "=" in name or "\0" in name + value:
            raise VariableRefused(repr(name), "cannot be in an environment")


def daemon_environment(
    user: str,
    home: str,
    path: tuple[str, ...],
    owner: dict[str, str],
    node: dict[str, str],
) -> dict[str, str]:
    """
    Where the same variable is given more than once, the node's counts, then the owner's.

    Args:
        path: folders, or several of them with colons; each is looked through once.

    Raises:
        VariableRefused: see `check_owner`.
    """
    check_owner(owner)
    own = {
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
        "PATH": ":".join(dict.fromkeys(path)),
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",  # noqa: S108
    }
    return {**own, **owner, **node}
