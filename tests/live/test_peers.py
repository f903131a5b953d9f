"""
The same requests through nginx and through a node: what arrives behind them is alike.

Bodies pass as they come, or are kept until they are whole (`stream` and `spool` here, buffering in
nginx); clients speak HTTP/1 or HTTP/2. Where what arrives is not alike, `ALLOWED` says what differs
and why; what is not in there fails, and so does what is in there and no longer differs. What a node
sends on is read alike by h11, llhttp and gunicorn.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import h2.config
import h2.connection
import h2.events
from attrs import frozen
from twisted.trial.unittest import TestCase

from tests.http.casefile import read_cases
from tests.http.parsers import Facts, check_parsers, in_order
from tests.live.node import Node, wait_for
from tests.live.recorder import Arrived, Recorder
from tests.tls.certified import issue

# one name for each way to treat bodies
NAMES = {"stream": "peers.example", "spool": "spool.peers.example"}
NAME = NAMES["stream"]
PATIENCE = 10
RANDOM = 200

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/chain.pem;
    ssl_certificate_key {folder}/key.pem;
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    {servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        server_name {name};
        proxy_request_buffering {buffering};
        location / {{ proxy_pass http://127.0.0.1:{behind}; }}
    }}
"""

# what a proxy says for itself; how it frames a body is compared by its own
OWN = frozenset(
    b"host connection content-length transfer-encoding via cdn-loop x-request-id traceparent "
    b"x-real-ip x-forwarded-for x-forwarded-proto x-forwarded-port x-forwarded-host".split()
)

# what may differ, and why
_ALWAYS = {
    "field trailer": "announces fields that nobody passes on; nginx does",
    "field proxy-authorization": "credentials for this hop (RFC 9110 section 11.7.2)",
    "field forwarded": "a client's claim about itself; nobody may believe it behind us",
    "field x-original-url": "a client's claim about itself",
    "field proxy": "would become HTTP_PROXY in CGI (CVE-2016-5385)",
    "target normal": "dot segments are resolved before a mapping is chosen, and sent so",
    "framing empty-post": "POST without a body has Content-Length: 0 (RFC 9110 section 8.6)",
}
_HTTP1 = {
    **_ALWAYS,
    "field proxy-connection": "a mistake of old clients, meant for this hop; nginx passes it on",
    "field x-nominated": "limited to this hop by Connection (RFC 9110 section 7.6.1)",
    "framing empty": "Content-Length: 0 says nothing where no body is expected; nginx passes it on",
}
ALLOWED = {
    ("http/1.1", "stream"): {
        **_HTTP1,
        "framing": "a body that comes in chunks goes on in chunks; nginx counts a small one",
    },
    ("http/1.1", "spool"): _HTTP1,
    ("h2", "stream"): {
        **_ALWAYS,
        "framing": "a body that has come along with its head is counted; nginx sends it in chunks",
    },
    ("h2", "spool"): _ALWAYS,
}


@frozen
class Asked:
    """One request as a client of HTTP/1.1 sends it; for HTTP/2 it is made of the same facts."""

    method: str
    target: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunks: tuple[int, ...] = ()
    version: str = "1.1"

    def raw(self, name: str) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/{self.version}", f"Host: {name}"]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.body is None:
            return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if not self.chunks:
            lines.append(f"Content-Length: {len(self.body)}")
            return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body
        lines.append("Transfer-Encoding: chunked")
        raw, at = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), 0
        for size in (*self.chunks, len(self.body)):
            piece = self.body[at : at + size]
            at += len(piece)
            if piece:
                raw += b"%x\r\n%b\r\n" % (len(piece), piece)
        return raw + b"0\r\n\r\n"


METHODS = (
    *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "REPORT", "MOVE"),
    *("MKCOL", "LOCK", "SEARCH"),
)
TARGETS = (
    *("/", "/a/b/c", "/a//b", "/a/?", "/?a=b&c=d", "/a?b?c", "/%20x", "/%2fx", "/a%2Fb", "/~u/-._"),
    *("/a;b=c", "/a,b", "/!$&'()*+,;=:@", "/x?%41=%zz", "/x?q=a/../b", "/%E4%BD%A0", "/a.b/c..d"),
    *("/index.php/x", "/a/./b", "/a/../b", "/" + "a" * 2000, "/?" + "q" * 4000, "/a%2eb", "/%7Ex"),
)
FIELDS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("User-Agent", "x/1 (y; z)"), ("Accept", "*/*"), ("Accept-Language", "de,en;q=0.5")),
    (("X-A", "1"), ("x-a", "2"), ("X-a", "3"), ("X-B", ""), ("X-A", "4")),
    (("Cookie", "a=b; c=d"), ("X-Between", "1"), ("Cookie", "e=f")),
    (("Authorization", "Basic YTpi"), ("If-None-Match", '"x", W/"y"')),
    (("Range", "bytes=0-1,2-3"), ("If-Range", '"x"'), ("Cache-Control", "no-cache")),
    (("X-Blanks", " \t a  b \t "), ("X-Latin", "gr\xfc\xdfe"), ("X-Quote", '"\\""')),
    (("UPPER-CASE", "1"), ("mIxEd-cAsE", "2"), ("lower", "3"), ("X-1", "4"), ("1-X", "5")),
    (("X_Under", "dropped"), ("X.Dot", "dropped"), ("X-Good", "kept")),
    (("Accept-Encoding", "gzip, br"), ("Accept-Encoding", "identity;q=0"), ("Origin", "null")),
    (
        ("Referer", "http://elsewhere.example/?a=b"),
        ("DNT", "1"),
        ("Upgrade-Insecure-Requests", "1"),
    ),
    (("TE", "trailers"), ("X-Good", "kept")),
    (("Keep-Alive", "timeout=5"), ("X-Good", "kept")),
    (("Proxy-Connection", "keep-alive"), ("X-Good", "kept")),
    (("Proxy-Authorization", "Basic x"), ("X-Good", "kept")),
    (("Connection", "X-Nominated"), ("X-Nominated", "1"), ("X-Good", "kept")),
    (("Connection", "close"), ("X-Good", "kept")),
    (("Forwarded", "for=1.2.3.4"), ("X-Original-URL", "/admin"), ("Proxy", "http://evil")),
    (("X-Forwarded-For", "1.2.3.4"), ("X-Real-IP", "1.2.3.4"), ("X-Forwarded-Proto", "https")),
    (("Content-Type", "text/plain; charset=utf-8"), ("Content-Language", "de")),
    (("Trailer", "X-Sum"), ("X-Good", "kept")),
    (("Priority", "u=1, i"), ("Sec-Fetch-Mode", "navigate"), ("Sec-CH-UA", '"x";v="1"')),
    (("Max-Forwards", "5"), ("From", "a@b.example"), ("Warning", '199 - "x"')),
    (("X-Long", "v" * 7000),),
    tuple((f"X-Many-{number}", str(number)) for number in range(60)),
)
BODIES: tuple[tuple[bytes | None, tuple[int, ...]], ...] = (
    (b"", ()),
    (b"a=b&c=d", ()),
    (bytes(range(256)) * 40, ()),
    (b"x" * 200_000, ()),
    (b"GET / HTTP/1.1\r\nHost: other\r\n\r\n", ()),
    (b"a=b&c=d", (1, 2)),
    (b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", (5,)),
    (b"y" * 100_000, (1, 70_000)),
)


def requests() -> Iterator[Asked]:
    """Every method, target, set of fields and body once, then mixed at random."""
    for method in METHODS:
        yield Asked(method, "/")
        yield (
            Asked(method, "/with/body", (), b"body")
            if method not in ("GET", "HEAD")
            else Asked(method, "/again")
        )
    for target in TARGETS:
        yield Asked("GET", target)
    for fields in FIELDS:
        yield Asked("GET", "/fields", fields)
    for body, chunks in BODIES:
        yield Asked("POST", "/body", (), body, chunks)
        yield Asked("PUT", "/body", (("Expect", "100-continue"),), body, chunks)
    yield Asked("GET", "/old", (("X-Good", "kept"),), version="1.0")
    yield Asked("POST", "/old", (), b"abc", version="1.0")
    draw = random.Random("peers")
    for _ in range(RANDOM):
        method = draw.choice(METHODS)
        body, chunks = draw.choice(BODIES)
        if method in ("GET", "HEAD"):
            body, chunks = None, ()
        fields = tuple(field for chosen in draw.sample(FIELDS[:23], 3) for field in chosen)
        yield Asked(method, draw.choice(TARGETS), fields, body, chunks)


class PeerTests(TestCase):
    """One nginx, one node, and a recorder behind each."""

    def setUp(self) -> None:
        self.theirs, self.ours = Recorder(), Recorder()
        self.addCleanup(self.theirs.close)
        self.addCleanup(self.ours.close)
        self._start_nginx()
        # whatever waits for more gets none
        settings = "[limits]\nheader_timeout = 1\nbody_timeout = 1\nkeepalive_timeout = 1\n"
        self.node = node = Node(edges=1, settings=settings)
        self.addCleanup(node.stop)
        node.start()
        node.apply(
            {
                "account": "one",
                "pools": [{"name": "rec", "servers": [{"address": f"127.0.0.1:{self.ours.port}"}]}],
                "domains": [
                    {"name": name, "mappings": [{"path": "/", "pool": "rec", "buffer": buffer}]}
                    for buffer, name in NAMES.items()
                ],
            }
        )
        self.doors = {
            "http/1.1": (self.plain, node.address("http")[1]),
            "h2": (self.tls, node.address("https")[1]),
        }

    def _start_nginx(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="peers-"))
        self.addCleanup(shutil.rmtree, folder, True)
        # its worker may be another user, and keeps bodies below
        folder.chmod(0o711)
        issued = issue(NAME)
        (folder / "chain.pem").write_bytes(issued.chain)
        (folder / "key.pem").write_bytes(issued.key)
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as two,
        ):
            self.plain, self.tls = one.getsockname()[1], two.getsockname()[1]
        file = folder / "nginx.conf"
        servers = "".join(
            SERVER.format(
                plain=self.plain,
                tls=self.tls,
                name=name,
                behind=self.theirs.port,
                buffering="on" if buffer == "spool" else "off",
            )
            for buffer, name in NAMES.items()
        )
        file.write_text(NGINX.format(folder=folder, servers=servers))
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
        assert program is not None
        nginx = subprocess.Popen([program, "-p", folder, "-e", "stderr", "-c", file])
        self.addCleanup(nginx.wait, PATIENCE)
        self.addCleanup(nginx.terminate)

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.tls)) == 0

        wait_for("nginx listens", listens)

    def compare(
        self,
        asked: Sequence[Asked],
        clients: Sequence[Callable[[Asked], int]],
        allowed: Mapping[str, str],
    ) -> None:
        """Ask through both, and see that nothing differs but what may, and that all of it does."""
        arrivals = []
        for each in asked:
            self.assertEqual([client(each) for client in clients], [200, 200], each)
            (theirs,), (ours,) = self.theirs.take(), self.ours.take()
            arrivals.append((theirs, ours))
            check_parsers(ours.raw, facts(ours))
        seen: dict[str, str] = {}
        for each, (theirs, ours) in zip(asked, arrivals, strict=True):
            for label in differences(theirs, ours):
                seen.setdefault(
                    label, f"{each}\n  nginx {theirs.raw[:600]!r}\n  ours {ours.raw[:600]!r}"
                )
        unlisted = {label: seen[label] for label in seen if label not in allowed}
        self.assertEqual(unlisted, {}, "\n".join(f"{k}: {v}" for k, v in unlisted.items()))
        self.assertEqual(set(seen), set(allowed))

    def over_http1(self, buffer: str) -> None:
        clients = [partial(ask, port, NAMES[buffer]) for port in self.doors["http/1.1"]]
        self.compare(list(requests()), clients, ALLOWED["http/1.1", buffer])

    def over_http2(self, buffer: str) -> None:
        asked = [each for each in requests() if speaks_h2(each)]
        self.assertGreater(len(asked), 150)
        clients = [H2Client(port, NAMES[buffer]) for port in self.doors["h2"]]
        for client in clients:
            self.addCleanup(client.socket.close)
        self.compare(asked, [client.ask for client in clients], ALLOWED["h2", buffer])

    def test_http1(self) -> None:
        """A few hundred requests of HTTP/1, whose bodies pass as they come."""
        self.over_http1("stream")

    def test_http1Spooled(self) -> None:
        """The same, sent on once they are whole."""
        self.over_http1("spool")

    def test_http2(self) -> None:
        """The same over HTTP/2, as far as it has words for it."""
        self.over_http2("stream")

    def test_http2Spooled(self) -> None:
        """The same, sent on once they are whole."""
        self.over_http2("spool")

    def test_cases(self) -> None:
        """Whatever gets through of malformed, odd and borderline requests has one meaning."""
        clients = []
        # a client that reads only later cannot send more
        for case in (case for case in read_cases("http") if len(case.asked) < 65536):
            client = socket.create_connection(("127.0.0.1", self.doors["http/1.1"][1]), PATIENCE)
            self.addCleanup(client.close)
            client.sendall(case.asked.replace(b"a.test", NAME.encode()))
            clients.append(client)
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                while client.recv(65536):
                    pass
        arrived = self.ours.take()
        for each in arrived:
            check_parsers(each.raw, facts(each))
        self.assertGreater(len(arrived), 40)
        self.assertEqual(self.ours.faults, [])


# what HTTP/2 has no words for, and must not carry
NOT_IN_H2 = frozenset(("connection", "keep-alive", "proxy-connection", "expect"))


def speaks_h2(asked: Asked) -> bool:
    names = {name.lower() for name, _ in asked.fields}
    return asked.version == "1.1" and not names & NOT_IN_H2


def ask(port: int, name: str, asked: Asked) -> int:
    """Send it over HTTP/1 and give the status of the final answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connected:
        connected.sendall(asked.raw(name))
        return answered(connected, asked.method)


class H2Client:
    """One connection, one request at a time."""

    def __init__(self, port: int, name: str) -> None:
        self.name = name
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket = context.wrap_socket(raw, server_hostname=name)
        settings = h2.config.H2Configuration(header_encoding=None)
        self.connection = h2.connection.H2Connection(settings)
        self.connection.initiate_connection()

    def ask(self, asked: Asked) -> int:
        """Send it and give the status of its answer."""
        stream = self.connection.get_next_available_stream_id()
        head = [(":method", asked.method), (":scheme", "https"), (":path", asked.target)]
        head.append((":authority", self.name))
        head += [(name.lower(), value.strip(" \t")) for name, value in asked.fields]
        body = asked.body or b""
        fields = [(name.encode(), value.encode("latin-1")) for name, value in head]
        self.connection.send_headers(stream, fields, end_stream=not body)
        status = at = 0
        while True:
            while body and at < len(body):
                room = self.connection.local_flow_control_window(stream)
                piece = body[at : at + min(room, self.connection.max_outbound_frame_size)]
                if not piece:
                    break
                at += len(piece)
                self.connection.send_data(stream, piece, end_stream=at == len(body))
            self.socket.sendall(self.connection.data_to_send())
            data = self.socket.recv(65536)
            assert data, "the connection was closed"
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.StreamEnded):
                    return status
                assert not isinstance(event, h2.events.StreamReset), event


def answered(connected: socket.socket, method: str) -> int:
    """Read answers up to the final one, to its end."""
    response = http.client.HTTPResponse(connected, method=method)
    response.begin()
    response.read()
    return response.status


def differences(theirs: Arrived, ours: Arrived) -> Iterator[str]:
    """Say what differs, a word each."""
    if theirs.method != ours.method:
        yield "method"
    if theirs.target != ours.target:
        yield "target normal" if b"/." in theirs.target else "target"
    if theirs.body != ours.body:
        yield "body"
    if theirs.framing != ours.framing:
        kind = " empty-post" if ours.framing == "length" else " empty"
        yield f"framing{'' if ours.body else kind}"
    one, other = (
        [field for field in each.fields if field[0].lower() not in OWN] for each in (theirs, ours)
    )
    missing = {name.lower() for name, _ in one} ^ {name.lower() for name, _ in other}
    for name in sorted(missing):
        yield f"field {name.decode()}"
    one, other = (
        [field for field in each if field[0].lower() not in missing] for each in (one, other)
    )
    if one != other:
        yield "order" if sorted(one) == sorted(other) else "fields"


def facts(arrived: Arrived) -> Facts:
    return arrived.method, arrived.target, in_order(arrived.fields), arrived.body
