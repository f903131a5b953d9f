"""
Which ticket keys a connection gets: base contexts made before the fork, so that all edges share
theirs.

In:  `compose` makes a ring of each policy in the template; `net.handshake` asks it in an edge.
Out: the base context that a connection is made from.
Spec: RFC 5077 section 5.5, RFC 8446 section 4.6.1.

OpenSSL draws a context's ticket keys once and pyOpenSSL cannot set them. So keys rotate by
going from context to context: the clock says which one is new clients', and a client that
brings a ticket gets the one that made it, known by the key name that the ticket begins with.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from hostedge.tls.contexts import Policy, make_base_context, make_certificate_context
from hostedge.wire.client_hello import Hello, read_hello

EPOCH = 8 * 3600.0  # seconds for which a key makes tickets
KEPT = 3  # epochs for which it opens them: longer than TICKET_LIFETIME
LENGTH = 42  # 14 days of epochs; a key comes again only after these


class Ring:
    """One policy's base contexts; epoch `n` of the clock has context `n % length`."""

    def __init__(self, contexts: list[SSL.Context], key_names: list[bytes]) -> None:
        self._contexts = contexts
        self._places = {name: place for place, name in enumerate(key_names)}

    def context_for(self, hello: Hello, now: float) -> SSL.Context:
        """
        The context whose key made the client's ticket, if that is not too old, else the
        newest. `now` is the time of day, the same for every edge.
        """
        length = len(self._contexts)
        newest = int(now // EPOCH) % length
        place = self._places.get(hello.ticket_key)
        # An old key must not live on in the tickets of somebody who keeps resuming.
        if place is not None and (newest - place) % length < KEPT:
            return self._contexts[place]
        return self._contexts[newest]


def make_ring(policy: Policy, length: int = LENGTH) -> Ring:
    """Make the contexts and learn the name of each one's key; about 1 ms each."""
    certificate = _throwaway_certificate(policy)
    contexts = [make_base_context(policy) for _ in range(length)]
    return Ring(contexts, [_key_name(context, certificate) for context in contexts])


def _key_name(base: SSL.Context, certificate: SSL.Context) -> bytes:
    """
    Learn the name of a context's ticket key: shake hands with it, then read the ticket out of
    the hello with which the session would be resumed.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    client = SSL.Connection(context)
    client.set_connect_state()
    server = SSL.Connection(base)
    server.set_context(certificate)
    server.set_accept_state()
    # hello, answer, finished, tickets
    for connection, other in ((client, server), (server, client), (client, server)):
        _advance(connection, other)
    _advance(server, client)
    try:
        client.recv(1)
    except SSL.WantReadError:
        pass
    session = client.get_session()
    if session is None:
        raise AssertionError("OpenSSL made no session")
    again = SSL.Connection(context)
    again.set_connect_state()
    again.set_session(session)
    try:
        again.do_handshake()
    except SSL.WantReadError:
        pass
    hello = read_hello(again.bio_read(65536))
    if not isinstance(hello, Hello) or not hello.ticket_key:
        raise AssertionError("OpenSSL made no ticket")
    return hello.ticket_key


def _advance(connection: SSL.Connection, other: SSL.Connection) -> None:
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        pass
    try:
        other.bio_write(connection.bio_read(65536))
    except SSL.WantReadError:
        pass


def _throwaway_certificate(policy: Policy) -> SSL.Context:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return make_certificate_context(
        policy,
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        (),
    )
