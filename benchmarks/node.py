"""
This checkout's node as the benchmarks run it: its files, its start, its API.

In:  `peers.hostedge` and `scale`.
Out: a running node on the stage, and answers of its API.
"""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.peers.kind import ROOM
from benchmarks.stage import ROOT, NotMeasured, Stage, ended

SETTINGS = """\
name = "node.localhost"
state = "{state}"
homes = "{homes}"
edges = {edges}

[listen]
http = ["127.0.0.1:{http}"]
https = ["127.0.0.1:{https}"]
dns = ["127.0.0.1:0"]

[dns]
addresses = ["192.0.2.1"]

[limits]
connections = {room}
# all clients have one address, and a few connections carry all requests
source_connections = {room}
source_requests = {room}
source_handshakes = {room}
connection_requests = 1000000000
"""


class Api(http.client.HTTPConnection):
    """One open connection to the API on its UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def call(self, method: str, path: str, body: object = None) -> Any:
        """
        Make one call and give the JSON it answers.

        Raises:
            NotMeasured: with the answer, if it is not 200.
        """
        data = None if body is None else json.dumps(body)
        self.request(method, path, body=data, headers={"Content-Type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise NotMeasured(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def export(self, account: str) -> Any:
        """Give the site of one account, as `apply` takes it."""
        return self.call("GET", f"/v1/export?account={account}")


@frozen
class Node:
    """A node's files, before and while it runs."""

    settings: Path
    state: Path
    edges: int

    def api(self) -> Api:
        return Api(self.state / "control/api.sock")

    def doors(self) -> dict[str, int]:
        """Give the port of each protocol."""
        bound = json.loads((self.state / "run/listeners.json").read_text())
        return {each["protocol"]: int(each["address"].rpartition(":")[2]) for each in bound}

    def is_up(self) -> bool:
        """Say whether every edge takes requests and changes."""
        api = self.api()
        try:
            status = api.call("GET", "/v1/status")
        except (OSError, http.client.HTTPException, NotMeasured):
            return False
        finally:
            api.close()
        return sum(bool(edge["linked"]) for edge in status["edges"]) == self.edges

    def pids(self, role: str) -> list[int]:
        """Give the node's own processes of a role."""
        family = json.loads((self.state / "run/family.json").read_text())
        return sorted(each["pid"] for each in family if each["role"] == role)

    def command(self, words: Sequence[str | Path], seconds: float) -> str:
        """
        Run the `hostedge` command line and give what it prints.

        Raises:
            NotMeasured: with the command's last line, if it fails; or if it takes longer.
        """
        module: list[str | Path] = [sys.executable, "-m", "hostedge.cli.main"]
        line = [*module, "--settings", self.settings, *words]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=seconds, cwd=ROOT)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"`hostedge {words[0]}` took more than {seconds:.0f} s") from None
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
            raise NotMeasured(f"`hostedge {words[0]}` failed: {said[-1][:300]}")
        return done.stdout


def prepare_node(
    stage: Stage, edges: int, http: int = 0, https: int = 0, name: str = "node"
) -> Node:
    """Write a node's settings below the stage's folder; a second call changes them."""
    folder = stage.folder / name
    homes, state = folder / "homes", folder / "state"
    homes.mkdir(parents=True, exist_ok=True)
    settings = folder / "hostedge.toml"
    settings.write_text(
        SETTINGS.format(state=state, homes=homes, edges=edges, http=http, https=https, room=ROOM)
    )
    return Node(settings, state, edges)


def launch(stage: Stage, node: Node, core: int | None) -> subprocess.Popen[bytes]:
    """Start the keeper, which starts the rest."""
    twistd = Path(sys.executable).parent / "twistd"
    return stage.spawn(
        "hostedge",
        [twistd, "--nodaemon", "--pidfile=", "hostedge", "--settings", node.settings],
        core,
        # SIGTERM would drain first
        ends_by=signal.SIGINT,
    )


def await_up(stage: Stage, node: Node, process: subprocess.Popen[bytes]) -> None:
    """
    Return once the whole node is up.

    Raises:
        NotMeasured: if it ends before, or takes more than 30 s.
    """
    for _ in range(300):
        if node.is_up():
            return
        if ended(process, within=0.1):
            raise NotMeasured(f"it ended at once: {stage.last_words('hostedge')}")
    raise NotMeasured(f"it does not come up: {stage.last_words('hostedge')}")
