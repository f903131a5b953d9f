"""
Chromium, which trusts a node's own authority.

It has a home of its own; both are gone when the block ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.live.node import PATIENCE, Node


@contextlib.contextmanager
def opened(node: Node, url: str) -> Iterator[None]:
    """
    While the block runs, a browser has this page open.

    Raises:
        SkipTest: there is no browser here.
    """
    browser = shutil.which("chromium")
    if browser is None or shutil.which("certutil") is None:
        raise SkipTest("chromium or certutil is not installed")
    home = Path(tempfile.mkdtemp(prefix="hostedge-browser-"))
    try:
        trusted = f"sql:{home / '.pki' / 'nssdb'}"
        (home / ".pki" / "nssdb").mkdir(parents=True)
        ca = str(node.state / "control/ca.pem")
        for words in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "node", "-i", ca]):
            subprocess.run(["certutil", *words, "-d", trusted], check=True, timeout=PATIENCE)
        running = subprocess.Popen(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", f"--user-data-dir={home}/profile"),
                *("--remote-debugging-port=0", url),
            ],
            env={**os.environ, "HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)
