"""
Why a daemon did not come up or is gone, for its owner: a word and one line.

In:  `supervise.supervised` at each end, with how it ended and what it said last; `supervise.own` of
     new code that was looked at.
Out: a `Reason`; no Twisted and no file in here.

What the kernel and the launcher say counts first. Then what the program said: programs differ, but
the last line that names a known trouble is nearly always the one. Else its last words are quoted.
"""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Sequence

from attrs import frozen

from hostedge.supervise import launcher

LOOKED_AT = 200  # lines from the end
QUOTED = 200  # characters of a line


@frozen
class Reason:
    """`code` is a word of `CODES`, or empty; `text` is one line."""

    code: str
    text: str


CODES = {
    "command_not_found": "command not found",
    "not_executable": "the command cannot be run",
    "no_directory": "the directory cannot be entered",
    "no_user": "the account's user could not be taken on",
    "module_not_importable": "module not importable",
    "syntax_error": "the program cannot be read",
    "not_bound": "it never listened where it should",
    "silent": "it listens, but does not answer",
    "address_in_use": "the address is in use",
    "disk_quota": "the disk or the quota is full",
    "permission_denied": "permission denied",
    "out_of_memory": "out of memory",
    "killed_for_memory": "killed for memory",
    "too_many_files": "too many open files",
    "too_many_processes": "too many processes",
    "file_too_large": "a file grew past what the account may have in one",
    "not_in_foreground": "it ended by itself: a daemon has to stay in the foreground",
}

_LAUNCHER = {
    launcher.OWNER: "no_user",
    launcher.DIRECTORY: "no_directory",
    launcher.NO_EXEC: "not_executable",
    launcher.NOT_FOUND: "command_not_found",
}
_LAUNCHER_SAYS = "hostedge: cannot start: "

# what programs say, in the order in which a line is held against them
_SAID = tuple(
    (code, re.compile(pattern))
    for code, pattern in (
        ("disk_quota", r"No space left on device|Disk quota exceeded|\b(?:ENOSPC|EDQUOT)\b"),
        ("address_in_use", r"[Aa]ddress already in use|\bEADDRINUSE\b"),
        ("module_not_importable", r"\b(?:ModuleNotFoundError|ImportError): "),
        ("module_not_importable", r"\bAppImportError\b|Failed to find attribute|Failed to parse "),
        ("module_not_importable", r"\b(?:Cannot find (?:module|package)|ERR_MODULE_NOT_FOUND)\b"),
        ("module_not_importable", r"cannot load such file -- |ClassNotFoundException"),
        ("syntax_error", r"\b(?:Syntax|Indentation|Tab)Error: |PHP Parse error"),
        ("too_many_files", r"[Tt]oo many open files|\bEMFILE\b"),
        ("too_many_processes", r"can't start new thread|Resource temporarily unavailable"),
        ("out_of_memory", r"^MemoryError\b|Cannot allocate memory|heap out of memory"),
        ("out_of_memory", r"\bOutOfMemoryError\b|std::bad_alloc"),
        ("permission_denied", r"[Pp]ermission denied|\bEACCES\b|Operation not permitted"),
        ("command_not_found", r": (?:command )?not found$|env: .*: No such file or directory"),
    )
)

_ERRORS = {
    errno.ENOSPC: "disk_quota",
    errno.EDQUOT: "disk_quota",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.ENOMEM: "out_of_memory",
    errno.EAGAIN: "too_many_processes",
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
}


def of_end(ended: BaseException | None, said: Sequence[str], oom: bool = False) -> Reason:
    """
    Why a process is gone.

    `ended` is how, as Twisted tells it, or the error with which it could not be launched; `said`
    are the last lines of its output; `oom`: the kernel has killed something of it for memory.
    """
    if isinstance(ended, (OSError, ValueError)):
        code = _ERRORS.get(getattr(ended, "errno", None) or 0, "")
        return Reason(code, _with(code, f"could not be launched: {ended}"))
    status, number = getattr(ended, "exitCode", None), getattr(ended, "signal", None)
    refused = getattr(ended, "line", "")
    if refused:
        # `supervise.report`: a step between the launch and the daemon was refused
        return _launcher_said(status, getattr(ended, "errno", 0), refused)
    if oom and number == signal.SIGKILL:
        return Reason("killed_for_memory", CODES["killed_for_memory"])
    if number == signal.SIGXFSZ:
        return Reason("file_too_large", CODES["file_too_large"])
    lines = [line.strip() for line in said[-LOOKED_AT:] if line.strip()]
    if status in launcher.WHY:
        for line in reversed(lines):
            if line.startswith(_LAUNCHER_SAYS):
                return _launcher_said(status, 0, line.removeprefix(_LAUNCHER_SAYS))
    if status or number:
        for line in reversed(lines):
            code = _code_of(line)
            if code:
                return Reason(code, _with(code, line))
    elif status == 0 or _is_clean(ended):
        return Reason("not_in_foreground", CODES["not_in_foreground"])
    # rules around a message say nothing
    words = [line for line in lines if any(map(str.isalnum, line))]
    # a master gives up when it has lost a worker
    code = "killed_for_memory" if oom else ""
    return Reason(code, _with(code, _plainly(status, number, words[-1] if words else "")))


def of_silence(seconds: float, address: str, listens: Sequence[str] | None) -> Reason:
    """
    Why a daemon that lives is of no use.

    `address` is where it should answer, `host:port` or `unix:/path`; `listens`: where its
    processes listen, None if that is not known.
    """
    within = f"within {seconds:g} s"
    if address.startswith("unix:") or listens is None:
        return Reason("silent", f"it did not answer {within}")
    if not listens:
        return Reason("not_bound", f"it never listened on $PORT {within}")
    if not any(_covers(each, address) for each in listens):
        there = ", ".join(listens[:3])
        where = f"it listens on {there}, not on $HOST and $PORT, which are {address}"
        return Reason("not_bound", where)
    return Reason("silent", f"it listens, but did not answer {within}")


def _covers(listening: str, address: str) -> bool:
    """Whether what listens there is reached at the address."""
    host, _, port = listening.rpartition(":")
    wanted_host, _, wanted_port = address.rpartition(":")
    return port == wanted_port and host in (wanted_host, "0.0.0.0", "[::]")  # noqa: S104


def _is_clean(ended: BaseException | None) -> bool:
    return type(ended).__name__ == "ProcessDone"


def _code_of(line: str) -> str:
    return next((code for code, pattern in _SAID if pattern.search(line)), "")


def _launcher_said(status: int | None, number: int, line: str) -> Reason:
    """Its line names the command or the folder, and the kernel's reason where there is one."""
    code = _LAUNCHER.get(status or 0, "")
    if _ERRORS.get(number) == "disk_quota" or _code_of(line) == "disk_quota":
        # a script on a disk that is full is no script that cannot be run
        code = "disk_quota"
    if not code:
        return Reason("", f"{launcher.WHY.get(status or 0, 'it could not be started')}: {line}")
    return Reason(code, _with(code, line.removesuffix(": command not found")))


def _plainly(status: int | None, number: int | None, said: str) -> str:
    """How it ended and its last words, where nothing is known of either."""
    if number is not None:
        how = f"ended by signal {number}"
    elif status is None:
        return "ended; how is not known"
    else:
        how = f"exit status {status}"
    return f"{how}: {said[:QUOTED]}" if said else how


def _with(code: str, line: str) -> str:
    quoted = line if len(line) <= QUOTED else f"{line[: QUOTED - 1]}…"
    if not code or quoted.startswith(CODES[code]):
        return quoted
    return f"{CODES[code]}: {quoted}"
