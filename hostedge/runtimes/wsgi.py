"""
Python applications with a WSGI callable: Django, Flask and the like, under gunicorn.

In:  `runtimes.known`.
Out: a gunicorn of `processes` workers with `threads` threads each, on the inherited listener.
Spec: PEP 3333.

Site file::

    - {name: hello, runtime: wsgi, directory: apps/hello, module: "hello:app", threads: 4}
"""

from __future__ import annotations

import os
import re
import sys
from itertools import islice
from pathlib import Path

from attrs import Attribute, field, frozen

from hostedge.model.site import App
from hostedge.runtimes.start import NODE_BIN, Start, own_bin

# seconds that gunicorn keeps an idle connection open; whoever pools connections to it has to let
# go earlier, or a request may meet the close
KEEPALIVE = 75
MAX_WORKERS = 256
LOOKED_AT = 1000  # names in the library folder of an environment; it has one or two
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*(\(.*\))?")


def _module(value: Wsgi, attribute: Attribute[str], text: str) -> None:
    if not _MODULE.fullmatch(text):
        raise ValueError(f"want module:callable, not {text!r}", attribute)


def _number(value: Wsgi, attribute: Attribute[int], number: int) -> None:
    if not 1 <= number <= MAX_WORKERS:
        raise ValueError(f"want 1 to {MAX_WORKERS}, not {number}", attribute)


def _below_home(value: Wsgi, attribute: Attribute[str], text: str) -> None:
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError("want a path below the account's home", attribute)


@frozen
class Wsgi:
    """The options of a wsgi app."""

    module: str = field(validator=_module)
    processes: int = field(default=1, validator=_number)
    threads: int = field(default=1, validator=_number)
    # below the home; empty: `.venv` in the app's directory, or what the node itself runs with
    virtualenv: str = field(default="", validator=_below_home)


class WsgiRuntime:
    word = "wsgi"
    value = Wsgi

    def launch(self, value: Wsgi, app: App, home: Path) -> Start:
        folder = own_bin(app, home) or NODE_BIN
        if value.virtualenv:
            folder = home / value.virtualenv / "bin"
        # outside of a virtual environment it need not be called python
        python = sys.executable if folder == NODE_BIN else str(folder / "python")
        argv = (
            *(python, "-m", "gunicorn"),
            # also for one thread: the sync worker cannot keep connections open
            *("--worker-class", "gthread"),
            *("--workers", str(value.processes), "--threads", str(value.threads)),
            *("--keep-alive", str(KEEPALIVE)),
            # done before the node's patience ends
            *("--graceful-timeout", str(max(1, int(app.stop_timeout) - 1))),
            # only the edges can reach the listener: X-Forwarded-Proto is theirs
            *("--forwarded-allow-ips", "*"),
            *_settings_here(folder),
            value.module,
        )
        return Start(argv, "socket", (folder, NODE_BIN), whole=False)

    def capacity(self, value: Wsgi) -> int:
        return value.processes * value.threads

    def keep_alive(self, value: Wsgi) -> float:
        return KEEPALIVE


def _settings_here(folder: Path) -> tuple[str, ...]:
    """What depends on the machine and on gunicorn's version."""
    settings: tuple[str, ...] = ()
    if Path("/dev/shm").is_dir():  # noqa: S108
        # heartbeats on a disk block a worker when the disk is busy
        settings += ("--worker-tmp-dir", "/dev/shm")  # noqa: S108
    # since 25.1 gunicorn opens a control socket in the home, the same one for all apps there
    if any(path.is_dir() for path in _may_be(folder.parent, "gunicorn/ctl")):
        settings += ("--no-control-socket",)
    return settings


def _may_be(environment: Path, module: str) -> list[Path]:
    """Where a module may lie there, as far as the keeper looks: owners fill this folder."""
    try:
        with os.scandir(environment / "lib") as found:
            names = [each.name for each in islice(found, LOOKED_AT)]
    except OSError:
        return []
    places = [environment / "lib" / name / "site-packages" for name in names]
    return [place / module for place in places if place.parent.name.startswith("python3")]


RUNTIME = WsgiRuntime()
