"""
HAProxy: one thread, its log line written to standard output, which is the access log's file.

In:  `peers.known`.
Out: a running HAProxy.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks.peers.kind import ECHO, ROOM, UPLOAD, Behind, Running, first_line
from benchmarks.stage import Stage, find_program, free_ports

CONFIGURATION = """\
global
    nbthread 1
    maxconn {room}
    log stdout len 1024 format raw local0
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
    mode http
    log global
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    option http-keep-alive
    http-reuse always

frontend bench
    bind 127.0.0.1:{http}
    bind 127.0.0.1:{https} ssl crt {pair} alpn h2,http/1.1
    unique-id-format %{{+X}}o%ci%cp%Ts%rt
    unique-id-header X-Request-ID
    http-request capture req.hdr(Host) len 64
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request set-header Via "1.1 edge"
    option forwardfor
    log-format '{{"time":"%Ts.%ms","client":"%ci","host":"%[capture.req.hdr(0)]",\
"method":"%HM","path":"%HU","status":%ST,"bytes":%B,"duration":%Ta,"upstream":"%si:%sp",\
"first_byte":%Tr,"id":"%ID"}}'
    use_backend sink if {{ path {upload} }}
    use_backend echo if {{ path {echo} }}
    default_backend origin

backend origin
    server origin 127.0.0.1:{origin}

backend sink
    server sink 127.0.0.1:{upload_port}

backend echo
    server echo 127.0.0.1:{websocket}
"""


@frozen
class HAProxy:
    """Debian's HAProxy."""

    name: str = "haproxy"

    def start(self, stage: Stage, behind: Behind) -> Running:
        program = find_program("haproxy", "haproxy")
        http, https = free_ports(2)
        log = stage.log("haproxy-access")
        pair = stage.folder / "haproxy.pem"
        pair.write_bytes(stage.certificate.read_bytes() + stage.key.read_bytes())
        file = stage.folder / "haproxy.cfg"
        file.write_text(
            CONFIGURATION.format(
                http=http,
                https=https,
                pair=pair,
                origin=behind.http,
                websocket=behind.websocket,
                echo=ECHO,
                upload=UPLOAD,
                upload_port=behind.upload,
                room=ROOM,
            )
        )
        process = stage.spawn(
            self.name, [program, "-db", "-f", file], stage.cores.proxy, output=log
        )
        stage.await_port(self.name, process, http)
        version = first_line([program, "-v"]).removesuffix(" - https://haproxy.org/")
        doors = {"http": http, "https": https, "h2": https, "websocket": http, "large": http}
        return Running(self.name, version, process, doors, log)
