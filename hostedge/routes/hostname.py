"""
The one door for host names: whatever way a name came in, it has one normal form inside.

In:  site files, `Host` fields, server names of TLS hellos; text or bytes.
Out: lower case ASCII text without trailing dot, A-labels for other scripts; everything that
     looks a name up has passed here.
Spec: RFC 1123 section 2.1, RFC 5890 section 2.3.2.1, UTS 46.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

MAX_NAME = 253  # RFC 1035 section 2.3.4, without the length bytes and the root

# Already normal and nothing special: no A-label, and a last label that cannot be a number.
# Nearly every name is this, and needs one match.
_LABEL = r"(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_COMMON = re.compile(rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}")
_LDH = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def parse_hostname(text: str | bytes) -> str:
    """
    Bring a name into normal form. Bytes come from a wire and must be ASCII; text may be in
    any script. Addresses pass as they are written: `192.0.2.1`, `[2001:db8::1]`.

    Raises:
        ValueError: it is no host name; the message says what is wanted.
    """
    if not isinstance(text, str):
        try:
            text = text.decode("ascii")
        except UnicodeDecodeError:
            raise ValueError("want ASCII; other scripts travel as xn-- labels") from None
    if _COMMON.fullmatch(text) and len(text) <= MAX_NAME:
        return text
    return _normalised(text)


def is_address(name: str) -> bool:
    """Say whether a name in normal form is an IP address; TLS never names one."""
    return name.startswith("[") or name.rpartition(".")[2].isdigit()


def wildcard_of(name: str) -> str | None:
    """The wildcard that would cover this name: it stands for exactly one label."""
    _, dot, rest = name.partition(".")
    return f"*.{rest}" if dot else None


def ordered(name: str) -> str:
    """
    The name with its labels turned round: `www.example.org` is `org!example!www`.

    In this order a name stands directly before all names below it, since `!` sorts before
    every character of a label. So made-up names below a domain fall into the few gaps between
    them, and the two neighbours of a name tell which of its ancestors exist.
    """
    return "!".join(name.split(".")[::-1])


def from_ordered(key: str) -> str:
    """The name that stands at this place of the order."""
    return ".".join(key.split("!")[::-1])


def _normalised(text: str) -> str:
    # The longest text in another script that can still be a name is far below this.
    if len(text) > 4 * MAX_NAME:
        raise ValueError(f"want at most {MAX_NAME} characters")
    if text.startswith("["):
        return _v6(text)
    if not text.isascii():
        text = _mapped(text)
    text = text.lower().removesuffix(".")
    if not text:
        raise ValueError("want a host name, not nothing")
    if len(text) > MAX_NAME:
        raise ValueError(f"want at most {MAX_NAME} characters")
    labels = text.split(".")
    for label in labels:
        _check_label(label)
    if labels[-1].isdigit():
        return _v4(text)
    return text


def _mapped(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise ValueError(f"want a host name: {error}") from None


def _check_label(label: str) -> None:
    if not _LDH.fullmatch(label):
        if len(label) > 63:
            raise ValueError(f"want labels of at most 63 characters: {label[:20]}… is longer")
        raise ValueError(
            "want a host name: labels of letters, digits and inner hyphens, "
            f"not {label if label.isprintable() else ascii(label)!r}"
        )
    if label.startswith("xn--"):
        try:
            valid = idna.alabel(idna.ulabel(label)) == label.encode("ascii")
        except (idna.IDNAError, UnicodeError):
            valid = False
        if not valid:
            raise ValueError(f"want a host name: {label} is no valid xn-- label")


def _v4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError("want a host name or an address of four numbers") from None


def _v6(text: str) -> str:
    try:
        if not text.endswith("]") or "%" in text:
            raise AddressValueError
        return f"[{IPv6Address(text[1:-1]).compressed}]"
    except AddressValueError:
        raise ValueError("want an IPv6 address in brackets") from None
