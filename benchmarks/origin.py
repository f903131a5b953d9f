"""
What stands behind every peer: an nginx with 1 kB and 64 MiB, on the load generator's core.

In:  `__main__` and `scale` start it on their stage.
Out: the port it listens on.
"""

from __future__ import annotations

import random

from benchmarks.peers.kind import ROOM
from benchmarks.peers.nginx import FRAME
from benchmarks.stage import Command, Stage, find_program, free_ports

SIZE = 1024
LARGE_SIZE = 64 * 1024 * 1024

SERVER = """\
    access_log off;
    keepalive_timeout 300s;
    default_type text/plain;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "{text}"; }}
        location = /large {{ root {folder}; sendfile on; }}
    }}
"""


def large_bytes() -> bytes:
    """Give what is behind `/large`: the same at each call, and nothing that compresses."""
    return random.Random("large").randbytes(LARGE_SIZE)


def start_origin(stage: Stage) -> int:
    """
    Start it and give its port.

    Raises:
        NotMeasured: if nginx is not installed or does not come up.
    """
    program = find_program("nginx", "nginx-light")
    (port,) = free_ports(1)
    (stage.folder / "large").write_bytes(large_bytes())
    body = SERVER.format(port=port, text="x" * SIZE, folder=stage.folder)
    file = stage.folder / "origin.conf"
    file.write_text(FRAME.format(folder=stage.folder, name="origin", room=ROOM, body=body))
    command: Command = [program, "-p", stage.folder, "-e", "stderr", "-c", file]
    process = stage.spawn("origin", command, stage.cores.load)
    stage.await_port("origin", process, port)
    return port
