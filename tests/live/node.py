"""
A whole node for a test: real settings, real processes, real sockets.

Nothing here waits for seconds; `wait_for` polls a condition and says which one never came true.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hostedge.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent.parent
TWISTD = (sys.executable, str(Path(sys.executable).with_name("twistd")))
PATIENCE = 60.0  # seconds, for machines that are busy with other things
POLL = 0.02

_pause = threading.Event()


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """
    Poll until the condition is true and return what it gave.

    Raises:
        AssertionError: it did not become true in time; names it.
    """
    for _ in range(int(patience / POLL)):
        found = condition()
        if found:
            return found
        _pause.wait(POLL)
    raise AssertionError(f"never came true: {what}")


class Answer:
    """A complete answer of the node."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket: how one talks to the API."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Node:
    """One node in a folder of its own; `stop` leaves no process and no folder behind."""

    def __init__(self, edges: int = 2, settings: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hostedge-"))
        self.state = self.folder / "state"
        self.homes = self.folder / "homes"
        self.homes.mkdir()
        self.settings = self.folder / "node.toml"
        self.settings.write_text(
            f'state = "state"\nhomes = "homes"\nedges = {edges}\n'
            f'user = "{pwd.getpwuid(os.geteuid()).pw_name}"\n'
            '[listen]\nhttp = ["127.0.0.1:0"]\nhttps = ["127.0.0.1:0"]\n' + settings
        )
        self.edges = edges
        # where the code is that the node runs
        self.code = ROOT
        self.keeper: subprocess.Popen[bytes] | None = None
        self._log = open(self.folder / "keeper.log", "ab")

    def home(self, account: str) -> Path:
        path = self.homes / account
        path.mkdir(exist_ok=True)
        return path

    def write(self, path: str, text: str) -> None:
        """A file below the homes: `account/rest`."""
        file = self.homes / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    # life

    def start(self) -> None:
        """Start a keeper and wait until every edge takes requests."""
        self.launch()
        wait_for("the node is up", self.is_up)

    def launch(self) -> None:
        """Start a keeper, as a supervisor would after the last one ended."""
        self.keeper = subprocess.Popen(
            [
                *(*TWISTD, "-n", "--pidfile=", "hostedge"),
                *("--settings", str(self.settings)),
            ],
            cwd=self.code,
            env={**os.environ, "PYTHONPATH": str(self.code)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_up(self) -> bool:
        if self.keeper is None or self.keeper.poll() is not None:
            raise AssertionError(f"the keeper has ended:\n{self.log()}")
        try:
            status = self.status()
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        linked = [edge for edge in status["edges"] if edge["linked"]]
        return bool(status["keeper"]) and len(linked) == self.edges

    def stop(self) -> None:
        """End everything at once, whatever state it is in."""
        if self.keeper is not None and self.keeper.poll() is None:
            self.keeper.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keeper.wait(10)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.keeper is not None:
            self.keeper.wait()
        wait_for("no process is left", lambda: not self.processes())
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """Every process that has a file of this node open: ours and the customers'."""
        found = []
        mine = str(self.folder)
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if any(file.startswith(mine) for file in open_files(int(entry))):
                    found.append(int(entry))
        return found

    def pids(self, role: str) -> list[int]:
        """The node's own processes of a role, as the keeper has noted them."""
        noted = json.loads((self.state / "run" / "family.json").read_text())
        return sorted(each["pid"] for each in noted if each["role"] == role)

    def log(self) -> str:
        """What the node's processes have written, for a failed test's message."""
        texts = [(self.folder / "keeper.log").read_text(errors="replace")]
        for path in sorted((self.state / "log").glob("**/*.log")):
            texts.append(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}")
        return "\n".join(texts)[-12000:]

    # control

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the API; the JSON it answers."""
        connection = UnixConnection(self.state / "control" / "api.sock")
        try:
            headers = {"Content-Type": "application/json"}
            data = None if body is None else json.dumps(body)
            connection.request(method, path, body=data, headers=headers)
            answer = Answer(connection.getresponse())
        finally:
            connection.close()
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.text}")
        return json.loads(answer.body)

    def status(self) -> Any:
        return self.api("GET", "/v1/status")

    def apps(self) -> dict[str, Any]:
        """The apps that the keeper knows, by `account/name`."""
        return {app["app"]: app for app in self.api("GET", "/v1/apps")["apps"]}

    def apply(self, *sites: dict[str, Any]) -> Any:
        return self.api("POST", "/v1/apply", {"sites": list(sites)})

    def command(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The `hostedge` command, with this node's settings."""
        return subprocess.run(
            [sys.executable, "-m", "hostedge.cli.main", "--settings", str(self.settings), *words],
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    # clients

    def address(self, protocol: str) -> tuple[str, int]:
        listeners = json.loads((self.state / "run" / "listeners.json").read_text())
        address = next(each["address"] for each in listeners if each["protocol"] == protocol)
        host, _, port = address.rpartition(":")
        return host, int(port)

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.state / "control/ca.pem"))

    def connect(self, name: str = "", tls: bool = False) -> socket.socket:
        """A connected socket; over TLS the name is the server name."""
        plain = socket.create_connection(self.address("https" if tls else "http"), PATIENCE)
        if not tls:
            return plain
        return self.tls_context().wrap_socket(plain, server_hostname=name)

    def connection(self, name: str, tls: bool = False) -> http.client.HTTPConnection:
        """A connection that asks for `name`; it is made when it is used."""
        connection = http.client.HTTPConnection(name, timeout=PATIENCE)
        connection.sock = self.connect(name, tls)
        return connection

    def get(
        self, name: str, path: str = "/", tls: bool = False, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request over a connection of its own."""
        connection = self.connection(name, tls)
        try:
            connection.request("GET", path, headers={"Connection": "close", **(headers or {})})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def access_log(self) -> list[dict[str, Any]]:
        """Every line of the access log so far."""
        lines: list[dict[str, Any]] = []
        for path in (self.state / "log").glob("access*.log"):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines


def open_files(pid: int) -> list[str]:
    """
    Raises:
        OSError: there is no such process.
    """
    fds = f"/proc/{pid}/fd"
    return [_target(f"{fds}/{fd}") for fd in os.listdir(fds)]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


@contextlib.contextmanager
def load(ask: Callable[[], Answer], clients: int = 2) -> Iterator[list[Any]]:
    """
    Keep asking from several threads while the block runs; what went wrong or not 200 is listed.
    """
    wrong: list[Any] = []
    over = threading.Event()
    asked = [0]

    def client() -> None:
        while not over.is_set():
            try:
                answer = ask()
            except (OSError, http.client.HTTPException, ConfigError) as error:
                wrong.append(error)
                continue
            asked[0] += 1
            if answer.status != 200:
                wrong.append((answer.status, answer.text))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if not asked[0]:
        wrong.append("nothing was ever answered")
