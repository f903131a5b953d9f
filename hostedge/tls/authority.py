"""
The node's own certificate authority, for names that nobody else has given a certificate for.

In:  control, once at its start, and for each name that an edge asks a certificate for.
Out: chain and key as PEM; the authority's certificate as a file that browsers can be given.
Spec: RFC 5280; CA/Browser Forum baseline requirements 7.1.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hostedge.errors import ConfigError
from hostedge.routes.hostname import is_address

VALID = timedelta(days=90)
AUTHORITY_VALID = timedelta(days=3650)
BACKDATE = timedelta(hours=1)  # for clients whose clock is late
MAX_COMMON_NAME = 64  # RFC 5280 appendix A, ub-common-name

Clock = Callable[[], float]


class Signed(NamedTuple):
    """A certificate with its private key, both PEM, and its last second."""

    chain: str
    key: str
    not_after: float


class Authority:
    """One key, P-256, and its certificate; it signs hosts and no further authorities."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, clock: Clock
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._key_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
            certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        )

    @classmethod
    def load_or_create(cls, certificate: Path, key: Path, clock: Clock) -> Authority:
        """
        Take the authority from its two files, or make both when neither is there. The key is
        written first: what a power cut leaves behind is then refused, not served.

        Raises:
            ConfigError: one is there without the other, or they cannot be used.
        """
        if not certificate.exists() and not key.exists():
            private = ec.generate_private_key(ec.SECP256R1())
            made = _self_signed(private, _moment(clock()))
            _write(key, _key_pem(private), 0o600)
            _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)
        return cls(*_read(certificate, key, clock()), clock)

    @property
    def certificate(self) -> str:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, name: str) -> Signed:
        """Make a key and a certificate for a host name, a wildcard or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key()
        now = _moment(self._clock())
        until = min(now + VALID, self._certificate.not_valid_after_utc)
        subject = []
        if len(name) <= MAX_COMMON_NAME:
            subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self._certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATE)
            .not_valid_after(until)
            # without a subject, this is the name
            .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=not subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(self._key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        # The authority itself is not sent: who trusts it, has it.
        chain = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return Signed(chain, _key_pem(key).decode(), until.timestamp())


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    # Two authorities of one name but different keys confuse clients that keep old ones.
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hostedge"),
            x509.NameAttribute(
                NameOID.COMMON_NAME, f"hostedge local CA {identifier.digest[:4].hex()}"
            ),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _read(
    certificate: Path, key: Path, time: float
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(str(key), f"want the local CA's private key: {error}") from None
    try:
        public = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(str(certificate), f"want the local CA's certificate: {error}") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ConfigError(str(key), "want an EC key")
    if public.public_key() != private.public_key():
        raise ConfigError(str(certificate), f"does not belong to {key}")
    try:
        public.verify_directly_issued_by(public)
        public.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (ValueError, InvalidSignature, x509.ExtensionNotFound):
        raise ConfigError(str(certificate), "is no certificate that hostedge made") from None
    if public.not_valid_after_utc <= _moment(time):
        raise ConfigError(
            str(certificate), f"has expired; remove it and {key} to have a new one made"
        )
    return public, private


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is there in full or not at all, also after a power cut."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)
    os.replace(partial, path)


def _usage(
    digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    if is_address(name):
        return x509.IPAddress(ip_address(name.strip("[]")))
    return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(int(time), UTC)
