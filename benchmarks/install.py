"""
Install the servers that are compared and the load generators; none of them is started.

In:  `make bench`.
Out: Debian packages where that is possible; what stays missing is said, and left out later.
"""

from __future__ import annotations

import os

from benchmarks.stage import SYSTEM_FOLDERS
from tests.install import install

# command to be found: package that has it
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "named": "bind9",
    "knotd": "knot",
    "h2load": "nghttp2-client",
    "dnsperf": "dnsperf",
    "uwsgi": "uwsgi-core",
    "uwsgi_python3": "uwsgi-plugin-python3",
    "passenger": "passenger",
}

if __name__ == "__main__":
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS))
    install(PACKAGES)
