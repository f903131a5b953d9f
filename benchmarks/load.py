"""
Sending load to a peer, and what it cost the peer.

In:  the cases.
Out: a `Drive`: requests answered in a window, and the peer's CPU time in that same window.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import IO, Any

from attrs import evolve, frozen

from benchmarks import cpu
from benchmarks.peers.kind import ECHO, Running
from benchmarks.stage import HOST, NotMeasured, Stage, ended, find_program

CONNECTIONS = 64
# HTTP/2 has several requests on each
H2_CONNECTIONS = 16
BODY_CONNECTIONS = 8
IDLE_CONNECTIONS = 5000
STALLED_CONNECTIONS = 100
WARM_UP = 0.5
# for what goes before and after a window: 5,000 handshakes take long
PATIENCE = 60.0
# an achieved rate may differ so much from the one that was asked for
TOLERANCE = 0.02

FINISHED = re.compile(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded")
STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")


@frozen
class Drive:
    """One window of load."""

    requests: int
    seconds: float
    # CPU seconds of all processes of the peer
    cpu: float
    # seconds to the whole answer; 0 where the driver does not know them
    p50: float = 0.0
    p99: float = 0.0
    # bytes that the peer held more at the most, where that is asked for
    memory: int = 0

    @property
    def cost(self) -> float:
        """CPU microseconds a unit."""
        return self.cpu / self.requests * 1e6

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def busy(self) -> float:
        """The share of its core that the peer used."""
        return self.cpu / self.seconds


def answered(report: str) -> int:
    """
    Read from h2load's report how many requests were answered well.

    Raises:
        NotMeasured: if not all of them were.
    """
    counts = FINISHED.search(report)
    statuses = STATUSES.search(report)
    if counts is None or statuses is None:
        # it connects for ever when the window ends while a peer is closing its connections
        raise NotMeasured("h2load came to no result: does the peer keep connections alive?")
    done, succeeded = map(int, counts.groups())
    good, *others = map(int, statuses.groups())
    # over HTTP/2, an answer whose end the window cut off has a status, but is not done
    if not done or not done == succeeded <= good or any(others):
        bad = max(done - min(succeeded, good), sum(others))
        raise NotMeasured(f"of {done} answers {bad} were failures")
    return done


def flat_out(stage: Stage, running: Running, scheme: str, seconds: float) -> Drive:
    """
    Send as many HTTP/1.1 requests as the peer answers, on 64 connections.

    Raises:
        NotMeasured: if an answer was not 200.
    """
    options = ["--h1", f"--clients={CONNECTIONS}"]
    return _h2load(stage, running, f"{scheme}://{HOST}/", options, running.doors[scheme], seconds)


def streams(stage: Stage, running: Running, rate: float | None, seconds: float) -> Drive:
    """
    Send HTTP/2 requests over TLS, 64 at a time on 16 connections; flat out or at a fixed rate.

    Raises:
        NotMeasured: if an answer was not 200, or the rate was not achieved.
    """
    options = [f"--clients={H2_CONNECTIONS}"]
    options.append(f"--max-concurrent-streams={CONNECTIONS // H2_CONNECTIONS}")
    if rate is not None:
        options.append(f"--rps={rate / H2_CONNECTIONS}")
    drive = _h2load(stage, running, f"https://{HOST}/", options, running.doors["h2"], seconds)
    return drive if rate is None else at_rate(drive, rate)


def _h2load(
    stage: Stage, running: Running, url: str, options: Sequence[str], port: int, seconds: float
) -> Drive:
    """Run h2load, and read the peer's CPU as it says that its window begins and ends."""
    command = [
        *bounded(seconds),
        find_program("h2load", "nghttp2-client"),
        *options,
        "--threads=1",
        f"--duration={round(seconds * 1000)}ms",
        f"--warm-up-time={round(WARM_UP * 1000)}ms",
        f"--connect-to=127.0.0.1:{port}",
        url,
    ]
    meter = cpu.Meter(running.process.pid)
    before: cpu.Use = {}
    after: cpu.Use = {}
    begun = over = 0.0
    report = []
    process = stage.spawn("h2load", command, stage.cores.load, stdout=subprocess.PIPE)
    try:
        for raw in _pipe(process.stdout):
            line = raw.decode(errors="replace")
            if line.startswith("Main benchmark duration is started"):
                before, begun = meter.read(), monotonic()
            elif line.startswith("Main benchmark duration is over"):
                after, over = meter.read(), monotonic()
            report.append(line)
        requests = answered("".join(report))
    finally:
        stage.stop(process)
    return Drive(requests, over - begun, cpu.between(before, after))


def paced(stage: Stage, running: Running, scheme: str, rate: float, seconds: float) -> Drive:
    """
    Send HTTP/1.1 requests at a fixed rate, on 64 connections.

    Raises:
        NotMeasured: if an answer was wrong, or the rate was not achieved.
    """
    options = [f"--port={running.doors[scheme]}", f"--rate={rate}"]
    if scheme == "https":
        options.append("--tls")
    return at_rate(_generated(stage, running, "benchmarks.generator", options, seconds), rate)


def echoed(stage: Stage, running: Running, size: int, rate: float | None, seconds: float) -> Drive:
    """
    Have messages of this size echoed on 64 WebSockets, flat out or at a fixed rate.

    Raises:
        NotMeasured: if an echo was wrong, or the rate was not achieved.
    """
    options = [f"--port={running.doors['websocket']}", f"--path={ECHO}", f"--size={size}"]
    if rate is not None:
        options.append(f"--rate={rate}")
    module = "benchmarks.websocket_generator"
    drive = _generated(stage, running, module, options, seconds)
    return drive if rate is None else at_rate(drive, rate)


def bodies(
    stage: Stage, running: Running, direction: str, rate: float | None, seconds: float
) -> Drive:
    """
    Pass bodies of 64 MiB on 8 connections, `download` or `upload`; a unit is 1 MB.

    Raises:
        NotMeasured: if a body was cut, or the rate was not achieved.
    """
    options = [f"--port={running.doors['large']}", f"--direction={direction}"]
    if rate is not None:
        options.append(f"--rate={rate}")
    module = "benchmarks.body_generator"
    growth = cpu.Growth(running.process.pid)
    drive = _generated(stage, running, module, options, seconds, BODY_CONNECTIONS)
    drive = evolve(drive, memory=growth.read())
    return drive if rate is None else at_rate(drive, rate)


def idle(stage: Stage, running: Running, seconds: float) -> Drive:
    """
    Open 5,000 TLS connections with one request each, and keep them; `memory` is for all of them.

    Raises:
        NotMeasured: if one was refused, or answered wrongly.
    """
    options = [f"--port={running.doors['https']}", "--kind=idle"]
    pid, module = running.process.pid, "benchmarks.holder"
    before = cpu.tree_size(pid)
    after = 0

    def look() -> None:
        nonlocal after
        after = cpu.tree_size(pid)

    drive = _generated(stage, running, module, options, seconds, IDLE_CONNECTIONS, look)
    return evolve(drive, memory=after - before)


def stalled(stage: Stage, running: Running, kind: str, door: str, seconds: float) -> Drive:
    """
    Have 100 readers that take nothing for so long.

    Raises:
        NotMeasured: if one was not answered at all.
    """
    options = [f"--port={running.doors[door]}", f"--kind={kind}"]
    return _generated(stage, running, "benchmarks.holder", options, seconds, STALLED_CONNECTIONS)


def at_rate(drive: Drive, rate: float) -> Drive:
    """
    Give the drive back if it had this rate.

    Raises:
        NotMeasured: if not.
    """
    if abs(drive.rate / rate - 1) > TOLERANCE:
        raise NotMeasured(f"asked for {rate:,.0f} a second, achieved {drive.rate:,.0f}")
    return drive


def _generated(
    stage: Stage,
    running: Running,
    module: str,
    options: Sequence[str],
    seconds: float,
    connections: int = CONNECTIONS,
    look: Callable[[], None] = lambda: None,
) -> Drive:
    """
    Run one of our load generators, and read the peer's CPU while it is ready and when done.

    `look` is called while all connections are still there.
    """
    command = [
        *bounded(seconds),
        *(sys.executable, "-m", module),
        f"--host={HOST}",
        f"--seconds={seconds}",
        f"--connections={connections}",
        *options,
    ]
    meter = cpu.Meter(running.process.pid)
    process = stage.spawn(
        "generator",
        command,
        stage.cores.load,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        _pipe_line(process, stage)
        before = meter.read()
        _go(process)
        result = _pipe_line(process, stage)
        after = meter.read()
        look()
        # it closes its connections, each as its protocol wants
        _go(process)
        ended(process, within=3.0)
    finally:
        stage.stop(process)
    return Drive(
        result["requests"],
        result["seconds"],
        cpu.between(before, after),
        result["p50"],
        result["p99"],
    )


def bounded(seconds: float) -> list[str]:
    """Give the words before a load generator that end it, should it hang."""
    return ["timeout", "--kill-after=2", str(WARM_UP + seconds + PATIENCE)]


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _go(process: subprocess.Popen[bytes]) -> None:
    pipe = _pipe(process.stdin)
    pipe.write(b"\n")
    pipe.flush()


def _pipe_line(process: subprocess.Popen[bytes], stage: Stage) -> dict[str, Any]:
    """Read the generator's next line: `ready`, or its result."""
    line = _pipe(process.stdout).readline()
    if not line:
        raise NotMeasured(f"the load generator failed: {stage.last_words('generator')}")
    if line == b"ready\n":
        return {}
    result: dict[str, Any] = json.loads(line)
    if "error" in result:
        raise NotMeasured(result["error"])
    return result
