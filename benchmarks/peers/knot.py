"""
Knot: one thread for UDP; like all others but BIND it answers with what was asked for only.

In:  `peers.known`.
Out: a running knotd.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks.peers.kind import Behind, Running, first_line
from benchmarks.stage import Stage, find_program, free_ports
from benchmarks.zone import ZONE

CONFIGURATION = """\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
zone:
  - domain: {zone}
    file: "{file}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
"""


@frozen
class Knot:
    """Debian's Knot."""

    name: str = "knot"

    def start(self, stage: Stage, behind: Behind) -> Running:
        program = find_program("knotd", "knot")
        (port,) = free_ports(1)
        folder = stage.folder / "knot"
        folder.mkdir()
        file = folder / "knot.conf"
        file.write_text(CONFIGURATION.format(folder=folder, port=port, zone=ZONE, file=behind.zone))
        process = stage.spawn(self.name, [program, "-c", file], stage.cores.proxy)
        stage.await_port(self.name, process, port)
        version = first_line([program, "--version"]).replace("knotd (Knot DNS), version", "Knot")
        return Running(self.name, version, process, {"dns": port}, None)
