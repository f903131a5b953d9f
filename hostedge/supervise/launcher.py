"""
What a daemon's process is before it is the daemon: umask, owner, directory, listeners, exec.

In:  `supervise.process` runs this file as `python -I -S launcher.py UMASK OWNER DIRECTORY
     LISTENERS COMMAND…`; OWNER is `uid:gid` or `-`. The session, the signals and the file
     descriptors (0 to 2, listeners from 3 on) were set by posix_spawn; the environment is the
     daemon's.
Out: the daemon, or one line on standard error and an exit status of `WHY`.
Spec: sd_listen_fds(3) for LISTEN_PID and LISTEN_FDS.

Only modules that are built into the interpreter: `os` alone would cost as much as the rest.
"""

import posix
import sys

# not `signal`, which makes its enums on import
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIGPIPE,
    SIGXFSZ,
    signal,
)

OWNER = 124
DIRECTORY = 125
NO_EXEC = 126
NOT_FOUND = 127

WHY = {
    OWNER: "the account's user could not be taken on",
    DIRECTORY: "the directory cannot be entered",
    NO_EXEC: "the command cannot be run",
    NOT_FOUND: "the command was not found",
}

ENOENT, EACCES, ENOTDIR = 2, 13, 20


def fail(status: int, line: str) -> int:
    posix.write(2, f"hostedge: cannot start: {line}\n".encode("utf-8", "surrogateescape"))
    return status


def become(owner: str) -> None:
    """
    Raises:
        OSError: not allowed, or what was given away can be had back.
    """
    uid, gid = map(int, owner.split(":"))
    posix.setgroups([])
    posix.setresgid(gid, gid, gid)
    posix.setresuid(uid, uid, uid)
    try:
        posix.setuid(0)
    except OSError:
        return
    raise OSError(0, "the superuser was not left behind")


def run(command: list[str], environment: dict[bytes, bytes]) -> int:
    """Become the command; returns only if that fails."""
    program = command[0]
    if "/" in program:
        places = [program]
    else:
        path = environment.get(b"PATH", b"").decode("utf-8", "surrogateescape")
        places = [f"{folder}/{program}" for folder in path.split(":") if folder]
    found = None
    for place in places:
        try:
            posix.execve(place, command, environment)
        except OSError as error:
            if error.errno not in (ENOENT, ENOTDIR):
                found = found or (place, error)
    if found is None:
        return fail(NOT_FOUND, f"{program}: command not found")
    return fail(NO_EXEC, f"{found[0]}: {found[1].strerror}")


def main(arguments: list[str]) -> int:
    umask, owner, directory, listeners, *command = arguments
    # Python ignores them, and what is ignored stays so through exec
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    # what the starter itself was started with and could not know of
    posix.closerange(3 + int(listeners), 1 << 20)
    posix.umask(int(umask, 8))
    if owner != "-":
        try:
            become(owner)
        except OSError as error:
            return fail(OWNER, f"user {owner}: {error.strerror}")
    try:
        # as the owner, so that the owner's permissions count
        posix.chdir(directory)
    except OSError as error:
        return fail(DIRECTORY, f"{directory}: {error.strerror}")
    environment = dict(posix.environ)
    if int(listeners):
        environment[b"LISTEN_PID"] = b"%d" % posix.getpid()
        environment[b"LISTEN_FDS"] = listeners.encode()
    return run(command, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
