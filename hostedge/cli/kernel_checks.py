"""
What hostedge needs of Python, of its packages and of the kernel.

In:  `cli.doctor`; nothing here needs a node or its settings.
Out: `Finding`s; each check tries the thing itself instead of asking for versions.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from hostedge.cli.finding import Finding
from hostedge.net.descriptors import MOST, connections_for
from hostedge.supervise.cgroup import find_rung
from hostedge.supervise.confinement import BUBBLEWRAP
from hostedge.supervise.ladder import Rung, joins_fast, mount_of

PYTHON = (3, 11)
SQLITE = (3, 38)  # the operator ->>
MOUNTS = Path("/proc/self/mountinfo")
FILES = 65_536  # two for each relayed request, and some for each app
BUILT_AFTER = 2026

_SYS_PIDFD_GETFD = 438
_SYS_OPENAT2 = 437
_AT_FDCWD = -100
_RESOLVE_BENEATH = 0x08
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronized

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?(?:>=([0-9.]+))?[^;]*(;.*)?")

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def check_kernel() -> Iterator[Finding]:
    """Everything in the order in which it matters."""
    yield python()
    yield packages()
    yield sqlite()
    yield openat2()
    yield pidfd_open()
    yield pidfd_getfd()
    yield posix_spawn()
    yield low_water()
    there = find_rung()
    yield cgroup_level(there)
    if there.level:
        yield joining(MOUNTS.read_text())
    yield bubblewrap()
    yield open_files()
    yield gunicorn()
    yield websocket()
    yield clock()


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= PYTHON:
        return Finding("ok", "python", version)
    return Finding("fail", "python", version, "install Python 3.11 or later")


def packages() -> Finding:
    """Compare what is installed with what hostedge's own metadata asks for."""
    try:
        wanted = metadata.requires("hostedge") or []
    except metadata.PackageNotFoundError:
        todo = "run it from where `make run` or pip has installed it"
        return Finding("warn", "packages", "hostedge is not installed as a package", todo)
    wrong = [problem for each in wanted if (problem := _package(each))]
    if wrong:
        todo = "install hostedge again: pip install hostedge"
        return Finding("fail", "packages", "; ".join(wrong), todo)
    return Finding("ok", "packages", f"all there; Twisted {metadata.version('twisted')}")


def _package(requirement: str) -> str:
    """What is wrong with one requirement; extras are nobody's duty."""
    match = _REQUIREMENT.fullmatch(requirement.replace(" ", ""))
    if match is None or match[3]:
        return ""
    name, least = match[1], match[2]
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} is missing"
    if least and _numbers(version) < _numbers(least):
        return f"{name} is {version}, want {least} or later"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def sqlite() -> Finding:
    if sqlite3.sqlite_version_info >= SQLITE:
        return Finding("ok", "sqlite", sqlite3.sqlite_version)
    todo = "use a Python that is built with SQLite 3.38 or later"
    return Finding("fail", "sqlite", sqlite3.sqlite_version, todo)


def _tried(what: str, result: int, level: str, use: str, since: str) -> Finding:
    if result >= 0:
        return Finding("ok", what, "works")
    reason = errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    todo = f"want Linux {since} or later, and a container that lets this call through"
    return Finding("fail" if level == "fail" else "warn", what, f"{reason}: {use}", todo)


def openat2() -> Finding:
    """Static files are opened below their folder by the kernel itself."""
    how = _OpenHow(os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, 0, _RESOLVE_BENEATH)
    opened = _libc.syscall(
        _SYS_OPENAT2, _AT_FDCWD, b".", ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    )
    if opened >= 0:
        os.close(opened)
    return _tried("openat2", opened, "fail", "no static file can be served", "5.6")


def pidfd_open() -> Finding:
    """Ends of processes are seen by pidfd."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        ctypes.set_errno(error.errno or 0)
        return _tried("pidfd_open", -1, "fail", "no process can be watched", "5.3")
    return Finding("ok", "pidfd_open", "works")


def pidfd_getfd() -> Finding:
    try:
        own = os.pidfd_open(os.getpid())
    except OSError:
        return Finding("warn", "pidfd_getfd", "needs pidfd_open")
    try:
        taken = _libc.syscall(_SYS_PIDFD_GETFD, own, own, 0)
        if taken >= 0:
            os.close(taken)
    finally:
        os.close(own)
    use = "listeners cannot be taken out of a hung process"
    return _tried("pidfd_getfd", taken, "warn", use, "5.6")


def posix_spawn() -> Finding:
    """Start the smallest program there is and see it end."""
    try:
        pid = os.posix_spawn("/bin/true", ["true"], {})
    except OSError as error:
        text = f"/bin/true: {error.strerror}"
        return Finding("fail", "posix_spawn", text, "processes cannot be started: see limits")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        return Finding("fail", "posix_spawn", f"/bin/true ended with {status}", "look into /bin")
    return Finding("ok", "posix_spawn", "works")


def low_water() -> Finding:
    """Half a TLS hello must not wake an edge again and again."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
            if probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 100:
                return Finding("ok", "SO_RCVLOWAT", "works")
        except OSError:
            pass
    todo = "use Linux itself: this kernel only looks like one"
    return Finding("fail", "SO_RCVLOWAT", "slow TLS clients would cost CPU", todo)


def cgroup_level(there: Rung) -> Finding:
    """Which rung of the ladder daemons stand on."""
    return Finding("ok" if there.level else "warn", "cgroup", there.text, there.todo)


def joining(mountinfo: str) -> Finding:
    """How long a daemon waits to be in its group."""
    if joins_fast(mountinfo):
        return Finding("ok", "favordynmods", "a daemon is in its group at once")
    mounted = mount_of(mountinfo)
    place = mounted[0] if mounted else "/sys/fs/cgroup"
    todo = f"as root: mount -o remount,favordynmods {place}"
    return Finding("warn", "favordynmods", "each start waits some 10 ms for its group", todo)


def bubblewrap(command: str = BUBBLEWRAP) -> Finding:
    """Make the smallest file system of its own for a program."""
    program = shutil.which(command)
    if program is None:
        text = "not here: apps cannot be given a file system of their own"
        return Finding("warn", "bubblewrap", text, "install the package bubblewrap")
    words = ["--unshare-user", "--unshare-pid", "--bind", "/", "/", "--proc", "/proc", "/bin/true"]
    done = subprocess.run([program, *words], capture_output=True, text=True, errors="replace")  # noqa: S603
    if done.returncode == 0:
        return Finding("ok", "bubblewrap", "works")
    todo = "let users make namespaces: sysctl kernel.unprivileged_userns_clone, apparmor, seccomp"
    why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
    return Finding("warn", "bubblewrap", f"apps cannot be given a file system: {why}", todo)


def open_files() -> Finding:
    """Edges raise their own limit to the hard one; nobody but root gets above that."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    text = f"{files} open files: {connections_for(files)} connections of an edge"
    if files >= FILES:
        return Finding("ok", "nofile", text)
    return Finding("warn", "nofile", text, f"as root: ulimit -n {FILES}, or LimitNOFILE={FILES}")


def gunicorn() -> Finding:
    if find_spec("gunicorn") is not None:
        return Finding("ok", "gunicorn", metadata.version("gunicorn"))
    todo = "pip install gunicorn where hostedge or the app is installed"
    return Finding("warn", "gunicorn", "not here: apps of runtime wsgi need it", todo)


def websocket() -> Finding:
    """Autobahn's parts in C, without which a message costs fifty times as much."""
    # no other command needs it
    from autobahn.websocket import USES_NVX

    if USES_NVX:
        return Finding("ok", "websocket", "Autobahn has its parts in C")
    return Finding(
        "warn",
        "websocket",
        "Autobahn works without its parts in C: compressed and fragmented messages are slow",
        "install its wheel, or a C compiler and pip install --force-reinstall --no-binary "
        "autobahn autobahn; and unset AUTOBAHN_USE_NVX",
    )


def clock() -> Finding:
    """Certificates and histories need the time."""
    now = datetime.now(UTC)
    text = now.strftime("%Y-%m-%d %H:%M:%SZ")
    if now.year < BUILT_AFTER:
        return Finding("fail", "clock", text, "set the clock: no certificate would be valid")
    timex = ctypes.create_string_buffer(512)  # struct timex is 208 bytes; modes = 0 only reads
    if _libc.adjtimex(timex) == _TIME_ERROR:
        todo = "run a time service: chrony, ntpsec or systemd-timesyncd"
        return Finding("warn", "clock", f"{text}, not synchronized", todo)
    return Finding("ok", "clock", text)
