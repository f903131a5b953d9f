"""
Measure what many sites cost: `python -m benchmarks.scale`.

In:  `make bench-scale`.
Out: a table of what was asked and measured, `build/bench-scale.json`; status 1 if a bound is
     missed or something could not be measured.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks import cpu
from benchmarks.bounds import Bounds, table, write_bounds
from benchmarks.generator import quantile
from benchmarks.node import Node, await_up, launch, prepare_node
from benchmarks.origin import SIZE, start_origin
from benchmarks.probe import OneName
from benchmarks.scale_site import Crowd, write_sites
from benchmarks.sockets import connect_each
from benchmarks.stage import Cores, NotMeasured, Stage, end_in_order, ended, free_ports

EDGES = 2
# domains that an edge serves before its memory is looked at
SERVED = 1000
CHANGES = 200
# after so many seconds an import is given up
IMPORT_AT_MOST = 300.0
MEGA = 1e6


class Scale:
    """One node with a crowd of sites, measured step by step."""

    def __init__(self, stage: Stage, crowd: Crowd) -> None:
        self.bounds = Bounds()
        self._stage = stage
        self._crowd = crowd
        self._http, self._https = free_ports(2)

    def run(self) -> None:
        """Take all steps; each adds its bounds."""
        origin = start_origin(self._stage)
        key = ec.generate_private_key(ec.SECP256R1())
        begun = monotonic()
        file = write_sites(self._crowd, origin, key, self._stage.folder)
        self.bounds.tell("site file written", "s", monotonic() - begun)
        self.bounds.tell("site file", "MB", file.stat().st_size / MEGA)
        self._with_node(EDGES, lambda node, keeper: self._import(node, keeper, file))
        self.bounds.tell("route store", "MB", self._store_size() / MEGA)
        self._with_node(1, self._memory, first_answer=True)
        self._with_node(EDGES, self._changes, first_answer=True)

    def _with_node(
        self,
        edges: int,
        step: Callable[[Node, subprocess.Popen[bytes]], None],
        first_answer: bool = False,
    ) -> None:
        node = prepare_node(self._stage, edges, self._http, self._https)
        begun = monotonic()
        keeper = launch(self._stage, node, core=None)
        if first_answer:
            self._await_answer(keeper)
            took = monotonic() - begun
            self.bounds.bound(f"start to first answer, {_edges(edges)}", "s", took, 2.0)
        await_up(self._stage, node, keeper)
        step(node, keeper)
        self._stage.stop(keeper)

    def _await_answer(self, keeper: subprocess.Popen[bytes]) -> None:
        """Return once a domain in the middle of the crowd answers over HTTPS."""
        name = self._crowd.name(self._crowd.domains // 2)
        patience = monotonic() + 30
        while monotonic() < patience:
            connection = OneName(self._https, name, tls=True, timeout=5)
            try:
                if connection.get() == (200, b"x" * SIZE):
                    return
            except OSError:
                pass
            finally:
                connection.close()
            if ended(keeper, within=0.01):
                raise NotMeasured(f"it ended: {self._stage.last_words('hostedge')}")
        raise NotMeasured(f"it does not answer: {self._stage.last_words('hostedge')}")

    def _import(self, node: Node, keeper: subprocess.Popen[bytes], file: Path) -> None:
        meter = cpu.Meter(keeper.pid)
        before, children, begun = meter.read(), os.times(), monotonic()
        node.command(["apply", file], seconds=IMPORT_AT_MOST)
        took, after = monotonic() - begun, os.times()
        command = after.children_user + after.children_system
        command -= children.children_user + children.children_system
        self.bounds.bound(f"bulk import, {self._crowd.domains:,} domains", "s", took, 60.0)
        self.bounds.tell("  CPU of the command", "s", command)
        self.bounds.tell("  CPU of the node", "s", cpu.between(before, meter.read()))

    def _store_size(self) -> int:
        state = prepare_node(self._stage, EDGES, self._http, self._https).state
        return sum(file.stat().st_size for file in state.glob("control/store.db*"))

    def _memory(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        (edge,) = node.pids("edge")
        self.bounds.tell("edge, before", "MB", cpu.proportional_size(edge) / MEGA)
        served = min(SERVED, self._crowd.domains)
        step = self._crowd.domains // served
        slowest, begun = 0.0, monotonic()
        for number in range(served):
            name = self._crowd.name(number * step)
            connection = OneName(self._https, name, tls=True)
            asked = monotonic()
            answer = connection.get()
            slowest = max(slowest, monotonic() - asked)
            connection.close()
            if answer != (200, b"x" * SIZE):
                raise NotMeasured(f"https://{name}/ answered {answer[0]}")
            if connection.certified != [name]:
                raise NotMeasured(f"https://{name}/ has a certificate for {connection.certified}")
        took = monotonic() - begun
        self.bounds.bound(
            f"edge, after {served:,} of them", "MB", cpu.proportional_size(edge) / MEGA, 120.0
        )
        self.bounds.tell("  first visit of a domain, mean", "ms", took / served * 1000)
        self.bounds.tell("  first visit of a domain, slowest", "ms", slowest * 1000)

    def _changes(self, node: Node, keeper: subprocess.Popen[bytes]) -> None:
        api = node.api()
        name = self._crowd.name(0)
        edges = connect_each(self._http, name, node.pids("edge"))
        took = []
        step = max(1, self._crowd.accounts // CHANGES)
        for number in range(min(CHANGES, self._crowd.accounts)):
            account = number * step
            name = self._crowd.name(account * self._crowd.domains_each)
            site = api.export(self._crowd.account(account))
            wanted = f"https://{name}/changed-{number}"
            for mapping in next(d for d in site["domains"] if d["name"] == name)["mappings"]:
                if "redirect" in mapping:
                    mapping["redirect"] = wanted
            # every edge has the host in its cache, as it was
            for connection in edges.values():
                self._look(connection, name, f"https://{name}/new")
            begun = monotonic()
            api.call("POST", "/v1/apply", {"sites": [site]})
            took.append(monotonic() - begun)
            for connection in edges.values():
                self._look(connection, name, wanted)
        api.close()
        took.sort()
        self.bounds.bound(f"{len(took)} changes, p50", "ms", quantile(took, 0.5) * 1000, 100.0)
        self.bounds.bound(f"{len(took)} changes, p99", "ms", quantile(took, 0.99) * 1000, 100.0)
        self.bounds.tell("  live when the call returned, on edges", "", len(edges))

    def _look(self, connection: OneName, name: str, wanted: str) -> None:
        location = connection.redirect(name, "/old")
        if location != wanted:
            raise NotMeasured(f"{name}/old leads to {location}, not to {wanted}")


def _edges(count: int) -> str:
    return "1 edge" if count == 1 else f"{count} edges"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--domains-each", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("build"), help="a folder")
    parser.add_argument("--keep", action="store_true", help="leave the node's files behind")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, end_in_order)
    allowed = sorted(os.sched_getaffinity(0))
    failure = ""
    # nothing but the origin is pinned here: a node has the machine
    with Stage(Cores(proxy=allowed[-1], load=allowed[0]), keep=options.keep) as stage:
        scale = Scale(stage, Crowd(options.accounts, options.domains_each))
        try:
            scale.run()
        except (NotMeasured, OSError, http.client.HTTPException) as error:
            failure = str(error) or type(error).__name__
        except KeyboardInterrupt:
            return 130
    facts = {
        "accounts": options.accounts,
        "domains": options.accounts * options.domains_each,
    }
    file = options.output / "bench-scale.json"
    write_bounds(file, scale.bounds, facts, failure)
    print("", *table(scale.bounds), "", file, sep="\n")
    if failure:
        print(f"not all was measured: {failure}", file=sys.stderr)
    return 1 if failure or not all(bound.met for bound in scale.bounds) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
