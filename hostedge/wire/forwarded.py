"""
What proxies say about a request: who has sent it, how, and under which name.

In:  the server protocols, for requests of peers that the operator trusts; of no others.
     `http.onward_head`, where a server behind wants to be told in this way.
Out: `Told`; what is not said, or not validly, is empty. What this node says in its turn.
Spec: RFC 7239, W3C Trace Context level 1; the `X-` fields by the custom of proxies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address

from attrs import frozen

from hostedge.wire.networks import Networks

# more hops than any chain has; bounds what one request costs
MAX_HOPS = 32
# ids that end below this, 3 of 256, belong to sampled traces
SAMPLED = "03"

_PAIR = r'[!#$%&\'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&\'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*+")'
# no blank can be read in two ways: 16 KiB of them would be seconds
_ELEMENT = re.compile(rf"[ \t]*+({_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*)?[ \t]*(?:,|$)")
_SAID = re.compile(r"([^=;]+)=([^;\"]+|\"(?:[^\"\\]|\\.)*+\")[ \t]*(?:;[ \t]*|$)")
_ID = re.compile(rb"[0-9A-Za-z+/=._~-]{1,128}").fullmatch
# of a later version, which may have more, what stands in this one is understood
_TRACE = re.compile(
    rb"(?!ff|00.{53}-)[0-9a-f]{2}"
    rb"(-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?"
).fullmatch
_READ = frozenset(
    (b"x-forwarded-for", b"forwarded", b"x-forwarded-proto", b"x-forwarded-port")
    + (b"x-request-id", b"traceparent", b"tracestate")
)


@frozen
class Told:
    """What a trusted peer says; `client` is at least the peer itself."""

    # an address as text
    client: str
    # the proxies that the request has passed since, the client's own first
    hops: tuple[str, ...] = ()
    # `http`, `https` or empty
    scheme: bytes = b""
    # that the client has connected to; 0: not said
    port: int = 0
    request_id: bytes = b""
    traceparent: bytes = b""
    tracestate: bytes = b""


def read_told(
    peer: str, fields: Sequence[tuple[bytes, bytes]], trusted: Networks, depth: int = 0
) -> Told:
    """
    Read what a trusted peer's request says.

    The client is the last address, read from the right, that no trusted proxy has; or, with
    `depth`, the one before so many proxies, whoever they are. What stands left of it, or of one
    that is none, was written by somebody we do not believe. Where `X-Forwarded-For` and
    `Forwarded` both are, the first counts.
    """
    said: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        name = name.lower()
        if name in _READ:
            said.setdefault(name, []).append(value.strip(b" \t"))
    standard = list(_elements(said.get(b"forwarded", ())))
    lines = said.get(b"x-forwarded-for")
    if lines:
        chain = b",".join(lines).decode("latin-1").rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    else:
        chain = [element.get("for", "") for element in standard]
    client, hops = _walk(peer, chain, trusted, depth)
    scheme = _last(said, b"x-forwarded-proto").lower()
    if not scheme and standard:
        scheme = standard[-1].get("proto", "").lower().encode("latin-1")
    port = _last(said, b"x-forwarded-port")
    ids = said.get(b"x-request-id", ())
    traceparent = _trace(said.get(b"traceparent", ()))
    return Told(
        client,
        hops,
        scheme if scheme in (b"http", b"https") else b"",
        int(port) if port.isdigit() and len(port) < 6 and int(port) < 65536 else 0,
        ids[0] if len(ids) == 1 and _ID(ids[0]) else b"",
        traceparent,
        b",".join(said.get(b"tracestate", ()))[:512] if traceparent else b"",
    )


def new_trace(request_id: str) -> str:
    """
    A `traceparent` for a request that brings none, of its id: a UUIDv7, so that whoever has the
    one finds the other. One of a hundred or so is marked as sampled.
    """
    trace = request_id.replace("-", "")
    return f"00-{trace}-{trace[16:]}-{'01' if request_id[-2:] < SAMPLED else '00'}"


def forwarded_line(client: str, hops: Sequence[str], scheme: bytes, authority: bytes) -> bytes:
    """
    The value of `Forwarded` that says who has sent a request, by which scheme and to whom, and
    the trusted proxies since.

    Scheme and host stand once, with the client: readers differ in whether the first or the last
    one counts. By which of its addresses the node was reached is nobody's affair behind it.
    """
    first = b"for=%b;host=%b;proto=%b" % (
        _node(client), b'"%b"' % authority if b":" in authority else authority, scheme
    )  # fmt: skip
    return b", for=".join((first, *map(_node, hops))) if hops else first


def _node(address: str) -> bytes:
    """An address as RFC 7239 section 6 has it: one with colons in brackets, and these in quotes."""
    return f'"[{address}]"'.encode() if ":" in address else address.encode()


def _walk(
    peer: str, chain: Sequence[str], trusted: Networks, depth: int
) -> tuple[str, tuple[str, ...]]:
    passed = [peer]
    for text in reversed(chain):
        address = _address(text)
        if not address:
            break
        passed.append(address)
        if len(passed) > depth if depth else address not in trusted:
            break
    return passed[-1], tuple(passed[-2::-1])


def _last(said: dict[bytes, list[bytes]], name: bytes) -> bytes:
    """The nearest proxy's word."""
    values = said.get(name)
    return values[-1].rpartition(b",")[2].strip(b" \t") if values else b""


def _trace(values: Sequence[bytes]) -> bytes:
    match = _TRACE(values[0]) if len(values) == 1 else None
    return b"00" + match[1] if match else b""


def _elements(lines: Sequence[bytes]) -> Iterator[dict[str, str]]:
    """What the proxies have said by `Forwarded`, the last `MAX_HOPS` of them."""
    text = ",".join(line.decode("latin-1") for line in lines)
    found: list[dict[str, str]] = []
    at = 0
    while at < len(text):
        match = _ELEMENT.match(text, at)
        if match is None or match.end() == at:
            # nothing before this can be told from what follows
            found.append({})
            break
        at = match.end()
        if match[1]:
            found.append(
                {name.strip().lower(): _plain(value) for name, value in _SAID.findall(match[1])}
            )
    return iter(found[-MAX_HOPS:])


def _plain(value: str) -> str:
    value = value.strip(" \t")
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _address(hop: str) -> str:
    """An address in the form we write, its port left out; empty: it is none."""
    text = hop.strip(' \t"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.scope_id:
            return ""
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
    return str(address)
