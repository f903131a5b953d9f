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
from benchmarks.peers.kind import ECHO, UPLOAD, Behind, Running
from benchmarks.stage import HOST, Stage
from benchmarks.zone import ZONE, site_records

SITE = """\
account: bench
pools:
  - name: origin
    servers: [{{address: "127.0.0.1:{origin}"}}]
    maxconn: 128
  - name: sink
    servers: [{{address: "127.0.0.1:{upload_port}"}}]
    maxconn: 128
  - name: echo
    servers: [{{address: "127.0.0.1:{websocket}"}}]
    maxconn: 128
domains:
  - name: {host}
    mappings:
      - {{path: /, pool: origin}}
      - {{path: {upload}, pool: sink}}
      - {{path: {echo}, pool: echo, websocket: true}}
certificates:
  - name: bench
    names: [{host}]
    chain: "file:{certificate}"
    key: "file:{key}"
zones:
  - name: {zone}
    records:
{records}"""


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
            SITE.format(
                origin=behind.http,
                websocket=behind.websocket,
                echo=ECHO,
                upload=UPLOAD,
                upload_port=behind.upload,
                host=HOST,
                certificate=stage.certificate,
                key=stage.key,
                zone=ZONE,
                records=site_records(),
            )
        )
        node.command(["apply", site], seconds=30)
        bound = node.doors()
        doors = {
            "http": bound["http"],
            "https": bound["https"],
            "h2": bound["https"],
            "websocket": bound["http"],
            "large": bound["http"],
            "dns": bound["dns-udp"],
        }
        log = node.state / "log/access.log"
        return Running(self.name, f"hostedge {version('hostedge')}", process, doors, log)
