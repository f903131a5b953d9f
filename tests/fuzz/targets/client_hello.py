"""
What a TLS client says first.

In:  `targets.known`.
Out: `TARGET`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from hostedge.wire.client_hello import MAX_HELLO, MAX_RECORDS, BadHello, Hello, read_hello
from tests.fuzz.targets.kind import Target
from tests.tls.certified import hello_of

# of the message, its records' heads, and the one that is too much
MOST_WANTED = MAX_HELLO + 5 * (MAX_RECORDS + 1) + 5


def read(data: bytes) -> Hello | int | str:
    try:
        found = read_hello(data)
    except BadHello as refusal:
        assert 0 <= refusal.alert <= 255
        return f"alert {refusal.alert}"
    if isinstance(found, int):
        assert len(data) < found <= MOST_WANTED, found
    return found


def check(data: bytes) -> None:
    """A verdict on the first bytes stands, whatever comes after them."""
    final = read(data)
    for size in {0, 1, 5, 6, 11, len(data) // 3, len(data) // 2, len(data) - 1}:
        if not 0 <= size < len(data):
            continue
        early = read(data[:size])
        # more bytes are asked for as long as there is nothing to be said
        assert isinstance(early, int) or early == final, (early, final)
        if isinstance(early, int) and isinstance(final, int):
            assert early <= final
    if isinstance(final, Hello):
        assert read(data + b"\x17\x03\x03\x00\x01x") == final
        if final.server_name is not None:
            assert final.server_name == final.server_name.lower() and "\0" not in final.server_name


def seeds() -> Iterator[bytes]:
    yield hello_of("a.example")
    for name, protocols, most in (
        ("xn--bcher-kva.example", ["h2", "http/1.1"], ssl.TLSVersion.TLSv1_3),
        ("b.example", ["acme-tls/1"], ssl.TLSVersion.TLSv1_2),
        ("", [], ssl.TLSVersion.TLSv1_2),
    ):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.maximum_version = most
        if protocols:
            context.set_alpn_protocols(protocols)
        out = ssl.MemoryBIO()
        client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name or None)
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        raw = out.read()
        yield raw
        # the same in two records
        yield raw[:3] + b"\0\x20" + raw[5:37] + raw[:3] + (len(raw) - 37).to_bytes(2) + raw[37:]


TARGET = Target(
    name="client_hello",
    check=check,
    modules=("hostedge.wire.client_hello", "hostedge.wire.host"),
    seeds=seeds,
    words=(
        *(b"\x16\x03\x01", b"\x01\x00", b"\x03\x03", b"\x00\x00", b"\x00\x10", b"\x00\x2b"),
        *(b"\x00\x29", b"\x00\x23", b"\x02h2", b"\x08http/1.1", b"\x03\x04", b"a.example"),
    ),
)
