"""
One request to a peer, before it is measured: the answer must be the origin's, byte for byte.

In:  `__main__`, `scale`.
Out: nothing, or why the peer is not measured.
"""

from __future__ import annotations

import http.client
import socket
import ssl

from cryptography import x509

from benchmarks.origin import SIZE
from benchmarks.peers.kind import Running
from benchmarks.stage import HOST, NotMeasured


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
