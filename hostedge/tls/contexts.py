"""
What a TLS connection of a client may use, as OpenSSL contexts.

In:  `tls.template` makes base contexts, `tls.certificates` the ones that carry a certificate,
     `net.handshake` one that watches what comes after the handshake.
Out: contexts that are never changed again.
Spec: Mozilla's server side TLS guidelines 5.8, intermediate and modern.

A connection is made from its policy's base context: versions, options, modes and ticket keys
are taken from there once. Switched to a certificate context before its first byte is read, it
takes from that one the certificate, the ALPN answer and the cipher suites of TLS 1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL
from OpenSSL._util import lib

# seconds for which a session can be resumed
TICKET_LIFETIME = 12 * 3600

# No stateful sessions: they would be one edge's alone. Renegotiation and compression are
# attacks by now. The suites stay in the client's order: it knows if its AES is fast.
_OPTIONS = SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION

# OpenSSL's state machine has taken or sent a message, of which HANDSHAKE_START says nothing
_EVENT = SSL.SSL_CB_EXIT | SSL.SSL_CB_ALERT


@frozen
class Policy:
    """What clients of one kind may use; sessions of one policy are never resumed in another."""

    name: str
    oldest: int
    # of TLS 1.2; those of TLS 1.3 are all good
    ciphers: bytes


DEFAULT = Policy(
    "default",
    SSL.TLS1_2_VERSION,
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
)
MODERN = Policy("modern", SSL.TLS1_3_VERSION, DEFAULT.ciphers)
POLICIES = {policy.name: policy for policy in (DEFAULT, MODERN)}


def make_base_context(policy: Policy) -> SSL.Context:
    """Make a context with ticket keys of its own; without a certificate it serves nobody."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(policy.oldest)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_cipher_list(policy.ciphers)
    context.set_options(_OPTIONS)
    # an idle connection gives its buffers back: 73 KiB instead of 113 for both ends
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(policy.name.encode())
    context.set_timeout(TICKET_LIFETIME)
    return context


def make_certificate_context(
    policy: Policy, chain: bytes, key: bytes, protocols: Sequence[bytes]
) -> SSL.Context:
    """
    Make the context that carries a certificate, both PEM, and answers ALPN with the first of
    `protocols` that the client knows.

    Raises:
        ValueError: they cannot be read, or do not fit together.
    """
    leaf, *issuers = load_pem_x509_certificates(chain)
    private_key = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private_key, EllipticCurvePrivateKey | RSAPrivateKey):
        raise ValueError("want an EC or RSA key")
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_cipher_list(policy.ciphers)
    context.set_session_id(policy.name.encode())
    try:
        context.use_certificate(leaf)
        for issuer in issuers:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(private_key)
        context.check_privatekey()
    except SSL.Error as error:
        raise ValueError(f"certificate and key: {error}") from None

    def select(_: SSL.Connection, offered: list[bytes]) -> bytes:
        # one is there: a hello that offers only others is refused before a handshake
        return next(each for each in protocols if each in offered)

    context.set_alpn_select_callback(select)
    return context


def make_watching_context(happened: Callable[[SSL.Connection], None]) -> SSL.Context:
    """
    Make a context for connections whose handshake is over: `happened` is called for whatever
    is not data, a key update, an alert or a try to renegotiate.

    During a handshake the callback would be called some forty times, for nothing.
    """

    def inform(connection: SSL.Connection, where: int, _: int) -> None:
        if where & _EVENT:
            happened(connection)

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_info_callback(inform)
    return context


def is_resumed(connection: SSL.Connection) -> bool:
    """Say whether the handshake went by a ticket; pyOpenSSL binds this without offering it."""
    return bool(lib.SSL_session_reused(connection._ssl))
