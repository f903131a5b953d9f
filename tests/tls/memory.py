"""Handshakes in memory, between Python's ssl and the contexts of an edge."""

from __future__ import annotations

import ssl

from OpenSSL import SSL

from tests.tls.certified import certificate_context, client_context


def shake_hands(
    base: SSL.Context,
    name: str = "a.example",
    context: ssl.SSLContext | None = None,
    session: ssl.SSLSession | None = None,
    certificate: SSL.Context | None = certificate_context("a.example"),  # noqa: B008
) -> tuple[ssl.SSLObject, SSL.Connection]:
    """
    Both ends after a handshake; the client has got the server's first word, and its tickets.

    Raises:
        SSL.Error, ssl.SSLError: there is none.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or client_context()).wrap_bio(
        incoming, outgoing, server_hostname=name, session=session
    )
    server = SSL.Connection(base)
    if certificate is not None:
        server.set_context(certificate)
    server.set_accept_state()
    done = False
    while not done:
        try:
            client.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        if outgoing.pending:
            server.bio_write(outgoing.read())
        try:
            server.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            incoming.write(server.bio_read(65536))
        except SSL.WantReadError:
            pass
    server.send(b"!")
    incoming.write(server.bio_read(65536))
    client.read(1)
    return client, server
