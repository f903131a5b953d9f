"""
Caddy: fields that the others do not write are filtered out of its log; it cannot add upstream.

In:  `peers.known`.
Out: a running Caddy; Go takes one thread of work from the one core that it may use.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks.peers.kind import ECHO, UPLOAD, Behind, Running, first_line
from benchmarks.stage import Command, Stage, find_program, free_ports

CONFIGURATION = """\
{{
    admin off
    auto_https off
    storage file_system {folder}/caddy
    log {{
        level ERROR
    }}
    servers {{
        protocols h1 h2
    }}
}}

(edge) {{
    bind 127.0.0.1
    log {{
        output file {access_log} {{
            roll_disabled
        }}
        format filter {{
            wrap json
            fields {{
                request>headers delete
                request>tls delete
                resp_headers delete
                user_id delete
                logger delete
            }}
        }}
    }}
    reverse_proxy {echo} 127.0.0.1:{websocket} {{
        header_up X-Request-ID {{http.request.uuid}}
        header_up Via "1.1 edge"
    }}
    reverse_proxy {upload} 127.0.0.1:{upload_port} {{
        header_up X-Request-ID {{http.request.uuid}}
        header_up Via "1.1 edge"
    }}
    reverse_proxy 127.0.0.1:{origin} {{
        header_up X-Request-ID {{http.request.uuid}}
        header_up Via "1.1 edge"
        transport http {{
            compression off
            keepalive 300s
            keepalive_idle_conns 128
            keepalive_idle_conns_per_host 128
        }}
    }}
}}

http://:{http} {{
    import edge
}}

https://:{https} {{
    tls {certificate} {key}
    import edge
}}
"""


@frozen
class Caddy:
    """Debian's Caddy."""

    name: str = "caddy"

    def start(self, stage: Stage, behind: Behind) -> Running:
        program = find_program("caddy", "caddy")
        http, https = free_ports(2)
        log = stage.log("caddy-access")
        file = stage.folder / "Caddyfile"
        file.write_text(
            CONFIGURATION.format(
                folder=stage.folder,
                access_log=log,
                origin=behind.http,
                websocket=behind.websocket,
                echo=ECHO,
                upload=UPLOAD,
                upload_port=behind.upload,
                http=http,
                https=https,
                certificate=stage.certificate,
                key=stage.key,
            )
        )
        command: Command = [program, "run", "--adapter", "caddyfile", "--config", file]
        process = stage.spawn(
            self.name, command, stage.cores.proxy, environment={"HOME": str(stage.folder)}
        )
        stage.await_port(self.name, process, http)
        version = "Caddy " + first_line([program, "version"]).split()[0]
        doors = {"http": http, "https": https, "h2": https, "websocket": http, "large": http}
        return Running(self.name, version, process, doors, log)
