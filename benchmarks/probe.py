"""
What a peer answers before it is measured: it must be right to the last byte.

In:  the cases, each with one of these checks; `scale`.
Out: nothing, or why the peer is not measured.
"""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import zlib

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from cryptography import x509

from benchmarks import frames
from benchmarks.origin import SIZE, large_bytes
from benchmarks.peers.kind import ECHO, UPLOAD, Running
from benchmarks.stage import HOST, NotMeasured
from benchmarks.websocket_generator import upgrade
from benchmarks.zone import NAMES, address, label, question, random_labels


class OneName(http.client.HTTPConnection):
    """A connection to 127.0.0.1 that asks for a name, also in the ClientHello."""

    def __init__(self, port: int, name: str, tls: bool, timeout: float = 10.0) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout)
        # the names in the certificate that was shown
        self.certified: list[str] = []
        self._name = name
        self._tls = tls

    def connect(self) -> None:
        super().connect()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            # the certificate was made for this run; its name is looked at by who cares
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            wrapped = context.wrap_socket(self.sock, server_hostname=self._name)
            shown = wrapped.getpeercert(binary_form=True)
            assert shown is not None
            self.certified = names_in(shown)
            self.sock = wrapped

    def get(self, path: str = "/") -> tuple[int, bytes]:
        """Ask once; give status and body."""
        self.request("GET", path, headers={"Host": self._name})
        answer = self.getresponse()
        return answer.status, answer.read()

    def redirect(self, name: str, path: str) -> str | None:
        """Ask for a path of another name on the same connection; give where it leads."""
        self.request("GET", path, headers={"Host": name})
        answer = self.getresponse()
        answer.read()
        return answer.getheader("Location")


def names_in(certificate: bytes) -> list[str]:
    """Give the DNS names of a certificate in DER."""
    extensions = x509.load_der_x509_certificate(certificate).extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


def check_answer(peer: Running, door: str) -> None:
    """
    Ask once for the page that will be asked for.

    Raises:
        NotMeasured: if it is not 200 with the origin's bytes.
    """
    connection = OneName(peer.doors[door], HOST, tls=door == "https")
    try:
        status, body = connection.get()
    except (OSError, http.client.HTTPException) as error:
        raise NotMeasured(f"no answer: {error}") from None
    finally:
        connection.close()
    if status != 200 or body != b"x" * SIZE:
        raise NotMeasured(f"answered {status} with {len(body)} bytes: {body[:80]!r}")


def check_h2(peer: Running) -> None:
    """
    See that it speaks HTTP/2, and ask once.

    Raises:
        NotMeasured: if it does not choose `h2`, or its answer over HTTP/1.1 is wrong.
    """
    check_answer(peer, "https")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    address = ("127.0.0.1", peer.doors["h2"])
    try:
        with (
            socket.create_connection(address, timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as connected,
        ):
            chosen = connected.selected_alpn_protocol()
    except OSError as error:
        raise NotMeasured(f"no handshake: {error}") from None
    if chosen != "h2":
        raise NotMeasured(f"it speaks {chosen} instead of h2")


def check_download(peer: Running) -> None:
    """
    Have the large file once.

    Raises:
        NotMeasured: if it is not the origin's to the last byte.
    """
    status, body = _once(peer, "GET", "/large")
    if status != 200 or body != large_bytes():
        raise NotMeasured(f"answered {status} with {len(body)} bytes that are not the file's")


def check_upload(peer: Running) -> None:
    """
    Send the large file once.

    Raises:
        NotMeasured: if what arrives is something else.
    """
    sent = large_bytes()
    status, body = _once(peer, "POST", f"{UPLOAD}?sum", sent)
    if status != 200 or body != b"%d %08x" % (len(sent), zlib.crc32(sent)):
        raise NotMeasured(f"answered {status}: {body[:80]!r}")


def _once(peer: Running, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    connection = OneName(peer.doors["large"], HOST, tls=False)
    try:
        connection.request(method, path, body, headers={"Host": HOST})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotMeasured(f"no answer: {error}") from None
    finally:
        connection.close()


def check_echo(peer: Running) -> None:
    """
    Have messages of several sizes come back, of random bytes and of text.

    Raises:
        NotMeasured: if one does not.
    """
    draw = random.Random("echo")
    messages = [(frames.BINARY, draw.randbytes(size)) for size in (1, 64, 1000, 16 * 1024)]
    messages.append((frames.TEXT, "as it came: äöü ☃".encode()))
    try:
        with upgrade(peer.doors["websocket"], HOST, ECHO) as connected:
            for opcode, payload in messages:
                connected.sendall(frames.frame(opcode, payload, draw.randbytes(4)))
                found = _receive_message(connected)
                if (found.opcode, found.payload) != (opcode, payload):
                    raise NotMeasured(f"a message of {len(payload)} bytes comes back as another")
            connected.sendall(frames.frame(frames.CLOSE, b"\x03\xe8", draw.randbytes(4)))
            if _receive_message(connected).opcode != frames.CLOSE:
                raise NotMeasured("something comes back for a close frame")
    except (OSError, ValueError) as error:
        raise NotMeasured(f"no echo: {error}") from None


def _receive_message(connected: socket.socket) -> frames.Message:
    data = b""
    while True:
        message = frames.read_message(data)
        if message is not None:
            return message
        more = connected.recv(65536)
        if not more:
            raise ValueError("the connection was closed")
        data += more


def check_zone(peer: Running) -> None:
    """
    Ask for every name of the zone, and for some that it lacks.

    Raises:
        NotMeasured: if one answer is not the zone's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        asking.connect(("127.0.0.1", peer.doors["dns"]))
        try:
            for number in range(NAMES):
                answer = _ask(asking, label(number))
                if (answer.rcode(), _addresses(answer)) != (dns.rcode.NOERROR, [address(number)]):
                    raise NotMeasured(f"a wrong answer for {label(number)}:\n{answer}")
            for missing in random_labels(10, seed=-1):
                answer = _ask(asking, missing)
                kinds = [found.rdtype for found in answer.authority]
                if (answer.rcode(), kinds) != (dns.rcode.NXDOMAIN, [dns.rdatatype.SOA]):
                    raise NotMeasured(f"a wrong answer for a name that is not there:\n{answer}")
        except (OSError, dns.exception.DNSException) as error:
            raise NotMeasured(f"no answer: {error or 'none came'}") from None


def _ask(asking: socket.socket, first: str) -> dns.message.Message:
    asked = question(first)
    asking.send(asked)
    answer = dns.message.from_wire(asking.recv(65536))
    if not dns.message.from_wire(asked).is_response(answer) or not answer.flags & dns.flags.AA:
        raise NotMeasured(f"this is not an authority's answer:\n{answer}")
    return answer


def _addresses(answer: dns.message.Message) -> list[str]:
    return [str(record) for found in answer.answer for record in found]
