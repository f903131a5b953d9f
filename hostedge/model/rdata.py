"""
Record data of every type in its one normal form, as dnspython reads and prints it.

In:  `model.records`, with data that is not written as plainly as can be.
Out: text that reads back the same; ValueError says what is wanted.
Spec: RFC 1035 section 5.1, RFC 3597 section 5, RFC 9460 section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address

from dns.exception import DNSException
from dns.name import Name, from_text
from dns.rdata import Rdata
from dns.rdata import from_text as data_from_text
from dns.rdataclass import IN
from dns.rdatatype import from_text as type_from_text
from dns.rdtypes.ANY.TXT import TXT
from dns.tokenizer import Tokenizer

from hostedge.model.names import shown

MAX_STRING = 255  # RFC 1035 section 3.3.14

EXAMPLES = {
    "A": "192.0.2.1",
    "AAAA": "2001:db8::1",
    "CNAME": "www.example.org.",
    "MX": "10 mail.example.org.",
    "TXT": '"v=spf1 -all"',
    "NS": "ns1.example.org.",
    "SOA": "ns1.example.org. hostmaster.example.org. 1 7200 900 1209600 300",
    "SRV": "0 5 5060 sip.example.org.",
    "CAA": '0 issue "ca.example.org"',
    "TLSA": "3 1 1 0f1e…",
    "SVCB": "1 . alpn=h2",
    "HTTPS": "1 . alpn=h2",
    "PTR": "www.example.org.",
    "DS": "12345 13 2 0f1e…",
}
# Names in these are compared without case (RFC 4034 section 6.2), and nothing else is in them.
_FOLDED = frozenset({"CNAME", "MX", "NS", "SOA", "SRV", "PTR"})


def normal_data(kind: str, text: str, zone: str) -> str:
    """
    Read data, relative names below the zone.

    Raises:
        ValueError: it is no data of this type.
    """
    try:
        if kind == "TXT" and not text.startswith("\\#"):
            made: Rdata = TXT(IN, type_from_text(kind), [*_strings(text)])
        else:
            if not text.isascii():
                raise ValueError("other scripts are written as xn-- labels")
            tokens = Tokenizer(text.strip())
            origin = _absolute(zone)
            made = data_from_text(IN, kind, tokens, origin=origin, relativize=False)
            if not tokens.get().is_eof():
                raise ValueError("this is more than one record")
        return printed(kind, made)
    except (DNSException, ValueError) as error:
        problem = f"want {kind} data such as {EXAMPLES[kind]}, not {shown(text)}"
        raise ValueError(f"{problem}: {error}" if str(error) else problem) from None


def printed(kind: str, made: Rdata) -> str:
    """The one text of this data."""
    text = made.to_text()
    if kind == "AAAA":
        return IPv6Address(text).compressed
    return text.lower() if kind in _FOLDED else text


def wire_length(kind: str, text: str) -> int:
    """How many bytes this data, in normal form, takes in a message."""
    return len(data_from_text(IN, kind, text).to_wire() or b"")


def _absolute(zone: str) -> Name:
    return from_text(f"{zone}.")


def _strings(text: str) -> Iterator[bytes]:
    """The strings of a text, those that are too long for one in pieces."""
    tokens = Tokenizer(text.strip())
    words = []
    while not (token := tokens.get()).is_eol_or_eof():
        words.append(token)
    if not words or not tokens.get().is_eof():
        raise ValueError("want one line")
    # "v=spf1 -all" loses its quotes in YAML, and its space in a zone file.
    if len(words) > 1 and not all(word.is_quoted_string() for word in words):
        raise ValueError("want quotes of its own around a text with spaces: '\"…\"'")
    for word in words:
        yield from _pieces(word.unescape_to_bytes().value)


def _pieces(value: str | bytes) -> Iterable[bytes]:
    whole = value.encode() if isinstance(value, str) else value
    starts = range(0, max(len(whole), 1), MAX_STRING)
    return [whole[start : start + MAX_STRING] for start in starts]
