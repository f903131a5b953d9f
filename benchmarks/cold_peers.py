"""
Others that start an application when somebody asks for it, with the same WSGI application.

In:  `daemons` starts one after the other and has each start the application several times.
Out: milliseconds from the first byte of a request to the end of its answer, nothing running
     before.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Protocol

from benchmarks import cpu
from benchmarks.node import Node
from benchmarks.stage import NotMeasured, Stage, find_program, free_ports

APPLICATION = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\\n"]
"""
# what a plug-in of uWSGI's is called, and the interpreter that Debian's packages use
DEBIAN_PYTHON = "/usr/bin/python3"


class Peer(Protocol):
    name: str

    def start(self) -> None:
        """
        Start what listens; the application does not run.

        Raises:
            NotMeasured: it is not to be had here.
        """

    def cold(self) -> float:
        """Have the application started by a request, and ended again; milliseconds."""

    def stop(self) -> None: ...


def write_app(folder: Path) -> Path:
    """Write the application where everybody can read it."""
    place = folder / "wsgi"
    place.mkdir(exist_ok=True)
    (place / "passenger_wsgi.py").write_text(APPLICATION)
    return place


def ask(connection: socket.socket, host: str) -> float:
    """Ask on a connection that is open already; give the milliseconds to the answer's end."""
    connection.settimeout(30)
    begun = monotonic()
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"hello\n"):
        piece = connection.recv(65_536)
        if not piece:
            raise NotMeasured(f"answered {answer[:60]!r}")
        answer += piece
    return (monotonic() - begun) * 1000


def until(condition: Callable[[], bool], what: str, patience: float = 30.0) -> None:
    """
    Return once it is true.

    Raises:
        NotMeasured: it does not become so.
    """
    over = monotonic() + patience
    while not condition():
        if monotonic() > over:
            raise NotMeasured(what)


class Hostedge:
    """This checkout: gunicorn behind an edge. Each round has an app that never ran before."""

    name = "hostedge (gunicorn)"

    def __init__(self, stage: Stage, folder: Path, node: Node, port: int) -> None:
        self._node = node
        self._port = port
        self._source = folder / "passenger_wsgi.py"
        self._count = 0

    def start(self) -> None:
        home = self._node.state.parent / "homes" / "wsgi"
        home.mkdir(parents=True, exist_ok=True)
        (home / "passenger_wsgi.py").write_text(self._source.read_text())

    def cold(self) -> float:
        self._count += 1
        name = f"w{self._count}"
        app = {"name": name, "runtime": "wsgi", "module": "passenger_wsgi:application"}
        host = f"{name}.wsgi.localhost"
        domain = {"name": host, "mappings": [{"path": "/", "app": name}]}
        api = self._node.api()
        site = {"account": "wsgi", "apps": [app], "domains": [domain]}
        api.call("POST", "/v1/apply", {"sites": [site]})
        api.close()
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            return ask(connection, host)

    def stop(self) -> None:
        """The node is its owner's to stop."""


class Emperor:
    """uWSGI: an Emperor that starts a vassal when its socket is connected to."""

    name = "uWSGI Emperor on demand"

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._path = folder / "emperor.sock"
        self._process = None

    def start(self) -> None:
        program = find_program("uwsgi", "uwsgi-core")
        plugins = sorted(Path("/usr/lib/uwsgi/plugins").glob("python3*_plugin.so"))
        if not plugins:
            raise NotMeasured("uWSGI has no plug-in for Python (Debian: uwsgi-plugin-python3)")
        vassals = self._folder / "vassals"
        vassals.mkdir(exist_ok=True)
        plugin = plugins[-1].name.removesuffix("_plugin.so")
        lines = [f"plugin = {plugin}", "protocol = http", "master = true", "processes = 1"]
        lines += [f"wsgi-file = {self._folder}/passenger_wsgi.py", "idle = 1", "die-on-idle = true"]
        (vassals / "app.ini").write_text("\n".join(["[uwsgi]", *lines, ""]))
        (vassals / "app.ini.socket").write_text(f"{self._path}\n")
        words = [program, "--emperor", vassals, "--emperor-on-demand-extension", ".socket"]
        self._process = self._stage.spawn("emperor", words, None, ends_by=signal.SIGINT)
        until(self._path.exists, "the Emperor does not listen")

    def cold(self) -> float:
        assert self._process is not None
        pid = self._process.pid
        # the Emperor, and the program that became it
        until(lambda: len(cpu.tree(pid)) == 1, "the vassal does not rest")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._path))
            return ask(connection, "app.localhost")

    def stop(self) -> None:
        if self._process is not None:
            self._stage.stop(self._process)


class Passenger:
    """Passenger by itself, with its own HTTP server."""

    name = "Passenger"

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder
        self._port = 0
        self._process = None

    def start(self) -> None:
        program = find_program("passenger", "passenger")
        (self._port,) = free_ports(1)
        words: list[str | Path] = [program, "start", "--engine", "builtin"]
        words += ["--app-type", "wsgi"]
        words += ["--startup-file", self._folder / "passenger_wsgi.py"]
        words += ["--python", DEBIAN_PYTHON, "--min-instances", "0", "--environment", "production"]
        words += ["--address", "127.0.0.1", "--port", str(self._port)]
        words += ["--no-compile-runtime", "--no-install-runtime", "--disable-security-update-check"]
        words += ["--pid-file", self._folder / "passenger.pid"]
        words += ["--log-file", self._folder / "passenger.log", self._folder]
        self._process = self._stage.spawn("passenger", words, None, ends_by=signal.SIGINT)
        self._stage.await_port("passenger", self._process, self._port)
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            # it has started the application once by itself
            ask(connection, "app.localhost")

    def _apps(self) -> list[int]:
        # its agents have left the family, and so have their children
        return [int(each.name) for each in cpu.PROC.glob("[0-9]*") if self._is_app(each)]

    def _is_app(self, process: Path) -> bool:
        try:
            here = (process / "cwd").readlink() == self._folder
            return here and b"wsgi" in (process / "cmdline").read_bytes()
        except OSError:
            return False

    def cold(self) -> float:
        # its own idle time is minutes; an application that has ended is started as one that rests
        for pid in self._apps():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not self._apps(), "the application does not end")
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            return ask(connection, "app.localhost")

    def stop(self) -> None:
        if self._process is not None:
            self._stage.stop(self._process)


class SocketActivation:
    """
    systemd's socket activation of gunicorn: nothing stands between the client and the app.

    systemd-socket-proxyd itself needs systemd as the first process of the machine.
    """

    name = "systemd-socket-activate"

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self._folder = folder

    def start(self) -> None:
        self._program = find_program("systemd-socket-activate", "systemd")

    def cold(self) -> float:
        (port,) = free_ports(1)
        words: list[str | Path] = [self._program, "--listen", f"127.0.0.1:{port}", "--"]
        words += [sys.executable, "-m", "gunicorn", "--worker-class", "gthread"]
        words += ["--no-control-socket", "--chdir", self._folder, "passenger_wsgi:application"]
        process = self._stage.spawn("activate", words, None)
        try:
            with socket.socket() as connection:
                until(
                    lambda: connection.connect_ex(("127.0.0.1", port)) == 0,
                    "systemd-socket-activate does not listen",
                )
                return ask(connection, "app.localhost")
        finally:
            self._stage.stop(process)

    def stop(self) -> None:
        """Each round has stopped its own."""


OTHERS: tuple[Callable[[Stage, Path], Peer], ...] = (Emperor, Passenger, SocketActivation)
