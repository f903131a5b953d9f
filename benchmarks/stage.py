"""
Where one run takes place: its folder, its cores, and every process that it starts.

In:  `__main__` and `scale` open one; peers and load drivers start their processes on it.
Out: processes pinned to a core; on leaving, whatever way, all of them have ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks import cpu

ROOT = Path(__file__).resolve().parent.parent
HOST = "bench.localhost"
Command = Sequence[str | Path]

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


class NotMeasured(Exception):
    """This peer or case cannot be measured; the text says why, and what helps."""


@frozen
class Cores:
    """One core is the proxy's alone; load generator, origin and this program have the other."""

    proxy: int
    load: int


def choose_cores() -> Cores:
    """Take the last two cores that we may use; with a single one they are the same."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(proxy=allowed[-1], load=allowed[-2] if len(allowed) > 1 else allowed[-1])


def find_program(name: str, package: str) -> str:
    """
    Find an installed program.

    Raises:
        NotMeasured: naming the package that has it.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None:
        raise NotMeasured(f"{name} is not installed (Debian: {package}); run `make bench`")
    return found


def free_ports(count: int) -> list[int]:
    """Give ports of 127.0.0.1 that nobody has now, for programs that cannot bind port 0."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def make_certificate(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign a P-256 certificate for these names with its own key, as PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def key_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Stage:
    """
    A folder under the temporary directory, and the processes started on it.

    Every process is in a session of its own, so that Ctrl-C reaches only this program, which
    then ends them in order; should this program be killed, the kernel ends them.
    """

    def __init__(self, cores: Cores, keep: bool = False) -> None:
        self.cores = cores
        self.folder = Path(tempfile.mkdtemp(prefix="hostedge-bench-"))
        # servers started by root give their workers another user
        self.folder.chmod(0o755)
        self.certificate = self.folder / "certificate.pem"
        self.key = self.folder / "key.pem"
        self._keep = keep
        # and the signal that asks each to end
        self._running: dict[subprocess.Popen[bytes], signal.Signals] = {}

    def __enter__(self) -> Stage:
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate.write_bytes(make_certificate([HOST], key))
        self.key.write_bytes(key_text(key))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # an impatient second Ctrl-C must not leave processes behind
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in reversed(list(self._running)):
            self.stop(process)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(
        self,
        name: str,
        command: Command,
        core: int | None,
        *,
        output: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        ends_by: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        """Start a program on this core; what it prints goes to `NAME.log`, or where said."""
        prefix = ["setpriv", "--pdeathsig", "TERM"]
        if core is not None:
            prefix += ["taskset", "--cpu-list", str(core)]
        with self.log(name).open("ab") as log, (output or self.log(name)).open("ab") as out:
            process = subprocess.Popen(
                [*prefix, *(str(word) for word in command)],
                stdin=stdin,
                stdout=out if stdout is None else stdout,
                stderr=log,
                cwd=self.folder,
                env={**surroundings(), **(environment or {})},
                start_new_session=True,
            )
        self._running[process] = ends_by
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def await_port(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        """
        Return once somebody accepts on the port.

        Raises:
            NotMeasured: if the process ends before, or does not listen in 15 s.
        """
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if ended(process, within=0.05):
                raise NotMeasured(f"it ended at once: {self.last_words(name)}")
        raise NotMeasured(f"it does not listen on port {port}: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """Give the last line that a program has printed."""
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it has printed nothing"

    def stop(self, process: subprocess.Popen[bytes], patience: float = 6.0) -> None:
        """End a process and its descendants: asked first, then killed."""
        whole = cpu.tree(process.pid)
        if process.poll() is None:
            process.send_signal(self._running.get(process, signal.SIGTERM))
            if not ended(process, within=patience):
                whole.update(cpu.tree(process.pid))
                process.kill()
                process.wait()
        for pid, start in whole.items():
            if cpu.tree(pid).get(pid) == start:
                os.kill(pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            close(pipe)
        self._running.pop(process, None)


def surroundings() -> dict[str, str]:
    """
    Give the environment of what is started: Python programs find this checkout wherever they run,
    and are compiled once, as what is installed is.
    """
    inherited = {**os.environ, "PYTHONPATH": str(ROOT)}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return inherited


def ended(process: subprocess.Popen[bytes], within: float) -> bool:
    """Wait so long for a process to end; say whether it has."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except BrokenPipeError:
            # what was still to be written has lost its reader
            pass


def end_in_order(number: int, frame: object) -> None:
    """Turn a SIGTERM into an exception, so that what was started is ended."""
    sys.exit(128 + number)
