"""
BIND: one worker thread, no query log, and whatever else it does by default.

So its answers to resolvers name the zone's servers and their addresses as well
(`minimal-responses no-auth-recursive`); nobody else's do.

In:  `peers.known`.
Out: a running named.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks.peers.kind import Behind, Running, first_line
from benchmarks.stage import Stage, find_program, free_ports
from benchmarks.zone import ZONE

CONFIGURATION = """\
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
    querylog no;
}};
controls {{ }};
zone "{zone}" {{
    type primary;
    file "{file}";
}};
"""


@frozen
class Bind:
    """Debian's BIND."""

    name: str = "bind"

    def start(self, stage: Stage, behind: Behind) -> Running:
        program = find_program("named", "bind9")
        (port,) = free_ports(1)
        folder = stage.folder / "bind"
        folder.mkdir()
        file = folder / "named.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=port, zone=ZONE, file=behind.zone))
        # -g: in the foreground, the log to stderr
        process = stage.spawn(self.name, [program, "-g", "-n", "1", "-c", file], stage.cores.proxy)
        stage.await_port(self.name, process, port)
        version = " ".join(first_line([program, "-V"]).split()[:2])
        return Running(self.name, version, process, {"dns": port}, None)
