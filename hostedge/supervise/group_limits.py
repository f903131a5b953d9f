"""
What an account and each of its daemons may take, as the kernel's files have it.

In:  `supervise.placement`, of an account's plan; `supervise.cgroup` writes them.
Out: the text for each file; no I/O in here.
Spec: the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

HIGH = 0.9  # of the memory: from there on the kernel takes it back and slows down
SWAP = 0.25
PERIOD = 100_000  # microseconds over which CPU time is counted
WEIGHTS = (1, 10_000)
PIDS_MOST = 4_194_304  # PID_MAX_LIMIT on 64 bits
MAX_MEMORY = 1 << 62
LEAST_MEMORY = 1 << 20
LEAST_CPU = 0.01  # a thousandth of a second in each period, the least that the kernel takes
MOST_CPU = 4096.0

Files = dict[str, str]


def _bounded(low: float, high: float, default: float | None) -> Any:
    def check(own: object, attribute: Attribute[Any], value: float | None) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"{attribute.name}: want {low:g} to {high:g}, not {value!r}")

    return field(default=default, validator=check)


@frozen
class AccountLimits:
    """
    All daemons of an account together; None: no limit.

    Raises:
        ValueError: the kernel would not take it.
    """

    # bytes
    memory: int | None = _bounded(LEAST_MEMORY, MAX_MEMORY, None)
    # processes and threads
    pids: int | None = _bounded(1, PIDS_MOST, 256)
    # cores
    cpu: float | None = _bounded(LEAST_CPU, MOST_CPU, None)
    # against other accounts, where there is not enough for all
    cpu_weight: int = _bounded(*WEIGHTS, 100)
    io_weight: int = _bounded(*WEIGHTS, 100)

    def files(self) -> Files:
        return {
            "memory.high": _or_max(self.memory, HIGH),
            "memory.max": _or_max(self.memory),
            "memory.swap.max": _or_max(self.memory, SWAP),
            "pids.max": _or_max(self.pids),
            "cpu.weight": str(self.cpu_weight),
            "cpu.max": f"{_or_max(self.cpu, PERIOD)} {PERIOD}",
            "io.weight": f"default {self.io_weight}",
        }


@frozen
class LeafLimits:
    """One generation of one daemon; what it may take is the account's, whose group is above it."""

    # end all of it when memory runs out: right for a single process, wrong for a master whose
    # one worker has grown
    whole: bool = True

    def files(self) -> Files:
        return {"memory.oom.group": str(int(self.whole))}


def _or_max(number: float | None, part: float = 1) -> str:
    return "max" if number is None else str(int(number * part))


def controller_of(file: str) -> str:
    """Which controller a file belongs to."""
    return file.partition(".")[0]
