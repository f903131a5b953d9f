"""
What a daemon's process is before it is the daemon: its limits, its owner, its view, its program.

In:  `supervise.process` runs this file as `python -I -S launcher.py KEY=VALUE… -- COMMAND…`;
     `supervise.confinement` writes the words. The session, the signals and the descriptors (0 to
     2, listeners from 3 on, then the report) were set by posix_spawn. The environment is the
     daemon's, each name with a sign before it.
Out: the daemon; or one line on standard error, the failed step by its name and errno in the
     report (`supervise.report` reads it), and an exit status of `WHY`.
Spec: sd_listen_fds(3) for LISTEN_PID and LISTEN_FDS; capabilities(7), prctl(2), cgroups(7).

A step that needs the superuser comes before the one that gives him up. With `view` the program
runs in a file system of its own: bubblewrap stays its parent, and this file runs once more, inside,
because only there its pid is known.

While this is the superuser's, it must not be steered by what the owner may set: the C library alone
loads programs by GCONV_PATH and reads files by LOCPATH. Hence the sign, which hides his variables
from everybody but this file.

Only modules that are built into the interpreter, save where a step needs another: `os` alone
would cost as much as the rest.
"""

import posix
import sys

# not `signal`, which makes its enums on import
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    SIGWINCH,
    SIGXFSZ,
    signal,
)

SETUP = 123
OWNER = 124
DIRECTORY = 125
NO_EXEC = 126
NOT_FOUND = 127

WHY = {
    SETUP: "the app's surroundings could not be made",
    OWNER: "the account's user could not be taken on",
    DIRECTORY: "the directory cannot be entered",
    NO_EXEC: "the command cannot be run",
    NOT_FOUND: "the command was not found",
}

SIGN = "+"  # before the name of each variable
FIRST = 3  # descriptor of the first listener; the report comes after the last

ENOENT, EACCES, ENOTDIR, EINVAL = 2, 13, 20, 22

PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4

# What a daemon may be told by. Bubblewrap is in its process group and must outlive the telling.
TOLD_BY = (SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH)


class Failed(Exception):
    """A step was refused; what follows is not tried."""

    def __init__(self, status: int, step: str, error: OSError, line: str) -> None:
        self.status, self.step, self.errno, self.line = status, step, error.errno or 0, line


def report(place: int | None, line: str) -> None:
    if place is not None:
        try:
            posix.write(place, f"{line}\n".encode("utf-8", "surrogateescape"))
        except OSError:
            # whoever started this is gone; standard error has it too
            pass


def raise_oom_score(wanted: str) -> None:
    """
    Have this end before others when memory runs out; never later than what started it.

    Raises:
        Failed: the kernel does not take that.
    """
    path = "/proc/self/oom_score_adj"
    try:
        present = int(read(path))
    except (Failed, ValueError):
        # no such thing here: nobody is ended by it
        return
    if int(wanted) > present:
        put("oom_score_adj", path, wanted)


def put(step: str, path: str, text: str) -> None:
    """
    Write into a file of the kernel's.

    Raises:
        Failed: it does not take that.
    """
    try:
        there = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
        try:
            posix.write(there, text.encode())
        finally:
            posix.close(there)
    except OSError as error:
        raise Failed(SETUP, step, error, f"{step} {path}: {error.strerror}") from None


def limit(word: str) -> None:
    """
    Set one limit, `NOFILE:4096:16384`; nothing is raised above what is allowed here.

    Raises:
        Failed: the kernel refuses.
    """
    import resource

    name, soft, hard = word.split(":")
    number = getattr(resource, f"RLIMIT_{name}")
    try:
        most = resource.getrlimit(number)[1]
        wanted = int(hard) if most == resource.RLIM_INFINITY else min(int(hard), most)
        resource.setrlimit(number, (min(int(soft), wanted), wanted))
    except OSError as error:
        step = f"limit {name.lower()}"
        raise Failed(SETUP, step, error, f"{step}: {error.strerror}") from None


def _prctl():  # type: ignore[no-untyped-def]
    """prctl(2) without ctypes, whose import would take half as long as everything else."""
    import _ctypes

    class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "i"

    class Call(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
        _restype_ = Int

    everything = _ctypes.dlopen(None, 2)  # type: ignore[arg-type]
    call = Call(_ctypes.dlsym(everything, "prctl"))

    def prctl(step: str, *numbers: int) -> int:
        result: int = call(*numbers, *(0,) * (5 - len(numbers)))
        if result < 0:
            error = OSError(_ctypes.get_errno(), posix.strerror(_ctypes.get_errno()))
            raise Failed(SETUP, step, error, f"{step}: {error.strerror}")
        return result

    return prctl


def drop_capabilities(prctl) -> None:  # type: ignore[no-untyped-def]
    """
    None may come back by an exec, whatever file it finds.

    Raises:
        Failed: they cannot be dropped.
    """
    step = "capabilities"
    for number in range(64):
        try:
            held = prctl(step, PR_CAPBSET_READ, number)
        except Failed as failed:
            if failed.errno == EINVAL:
                # past the last that this kernel knows
                break
            raise
        if held:
            prctl(step, PR_CAPBSET_DROP, number)
    prctl(step, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def become(owner: str) -> None:
    """
    Raises:
        Failed: not allowed, or what was given away can be had back.
    """
    try:
        uid, gid = map(int, owner.split(":"))
        if not uid or not gid:
            raise OSError(0, "nothing is started as the superuser")
        posix.setgroups([])
        posix.setresgid(gid, gid, gid)
        posix.setresuid(uid, uid, uid)
        try:
            posix.setuid(0)
        except OSError:
            return
        raise OSError(0, "the superuser was not left behind")
    except OSError as error:
        raise Failed(OWNER, "user", error, f"user {owner}: {error.strerror}") from None


def enter(directory: str) -> None:
    """
    Raises:
        Failed: it is not there, or not for this user.
    """
    try:
        posix.chdir(directory)
    except OSError as error:
        line = f"cannot change to {directory}: {error.strerror}"
        raise Failed(DIRECTORY, "directory", error, line) from None


def run(command: list[str], environment: dict[bytes, bytes]) -> None:
    """
    Become the command.

    Raises:
        Failed: it cannot be had.
    """
    program = command[0]
    if "/" in program:
        places = [program]
    else:
        path = environment.get(b"PATH", b"").decode("utf-8", "surrogateescape")
        places = [f"{folder}/{program}" for folder in path.split(":") if folder]
    missing, found = OSError(ENOENT, "not found"), None
    for place in places:
        try:
            posix.execve(place, command, environment)
        except OSError as error:
            if error.errno not in (ENOENT, ENOTDIR):
                found = found or (place, error)
    if found is None:
        raise Failed(NOT_FOUND, "command", missing, f"command not found: {program}")
    place, refused = found
    if refused.errno == EACCES:
        line = f"permission denied: {place}"
    else:
        line = f"cannot run {place}: {refused.strerror}"
    raise Failed(NO_EXEC, "command", refused, line)


def read(path: str) -> bytes:
    """
    Raises:
        Failed: it cannot be read.
    """
    text = b""
    try:
        source = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        while part := posix.read(source, 1 << 16):
            text += part
        posix.close(source)
    except OSError as error:
        raise Failed(SETUP, "view", error, f"view {path}: {error.strerror}") from None
    return text


def look_through(
    view: list[str], again: list[str | bytes], environment: dict[bytes, bytes]
) -> None:
    """
    Become bubblewrap, which runs `again` inside.

    Raises:
        Failed: it cannot be had.
    """
    for number in TOLD_BY:
        signal(number, SIG_IGN)
    try:
        posix.execve(view[0], [*view, "--", *again], environment)
    except OSError as error:
        raise Failed(SETUP, "view", error, f"view {view[0]}: {error.strerror}") from None


def one(words: dict[str, list[str]], key: str, otherwise: str = "") -> str:
    return words.get(key, [otherwise])[-1]


def surround(words: dict[str, list[str]]) -> None:
    """
    Everything that is the same inside and outside of a view.

    Raises:
        Failed: a step was refused.
    """
    for path in words.get("cgroup", ()):
        put("cgroup", path, str(posix.getpid()))
    if "oom" in words:
        raise_oom_score(one(words, "oom"))
    for word in words.get("limit", ()):
        limit(word)
    posix.umask(int(one(words, "umask", "022"), 8))
    owner = one(words, "owner")
    if not owner and "no-new-privileges" not in words:
        return
    prctl = _prctl()
    if owner:
        if not posix.geteuid():
            drop_capabilities(prctl)
        become(owner)
    prctl("no_new_privs", PR_SET_NO_NEW_PRIVS, 1)


def start(words: dict[str, list[str]], arguments: list[str], command: list[str]) -> None:
    """
    Raises:
        Failed: a step was refused.
    """
    count = int(one(words, "listeners", "0"))
    place = report_of(words)
    if "stage" in words:
        environment = dict(posix.environ)
        report(place, "inside")
    else:
        sign = SIGN.encode()
        signed = [(name, value) for name, value in posix.environ.items() if name[:1] == sign]
        environment = {name[1:]: value for name, value in signed}
        # what the starter itself was started with and could not know of
        posix.closerange(FIRST + count + (place is not None), 1 << 20)
        # its text: its place need not be seen inside, nor be readable for the owner
        text = read(one(words, "source")) if "view" in words else b""
        surround(words)
        if "view" in words:
            report(place, "view")
            again: list[str | bytes]
            again = [one(words, "python"), "-I", "-S", "-c", text, "stage=inside", *arguments]
            return look_through(words["view"], again, environment)
    if place is not None:
        posix.set_inheritable(place, False)
    # Python ignores them, and what is ignored stays so through exec
    for number in (SIGPIPE, SIGXFSZ, *(TOLD_BY if "stage" in words else ())):
        signal(number, SIG_DFL)
    # as the owner, so that the owner's permissions count
    enter(one(words, "directory", "/"))
    if count:
        environment[b"LISTEN_PID"] = b"%d" % posix.getpid()
        environment[b"LISTEN_FDS"] = b"%d" % count
    return run(command, environment)


def report_of(words: dict[str, list[str]]) -> int | None:
    return FIRST + int(one(words, "listeners", "0")) if "report" in words else None


def main(arguments: list[str]) -> int:
    """The exit status, if what was to be run could not be."""
    end = arguments.index("--")
    words: dict[str, list[str]] = {}
    for word in arguments[:end]:
        key, _, value = word.partition("=")
        words.setdefault(key, []).append(value)
    try:
        start(words, arguments, arguments[end + 1 :])
    except Failed as failed:
        report(report_of(words), f"failed {failed.errno} {failed.step}\t{failed.line}")
        line = f"hostedge: cannot start: {failed.line}\n"
        posix.write(2, line.encode("utf-8", "surrogateescape"))
        return failed.status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
