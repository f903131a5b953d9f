"""
Measure what requests, messages and questions cost, beside other servers: `python -m benchmarks`.

In:  `make bench`, or a developer with options for a shorter run.
Out: a table, `build/bench.json` and `build/bench.png`; status 1 if a peer was not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.cases.kind import Case, Goal
from benchmarks.cases.known import CASES
from benchmarks.echo import start_echo
from benchmarks.load import CONNECTIONS, Drive
from benchmarks.machine import describe
from benchmarks.origin import start_origin
from benchmarks.peers.kind import Behind, Running
from benchmarks.peers.known import PEERS
from benchmarks.sink import start_sink
from benchmarks.stage import NotMeasured, Stage, choose_cores, end_in_order, ended
from benchmarks.zone import zone_text

# nginx writes what is in its log's buffer once a second
LOG_PATIENCE = 3.0


class Run:
    """The drives of one run, by case and peer, and what could not be measured."""

    def __init__(self, stage: Stage, rounds: int, seconds: float | None) -> None:
        self.results: dict[str, dict[str, list[Drive]]] = {}
        self.missing: dict[str, str] = {}
        self.rates: dict[str, float] = {}
        self.goals: dict[str, Goal] = {}
        self.peers: list[Running] = []
        self._stage = stage
        self._rounds = rounds
        self._seconds = seconds

    def start(self, names: Sequence[str]) -> None:
        """Start the origins and these peers; one that fails is noted and left out."""
        zone = self._stage.folder / "bench.zone"
        zone.write_text(zone_text())
        behind = Behind(
            http=start_origin(self._stage),
            websocket=start_echo(self._stage),
            upload=start_sink(self._stage),
            zone=zone,
        )
        for peer in PEERS:
            if peer.name in names:
                try:
                    self.peers.append(peer.start(self._stage, behind))
                except NotMeasured as error:
                    self._give_up(peer.name, error)

    def measure(self, case: Case) -> None:
        """Drive every peer flat out, then all at the same rate."""
        stage, seconds = self._stage, self._seconds or case.seconds
        peers = [peer for peer in self.peers if case.door in peer.doors]
        for peer in peers.copy():
            try:
                case.check(peer)
            except NotMeasured as error:
                peers.remove(peer)
                self._give_up(f"{peer.name} in {case.name}", error)
        if not peers:
            return
        name, paced = case.name, f"{case.name}-paced"
        self.goals[name] = self.goals[paced] = case.goal
        self._drive(name, case, peers, lambda peer: case.flat(stage, peer, seconds))
        drive_paced = case.paced
        if drive_paced is None or not peers:
            return
        slowest = min(report.summarize(drives).rate for drives in self.results[name].values())
        rate = self.rates[paced] = report.pace(slowest, case.most_paced)
        self._drive(paced, case, peers, lambda peer: drive_paced(stage, peer, rate, seconds))

    def _drive(
        self, name: str, case: Case, peers: list[Running], drive: Callable[[Running], Drive]
    ) -> None:
        """Take all rounds of a case; a peer that fails leaves `peers` and the results."""
        found: dict[str, list[Drive]] = {peer.name: [] for peer in peers}
        rounds = min(self._rounds, case.rounds)
        unit = case.goal.unit
        for number in range(rounds):
            # each round begins with another peer, so that a drift of the machine hits all
            turn = number % max(1, len(peers))
            for peer in peers[turn:] + peers[:turn]:
                try:
                    found[peer.name].append(drive(peer))
                    if case.logged and peer.access_log:
                        empty_log(peer.process, peer.access_log)
                except NotMeasured as error:
                    peers.remove(peer)
                    del found[peer.name]
                    self._give_up(f"{peer.name} in {name}", error)
            costs = "  ".join(f"{who} {unit.of(drives[-1]):.1f}" for who, drives in found.items())
            print(f"{name} {number + 1}/{rounds}: {costs}", flush=True)
        self.results[name] = found

    def _give_up(self, who: str, error: NotMeasured) -> None:
        self.missing[who] = str(error)
        print(f"{who}: not measured: {error}", file=sys.stderr, flush=True)


def empty_log(process: subprocess.Popen[bytes], file: Path) -> None:
    """
    Make room; and see that the peer has paid for its access log like the others.

    Raises:
        NotMeasured: if it has written nothing.
    """
    # for a WebSocket, the line comes when it ends
    for _ in range(round(LOG_PATIENCE / 0.05)):
        if file.exists() and file.stat().st_size:
            os.truncate(file, 0)
            return
        if ended(process, within=0.05):
            break
    raise NotMeasured(f"it has written no access log, {file.name}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the options; what is not given is the whole measurement."""
    peers = [peer.name for peer in PEERS]
    cases = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", default=",".join(peers), help="some of %(default)s")
    parser.add_argument("--cases", default=",".join(cases), help="some of %(default)s")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="of each drive; default: as the case wants")
    parser.add_argument("--output", type=Path, default=Path("build"), help="a folder")
    parser.add_argument("--keep", action="store_true", help="leave the peers' files behind")
    options = parser.parse_args(arguments)
    for given, known in ((options.peers, peers), (options.cases, cases)):
        for name in given.split(","):
            if name not in known:
                parser.error(f"{name} is not one of {', '.join(known)}")
    return options


def write(run: Run, options: argparse.Namespace) -> None:
    """Print the table, write the document and the picture."""
    meta = {
        **describe(run.peers),
        "rounds": options.rounds,
        "seconds": options.seconds or {case.name: case.seconds for case in CASES},
        "connections": CONNECTIONS,
        "paced_requests_per_second": run.rates,
        "not_measured": run.missing,
    }
    found = report.document(run.results, run.goals, meta)
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "bench.json"
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"\nCPU time for one request, message or question, median of {options.rounds} rounds\n")
    print("\n".join(report.table(run.results, run.goals)))
    print("\n".join(report.reach(run.results, run.goals)))
    print(f"\n{file}")
    try:
        # matplotlib takes a second to import: not before it is needed
        from benchmarks.plot import draw

        draw(
            found["cases"],
            {case.name: (case.title, case.goal) for case in CASES},
            f"{meta['processor']} · median of {options.rounds} rounds"
            f" · {CONNECTIONS} connections · access log on",
            options.output / "bench.png",
        )
        print(options.output / "bench.png")
    except ImportError:
        print("no plot: matplotlib is not installed; run `make bench`", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, end_in_order)
    cores = choose_cores()
    if cores.proxy == cores.load:
        print("a single core: load and proxy disturb each other", file=sys.stderr)
    os.sched_setaffinity(0, {cores.load})
    with Stage(cores, keep=options.keep) as stage:
        run = Run(stage, options.rounds, options.seconds)
        try:
            run.start(options.peers.split(","))
            for case in CASES:
                if case.name in options.cases.split(","):
                    run.measure(case)
        except NotMeasured as error:
            print(f"what stands behind: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    write(run, options)
    return 1 if run.missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
