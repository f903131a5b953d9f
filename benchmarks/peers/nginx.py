"""
nginx: one worker, access log through its buffer, kept-alive connections to the origin.

In:  `peers.known`; `origin` takes the frame of its configuration from here.
Out: a running nginx.
"""

from __future__ import annotations

from attrs import frozen

from benchmarks.peers.kind import ECHO, ROOM, UPLOAD, Behind, Running, first_line
from benchmarks.stage import HOST, Command, Stage, find_program, free_ports

FRAME = """\
daemon off;
worker_processes 1;
pid {folder}/{name}.pid;
error_log stderr error;
events {{ worker_connections {room}; }}
http {{
    client_body_temp_path {folder}/{name}.body;
    proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi;
    uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    keepalive_requests 1000000000;
    tcp_nodelay on;
{body}
}}
"""

PROXY = """\
    log_format fields escape=json '{{"time":"$msec","client":"$remote_addr","host":"$host",'
        '"method":"$request_method","path":"$request_uri","status":$status,'
        '"bytes":$body_bytes_sent,"duration":$request_time,"upstream":"$upstream_addr",'
        '"first_byte":"$upstream_header_time","id":"$request_id"}}';
    access_log {access_log} fields buffer=64k flush=1s;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    upstream sink {{
        server 127.0.0.1:{upload_port};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{https} ssl http2;
        server_name {host};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        proxy_http_version 1.1;
        # bodies pass while they come, and never by way of a file
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        location / {{
            proxy_pass http://origin;
            proxy_set_header Connection "";
{fields}
        }}
        location {upload} {{
            proxy_pass http://sink;
            proxy_set_header Connection "";
{fields}
        }}
        location {echo} {{
            proxy_pass http://127.0.0.1:{websocket};
            # a whole message of 16 KiB at a time; by default it would be a fourth
            proxy_buffer_size 32k;
            proxy_buffers 4 32k;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
{fields}
        }}
    }}
"""

FIELDS = """\
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-ID $request_id;
            proxy_set_header Via "1.1 edge";"""


@frozen
class Nginx:
    """Debian's nginx."""

    name: str = "nginx"

    def start(self, stage: Stage, behind: Behind) -> Running:
        program = find_program("nginx", "nginx-light")
        http, https = free_ports(2)
        log = stage.log("nginx-access")
        body = PROXY.format(
            access_log=log,
            origin=behind.http,
            websocket=behind.websocket,
            echo=ECHO,
            upload=UPLOAD,
            upload_port=behind.upload,
            fields=FIELDS,
            http=http,
            https=https,
            host=HOST,
            certificate=stage.certificate,
            key=stage.key,
        )
        file = stage.folder / "nginx.conf"
        file.write_text(FRAME.format(folder=stage.folder, name=self.name, room=ROOM, body=body))
        command: Command = [program, "-p", stage.folder, "-e", "stderr", "-c", file]
        process = stage.spawn(self.name, command, stage.cores.proxy)
        stage.await_port(self.name, process, http)
        version = first_line([program, "-v"]).removeprefix("nginx version: ")
        doors = {"http": http, "https": https, "h2": https, "websocket": http, "large": http}
        return Running(self.name, version, process, doors, log)
