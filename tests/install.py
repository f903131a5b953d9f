"""
Install the Debian packages that the live tests drive, where that is possible.

Called by `make test`. Without rights or apt it says what is missing; the tests concerned
then skip and say so too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# command to be found: package that has it
PACKAGES = {
    "curl": "curl",
    "openssl": "openssl",
    "ssh": "openssh-client",
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "nft": "nftables",
    "dig": "bind9-dnsutils",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "nghttp": "nghttp2-client",
    "kdig": "knot-dnsutils",
    "knotd": "knot",
    "unbound": "unbound",
    "chromium": "chromium",
    "certutil": "libnss3-tools",
}

POLICY = Path("/usr/sbin/policy-rc.d")


@contextmanager
def no_services() -> Iterator[None]:
    """While this lasts, no package starts a service; what was there before comes back."""
    before = POLICY.read_bytes() if POLICY.exists() else None
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink()
        else:
            POLICY.write_bytes(before)


def install(packages: dict[str, str]) -> None:
    """Install the package of every command that is missing."""
    missing = sorted({package for name, package in packages.items() if not shutil.which(name)})
    if not missing:
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        print(f"not installed, and not to be had without root: {', '.join(missing)}")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_services():
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends"]):
            line = ["apt-get", *command] + (missing if command[0] == "install" else [])
            done = subprocess.run(line, env=environment, stdout=sys.stderr)
            if done.returncode:
                print(f"apt-get could not install: {', '.join(missing)}")


if __name__ == "__main__":
    # servers are not on everybody's path
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    install(PACKAGES)
