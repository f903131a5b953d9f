"""
Measure what starting and keeping daemons costs: `python -m benchmarks.daemons`.

In:  `make bench-daemons`.
Out: a table of what was asked and measured, `build/bench-daemons.json`; status 1 if a bound is
     missed or something could not be measured.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import monotonic, monotonic_ns

from benchmarks import cold_peers, cpu
from benchmarks.bounds import Bounds, table, write_bounds
from benchmarks.generator import quantile
from benchmarks.node import Node, await_up, launch, prepare_node
from benchmarks.stage import ROOT, Cores, NotMeasured, Stage, end_in_order, free_ports

MEGA = 1e6
EDGES = 2
APP = Path(__file__).with_name("cold_app.py")
# a stranger's visit to a site that rests, in words that no list of bots knows
VISIT = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"

# the keeper whose launches are timed
STALL = (600, 10_000, 200)
CONFIGURED = 1000
RUNNING = 100
WOKEN = 200


def site_of(account: str, apps: Sequence[str], listen: str = "socket") -> dict[str, object]:
    """Give the site of an account with apps that each answer for a name of their own."""
    command = [sys.executable, "-I", "-S", str(APP)]
    return {
        "account": account,
        "apps": [
            {"name": app, "runtime": "command", "command": command, "listen": listen, "idle": 0}
            for app in apps
        ],
        "domains": [
            {"name": f"{app}.{account}.localhost", "mappings": [{"path": "/", "app": app}]}
            for app in apps
        ],
    }


class Daemons:
    """One node after the other, each for one thing that is measured."""

    def __init__(self, stage: Stage, rounds: int) -> None:
        self.bounds = Bounds()
        self._stage = stage
        self._rounds = rounds
        self._http, self._https = free_ports(2)

    def run(self) -> None:
        """Take all steps; each adds its bounds."""
        self._stall()
        self._with_node("cold", self._cold)
        self._with_node("crowd", self._crowd)
        self._with_node("memory", self._memory)
        self._with_node("wsgi", self._beside)

    def _with_node(
        self, folder: str, step: Callable[[Node, subprocess.Popen[bytes]], None]
    ) -> None:
        node = prepare_node(self._stage, EDGES, self._http, self._https, folder)
        keeper = launch(self._stage, node, core=None)
        await_up(self._stage, node, keeper)
        step(node, keeper)
        self._stage.stop(keeper)

    def _apply(self, node: Node, sites: Sequence[dict[str, object]]) -> None:
        for site in sites:
            account = str(site["account"])
            (node.state.parent / "homes" / account).mkdir(exist_ok=True)
        api = node.api()
        for start in range(0, len(sites), 200):
            api.call("POST", "/v1/apply", {"sites": list(sites[start : start + 200])})
        api.close()

    # what a launch does to the keeper

    def _stall(self) -> None:
        words = [sys.executable, "-m", "benchmarks.spawn_stall", *map(str, STALL)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT)
        if done.returncode:
            raise NotMeasured(f"no launches: {done.stderr.strip().splitlines()[-1]}")
        took = sorted(json.loads(done.stdout.splitlines()[-1]))
        megabytes, descriptors, _ = STALL
        what = f"stall a launch, {megabytes} MB, {descriptors:,} files: p50"
        self.bounds.bound(what, "ms", median(took), 2.0)
        self.bounds.tell("  p99", "ms", quantile(took, 0.99))

    # one visitor

    def _cold(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        for listen, most in (("socket", 20.0), ("port", 35.0)):
            apps = [f"{listen}{number}" for number in range(self._rounds)]
            self._apply(node, [site_of(f"cold-{listen}", apps, listen)])
            whole, alone = [], []
            for app in apps:
                alone.append(self._start_alone(listen))
                whole.append(self._visit(f"{app}.cold-{listen}.localhost"))
            # in pairs: a busy moment concerns both
            part = [(a - b) / 1e6 for a, b in zip(whole, alone, strict=True)]
            label = "held listener" if listen == "socket" else "$PORT"
            self.bounds.bound(f"node's part of a cold start, {label}", "ms", median(part), most)
            self.bounds.tell("  p90", "ms", quantile(sorted(part), 0.9))
            self.bounds.tell("  the app's own part", "ms", median(alone) / 1e6)

    def _visit(self, name: str) -> int:
        """Ask once; give the nanoseconds until the answer was there."""
        begun = monotonic_ns()
        with socket.create_connection(("127.0.0.1", self._http), 30) as connection:
            connection.sendall(VISIT % name.encode())
            self._whole(connection, name)
            return monotonic_ns() - begun

    def _start_alone(self, listen: str) -> int:
        """Start the same program without a node and ask it; give the nanoseconds."""
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        environment = {"PATH": os.environ.get("PATH", "")}
        actions: list[tuple[object, ...]] = []
        if listen == "socket":
            environment["LISTEN_FDS"] = "1"
            actions.append((os.POSIX_SPAWN_DUP2, listener.fileno(), 3))
        else:
            listener.close()
            environment["PORT"] = str(port)
        words = [sys.executable, "-I", "-S", str(APP)]
        begun = monotonic_ns()
        pid = os.posix_spawn(sys.executable, words, environment, file_actions=actions)
        try:
            connection = self._connect(port)
            with connection:
                connection.sendall(VISIT % b"alone.localhost")
                self._whole(connection, "the app by itself")
            return monotonic_ns() - begun
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            listener.close()

    def _connect(self, port: int) -> socket.socket:
        patience = monotonic() + 30
        while monotonic() < patience:
            connection = socket.socket()
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                connection.settimeout(30)
                return connection
            connection.close()
        raise NotMeasured("the app does not listen when it is started by itself")

    def _whole(self, connection: socket.socket, who: str) -> tuple[int, int]:
        """
        Read one answer to its end; give what the app tells of its life.

        Raises:
            NotMeasured: it is not what the app answers.
        """
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return self._told(answer, who)

    def _told(self, answer: bytes, who: str) -> tuple[int, int]:
        head, _, body = answer.partition(b"\r\n\r\n")
        words = body.split()
        if not head.startswith(b"HTTP/1.1 200") or len(words) != 2:
            raise NotMeasured(f"{who} answered {head[:60]!r}")
        return int(words[0]), int(words[1])

    # two hundred visitors at once

    def _crowd(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        accounts = [f"crowd{number}" for number in range(WOKEN)]
        self._apply(node, [site_of(account, ["app"]) for account in accounts])
        took, lives = self._visit_all([f"app.{account}.localhost" for account in accounts])
        took.sort()
        self.bounds.tell(f"{WOKEN} apps woken at once: p50", "s", quantile(took, 0.5))
        self.bounds.tell("  p99", "s", quantile(took, 0.99))
        places = max(2, os.cpu_count() or 1)
        self.bounds.bound("  starting at the same time", "", at_once(lives), places)
        self.bounds.tell("  ready a second", "", WOKEN / took[-1])

    def _visit_all(self, names: Sequence[str]) -> tuple[list[float], list[tuple[int, int]]]:
        took, lives = [], []
        answers: dict[socket.socket, bytearray] = {}
        with selectors.DefaultSelector() as waiting:
            begun = monotonic()
            for name in names:
                connection = socket.create_connection(("127.0.0.1", self._http), 30)
                connection.sendall(VISIT % name.encode())
                answers[connection] = bytearray()
                waiting.register(connection, selectors.EVENT_READ, name)
            while answers:
                ready = waiting.select(60)
                if not ready:
                    raise NotMeasured(f"{len(answers)} of {len(names)} apps do not answer")
                for key, _ in ready:
                    connection = key.fileobj  # type: ignore[assignment]
                    piece = connection.recv(65_536)
                    if piece:
                        answers[connection] += piece
                        continue
                    took.append(monotonic() - begun)
                    waiting.unregister(connection)
                    connection.close()
                    lives.append(self._told(bytes(answers.pop(connection)), key.data))
        return took, lives

    # what it keeps in mind

    def _memory(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        accounts = [f"m{number:04}" for number in range(CONFIGURED)]
        before = cpu.proportional_size(keeper.pid)
        self._apply(node, [site_of(account, ["app"]) for account in accounts])
        configured = cpu.proportional_size(keeper.pid)
        what = f"keeper, more for {CONFIGURED:,} configured apps"
        self.bounds.tell(what, "kB", (configured - before) / 1000)
        self._visit_all([f"app.{account}.localhost" for account in accounts[:RUNNING]])
        running = cpu.proportional_size(keeper.pid)
        more = (running - configured) / 1000
        self.bounds.tell(f"keeper, more for {RUNNING} that run", "kB", more)
        self.bounds.tell("keeper, as a whole", "MB", running / MEGA)

    # others

    def _beside(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        rounds = max(3, self._rounds // 4)
        folder = cold_peers.write_app(self._stage.folder)
        ours = cold_peers.Hostedge(self._stage, folder, node, self._http)
        for make in (lambda *_: ours, *cold_peers.OTHERS):
            peer = make(self._stage, folder)
            try:
                peer.start()
                took = [peer.cold() for _ in range(rounds)]
                self.bounds.tell(f"WSGI app, {peer.name}", "ms", median(took))
            except NotMeasured as error:
                print(f"{peer.name}: {error}")
            finally:
                peer.stop()


def at_once(lives: Sequence[tuple[int, int]]) -> int:
    """Give how many of these spans overlap at the most."""
    edges = sorted([(begun, 1) for begun, _ in lives] + [(ready, -1) for _, ready in lives])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.daemons")
    parser.add_argument("--rounds", type=int, default=40, help="cold starts of each kind")
    parser.add_argument("--output", type=Path, default=Path("build"), help="a folder")
    parser.add_argument("--keep", action="store_true", help="leave the nodes' files behind")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, end_in_order)
    allowed = sorted(os.sched_getaffinity(0))
    failure = ""
    # nothing is pinned: starting is work for the whole machine
    with Stage(Cores(proxy=allowed[-1], load=allowed[0]), keep=options.keep) as stage:
        daemons = Daemons(stage, options.rounds)
        try:
            daemons.run()
        except (NotMeasured, OSError, http.client.HTTPException) as error:
            failure = str(error) or type(error).__name__
        except KeyboardInterrupt:
            return 130
    file = options.output / "bench-daemons.json"
    write_bounds(file, daemons.bounds, {"rounds": options.rounds}, failure)
    print("", *table(daemons.bounds), "", file, sep="\n")
    if failure:
        print(f"not all was measured: {failure}", file=sys.stderr)
    return 1 if failure or not all(bound.met for bound in daemons.bounds) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
