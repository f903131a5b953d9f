"""An authority, a store of certificates and hellos for tests of TLS."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from OpenSSL import SSL

from hostedge.routes.hostname import ordered, wildcard_of
from hostedge.store.reader import IssuedCertificate
from hostedge.tls.authority import Authority
from hostedge.tls.contexts import DEFAULT, make_certificate_context


def now() -> float:
    return datetime.now(UTC).timestamp()


@cache
def authority() -> Authority:
    with TemporaryDirectory() as folder:
        return Authority.load_or_create(Path(folder, "ca.pem"), Path(folder, "ca.key"), now)


def issue(name: str) -> IssuedCertificate:
    chain, key, not_after = authority().sign(name)
    return IssuedCertificate(chain.encode(), key.encode(), not_after)


issued = cache(issue)


@cache
def certificate_context(name: str) -> SSL.Context:
    both = issued(name)
    return make_certificate_context(DEFAULT, both.chain, both.key, (b"http/1.1",))


def client_context(
    alpn: tuple[str, ...] = (), version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """A client that trusts the authority and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def hello_of(name: str | None, alpn: tuple[str, ...] = ("http/1.1",)) -> bytes:
    """The hello that OpenSSL sends for this server name."""
    outgoing = ssl.MemoryBIO()
    context = client_context(alpn)
    context.check_hostname = False
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Stored:
    """The store as certificates see it: names that are served, certificates by name."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.certificates: dict[str, IssuedCertificate] = {}
        self.reads = 0

    def served(self, name: str) -> bool:
        return bool(self.names & {name, wildcard_of(name)})

    def gap(self, name: str) -> tuple[str, str]:
        return (ordered(name), ordered(name)) if name in self.names else ("", "\x7f")

    def certificate(self, name: str) -> IssuedCertificate | None:
        self.reads += 1
        return self.certificates.get(name)
