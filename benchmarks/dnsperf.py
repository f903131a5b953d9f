"""
Asking a DNS peer by dnsperf, and what it cost the peer.

64 sockets with 64 questions under way among them, as one thread. A question that is not
answered within a second is lost.

In:  the DNS cases.
Out: a `Drive`: questions answered in a window, and the peer's CPU time in that same window.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks import cpu
from benchmarks.load import CONNECTIONS, Drive, at_rate, bounded
from benchmarks.peers.kind import Running
from benchmarks.stage import NotMeasured, Stage, find_program

# of all questions, so many may be lost or answered with another code
MOST_WRONG = 0.001

SENT = re.compile(r"Queries sent: +(\d+)")
SECONDS = re.compile(r"Run time \(s\): +([0-9.]+)")


def read_report(report: str, code: str) -> tuple[int, float]:
    """
    Read how many questions were answered with this code, and in how many seconds.

    Raises:
        NotMeasured: if too many were lost or answered otherwise.
    """
    sent, seconds = SENT.search(report), SECONDS.search(report)
    good = re.search(rf"Response codes: .*\b{code} (\d+) ", report)
    if sent is None or seconds is None or not int(sent[1]):
        raise NotMeasured(f"dnsperf came to no result: {report.strip()[-200:] or 'no output'}")
    answered = int(good[1]) if good else 0
    wrong = int(sent[1]) - answered
    if wrong > MOST_WRONG * int(sent[1]):
        raise NotMeasured(f"of {sent[1]} questions {wrong} were lost or not answered {code}")
    return answered, float(seconds[1])


def ask(
    stage: Stage,
    running: Running,
    questions: Path,
    code: str,
    rate: float | None,
    seconds: float,
    once: bool = False,
) -> Drive:
    """
    Ask these questions, flat out or at a fixed rate; over and over, unless none may come twice.

    Raises:
        NotMeasured: if not all were answered with this code, or the rate was not achieved.
    """
    command: list[str | Path] = [
        *bounded(seconds),
        find_program("dnsperf", "dnsperf"),
        *("-B", "-d", questions),
        *("-s", "127.0.0.1", "-p", str(running.doors["dns"])),
        *("-c", str(CONNECTIONS), "-q", str(CONNECTIONS), "-T", "1", "-t", "1"),
        *("-l", str(seconds)),
    ]
    if once:
        command += ["-n", "1"]
    if rate is not None:
        command += ["-Q", str(round(rate))]
    meter = cpu.Meter(running.process.pid)
    before = meter.read()
    process = stage.spawn("dnsperf", command, stage.cores.load, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        report = process.stdout.read().decode(errors="replace")
        after = meter.read()
    finally:
        stage.stop(process)
    answered, took = read_report(report, code)
    drive = Drive(answered, took, cpu.between(before, after))
    return drive if rate is None else at_rate(drive, rate)
