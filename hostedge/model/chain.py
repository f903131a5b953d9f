"""
What a certificate chain in PEM says: the names it is good for, its end, and its key.

In:  `model.parse` for a customer's own certificates, the store when it writes them.
Out: `Chain`; ValueError says what is wrong with it.
Spec: RFC 5280 section 4.2.1.6, RFC 7468.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hostedge.model.names import site_name
from hostedge.routes.hostname import wildcard_of

MAX_CHAIN = 65_536
MAX_CERTIFICATES = 10

_UNREADABLE = (
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)


@frozen
class Chain:
    """Facts of the leaf: its names, its last second, its public key as DER."""

    names: tuple[str, ...]
    not_after: float
    public_key: bytes

    def covers(self, name: str) -> bool:
        """Say whether clients will accept this certificate for the name."""
        return name in self.names or wildcard_of(name) in self.names


# An import reads each chain when a batch of sites is parsed and again when it is written.
@lru_cache(maxsize=4096)
def read_chain(text: str) -> Chain:
    """
    Read a chain, leaf first.

    Raises:
        ValueError: it is no such thing, or names no host.
    """
    if len(text) > MAX_CHAIN:
        raise ValueError(f"want at most {MAX_CHAIN} characters")
    if "PRIVATE KEY" in text:
        raise ValueError("want certificates only: the private key is stored apart")
    try:
        certificates = x509.load_pem_x509_certificates(text.encode("ascii"))
        leaf = certificates[0]
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        public_key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, *_UNREADABLE) as error:
        raise ValueError(f"want certificates in PEM, leaf first: {error}") from None
    if len(certificates) > MAX_CERTIFICATES:
        raise ValueError(f"want at most {MAX_CERTIFICATES} certificates")
    names = map(site_name, alternative.value.get_values_for_type(x509.DNSName))
    chain = Chain(tuple(dict.fromkeys(names)), leaf.not_valid_after_utc.timestamp(), public_key)
    if not chain.names:
        raise ValueError("want a certificate that is made out to host names")
    return chain


@lru_cache(maxsize=1024)
def public_key_of(private_key: str) -> bytes:
    """
    The public half of a private key in PEM, as DER.

    Raises:
        ValueError: it is no unencrypted private key.
    """
    try:
        # Validating an RSA key takes 50 ms and guards signers against their own key; here the
        # comparison with the certificate's public key is what is asked for.
        key = load_pem_private_key(
            private_key.encode("ascii"), None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("want an unencrypted private key in PEM") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
