"""
hostedge: the whole node with one edge, its site applied by the command line.

Keeper, control and template are counted too, and have the same core as the edge.

In:  `peers.known`.
Out: a running node.
"""

from __future__ import annotations

from importlib.metadata import version

from attrs import frozen

from benchmarks.node import await_up, launch, prepare_node
from benchmarks.peers.kind import Behind, Running
from benchmarks.stage import HOST, Stage

SITE = """\
account: bench
pools:
  - name: origin
    servers: [{{address: "127.0.0.1:{origin}"}}]
    maxconn: 128
domains:
  - name: {host}
    mappings:
      - {{path: /, pool: origin}}
certificates:
  - name: bench
    names: [{host}]
    chain: "file:{certificate}"
    key: "file:{key}"
"""


@frozen
class Hostedge:
    """This checkout's node."""

    name: str = "hostedge"

    def start(self, stage: Stage, behind: Behind) -> Running:
        node = prepare_node(stage, edges=1)
        process = launch(stage, node, stage.cores.proxy)
        await_up(stage, node, process)
        site = stage.folder / "site.yaml"
        site.write_text(
            SITE.format(origin=behind.http, host=HOST, certificate=stage.certificate, key=stage.key)
        )
        node.command(["apply", site], seconds=30)
        return Running(
            self.name,
            f"hostedge {version('hostedge')}",
            process,
            node.doors(),
            node.state / "log/access.log",
        )
