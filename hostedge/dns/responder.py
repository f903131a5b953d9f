"""
The answer to each DNS message, from memory where the same question was answered before.

In:  `dns.udp` and `dns.tcp` with one message and its client's address; `dns.zones` says which
     zones have changed.
Out: the message to send back, or None for what wants no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from twisted.logger import Logger

from hostedge.dns.packets import Packets
from hostedge.wire.dns_answer import (
    CUT,
    NOTHING,
    Answer,
    locate,
    make_answer,
    no_data,
    no_name,
    refer,
)
from hostedge.wire.dns_cookie import CLIENT, Cookies
from hostedge.wire.dns_message import (
    BADCOOKIE,
    BADVERS,
    FORMERR,
    HEADER,
    HEADS,
    MAX_STREAM,
    MIN_SIZE,
    NOERROR,
    NOTAUTH,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    SHAPE,
    SHAPES,
    SLOTS,
    WITH_EDNS,
    Query,
    read_query,
)
from hostedge.wire.dns_name import Name, wire_name
from hostedge.wire.dns_zone import CompiledZone

# seconds in which a failure of ours is logged once
QUIET = 10.0

COUNTED = {
    NOERROR: "dns_noerror",
    FORMERR: "dns_formerr",
    SERVFAIL: "dns_servfail",
    NXDOMAIN: "dns_nxdomain",
    NOTIMP: "dns_notimp",
    REFUSED: "dns_refused",
    NOTAUTH: "dns_notauth",
    BADVERS: "dns_badvers",
    BADCOOKIE: "dns_badcookie",
}

# That a name has none of a type is kept for the types that are asked for a lot: A, NS, CNAME, SOA,
# PTR, MX, TXT, AAAA, SRV, DS, DNSKEY, TLSA, SVCB, HTTPS, CAA. Of the others there are 65,000.
_COMMON = frozenset((1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 48, 52, 64, 65, 257))

# Ends of questions that a host name has an answer to: A, AAAA, ANY.
_OF_HOSTS = (b"\0\1\0\1", b"\0\x1c\0\1", b"\0\xff\0\1")

# Answers for many names are kept under keys that no question begins with.
_NO_NAME, _NO_DATA, _REFERRAL, _WILDCARD = b"\xfc", b"\xfd", b"\xfe", b"\xff"


class Zones(Protocol):
    """`dns.zones.Zones`."""

    def find(self, name: Name, kind: int) -> CompiledZone | None: ...

    def subscribe(
        self, subscriber: Callable[[str | None, Collection[str] | None], object]
    ) -> None: ...


class Packet(NamedTuple):
    """
    A rendered answer. `tail` is type and class of its question: the key that it is found by does
    not tell upper from lower case, in numbers neither.
    """

    tail: bytes
    heads: tuple[bytes, ...]
    # all sections behind the question's
    body: bytes
    counter: str
    answer: Answer

    @property
    def zones(self) -> tuple[str, ...]:
        return self.answer.zones

    @property
    def firm(self) -> bool:
        return self.answer.firm


class Responder:
    """
    Answers one message a call, at once. Nothing that a client sends makes it raise.
    """

    log = Logger()

    def __init__(
        self,
        zones: Zones,
        counters: dict[str, int],
        seconds: Callable[[], float],
        secret: bytes,
    ) -> None:
        self._zones = zones
        self._counters = counters
        self._seconds = seconds
        self._cookie = Cookies(secret, seconds)
        self._packets: Packets[Packet] = Packets()
        self._young = self._packets.young
        self._quiet_until = 0.0
        self._failures = 0
        zones.subscribe(self._changed)

    def udp(self, packet: bytes, client: bytes, stream: bool = False) -> bytes | None:
        """
        Answer a datagram of a client at this address. What no answer is like is left to `_read`.
        """
        slot = SLOTS.get(packet[2:HEADER])
        if slot is not None:
            # A name that is known ends at the first zero: no label of those has one.
            end = packet.find(0, HEADER) + 5
            question = packet[HEADER:end]
            found = self._young.get(question.lower())
            if found is not None and question.endswith(found[0]):
                _, heads, body, counter, _ = found
                limit, opt = 0, b""
                if slot < WITH_EDNS:
                    if len(packet) == end:
                        limit = MIN_SIZE
                else:
                    rest = packet[end:]
                    shape = SHAPES[rest[:SHAPE]]
                    if shape.length == len(rest):
                        limit = shape.limit
                        opt = shape.opt
                        if shape.cookie:
                            cookie = rest[SHAPE : SHAPE + CLIENT]
                            opt += cookie + self._cookie.make(cookie, client)
                if limit:
                    reply = b"".join((packet[:2], heads[slot], question, body, opt))
                    if len(reply) <= limit or stream:
                        self._counters[counter] += 1
                        return reply
        return self._read(packet, client, stream)

    def tcp(self, packet: bytes, client: bytes) -> bytes | None:
        """Answer a message on a connection: the same, of any length."""
        return self.udp(packet, client, True)

    def _read(self, packet: bytes, client: bytes, stream: bool) -> bytes | None:
        self._counters["dns_misses"] += 1
        query = None
        try:
            query = read_query(packet)
            if query is None:
                self._counters["dns_dropped"] += 1
                return None
            if query.rcode == NOERROR and query.name is not None:
                answer = self._answer(query, query.name)
                if answer is not None:
                    return self._write(packet, query, answer, client, stream)
                query.rcode = REFUSED
            return self._refuse(packet, query, client)
        except Exception:  # noqa: BLE001 - whatever it is, it costs one answer
            self._failed()
            return self._refuse(packet, _broken(query), client)

    def _answer(self, query: Query, name: Name) -> Answer | None:
        """The answer, kept or made; None: the name is in no zone of ours."""
        question = query.question
        key = question.lower()
        found = self._packets.get(key)
        if found is not None and question.endswith(found.tail):
            return found.answer
        kind = query.kind
        zone = self._zones.find(name, kind)
        if zone is None:
            return None
        place = locate(zone, name, kind)
        if place.how is NOTHING:
            return self._kept(_NO_NAME + zone.apex, no_name, zone)
        if place.how is CUT:
            return self._kept(_REFERRAL + place.node.wire, refer, zone, place.node)  # type: ignore[union-attr]
        if place.source:
            key = _WILDCARD + place.source + question[-4:]
            found = self._packets.get(key)
            if found is not None:
                return found.answer
        answer = make_answer(zone, name, kind, place, self._zones.find)
        if answer is None:
            answer = self._kept(_NO_DATA + zone.apex, no_data, zone)
            if place.source:
                return answer
        if kind not in _COMMON and place.rrset(zone, kind) is None:
            return answer
        if not place.source:
            self._keep(key, question, answer)
        elif answer.general:
            self._keep(key, b"", answer)
        return answer

    def _kept(self, key: bytes, make: Callable[..., Answer], *parts: object) -> Answer:
        """An answer that many questions share."""
        found = self._packets.get(key)
        if found is not None:
            return found.answer
        answer = make(*parts)
        self._keep(key, b"", answer)
        return answer

    def _keep(self, key: bytes, question: bytes, answer: Answer) -> None:
        """The answer to one question; or, without one, what many of them share."""
        body = b""
        if question:
            pointer = answer.pointer(question)
            body = pointer.join(answer.body) + pointer.join(answer.extra)
        packet = Packet(question[-4:], answer.heads, body, COUNTED[answer.rcode], answer)
        size = len(body) + sum(map(len, answer.body + answer.extra))
        self._packets.put(key, packet, size)

    def _write(
        self, packet: bytes, query: Query, answer: Answer, client: bytes, stream: bool
    ) -> bytes:
        """Write an answer, or as much of it as the client takes."""
        question, slot = query.question, query.slot
        pointer = answer.pointer(question)
        body, extra = pointer.join(answer.body), pointer.join(answer.extra)
        opt = self._opt(query, answer.rcode, client)
        limit = query.edns.limit if query.edns is not None else MIN_SIZE
        room = (MAX_STREAM if stream else limit) - HEADER - len(question) - len(opt)
        heads = answer.heads
        if len(body) + len(extra) > room:
            heads = answer.bare
            extra = b""
            if len(body) > room or (answer.needed and not stream):
                if stream:
                    raise ValueError("an answer is too long for any message")
                self._counters["dns_truncated"] += 1
                heads = answer.cut
                body = b""
        self._counters[COUNTED[answer.rcode]] += 1
        return b"".join((packet[:2], heads[slot], question, body, extra, opt))

    def _refuse(self, packet: bytes, query: Query, client: bytes) -> bytes:
        """An answer that is no more than a code."""
        rcode = query.rcode
        edns = query.edns
        if rcode == NOERROR and edns is not None and edns.server_cookie:
            # no question: the client wants to know whether its cookie is good
            if not self._cookie.check(edns.client_cookie, edns.server_cookie, client):
                rcode = BADCOOKIE
        self._counters[COUNTED[rcode]] += 1
        flags = (packet[2] & 0x78) << 8 | rcode & 0x0F
        counts = (1 if query.question else 0, 0, 0, 1 if query.tsig else 0)
        head = HEADS[flags, *counts][query.slot]
        opt = self._opt(query, rcode, client)
        return b"".join((packet[:2], head, query.question, opt, query.tsig))

    def _opt(self, query: Query, rcode: int, client: bytes) -> bytes:
        edns = query.edns
        if edns is None:
            return b""
        cookie = edns.client_cookie
        return edns.opt(rcode, self._cookie.make(cookie, client) if cookie else b"")

    def _failed(self) -> None:
        """Log a failure of ours, not one for each packet that finds it."""
        self._failures += 1
        now = self._seconds()
        if now >= self._quiet_until:
            self.log.failure("DNS questions could not be answered: {count}", count=self._failures)
            self._failures = 0
            self._quiet_until = now + QUIET

    def _changed(self, zone: str | None, hosts: Collection[str] | None) -> None:
        if zone is None:
            self._packets.clear()
        elif hosts is None:
            self._packets.drop(zone)
        else:
            wires = map(wire_name, hosts)
            keys = (wire + each for wire in wires for each in _OF_HOSTS)
            self._packets.drop_some(zone, keys)


def _broken(query: Query | None) -> Query:
    broken = query if query is not None else Query(0)
    broken.rcode = SERVFAIL
    broken.tsig = b""
    return broken
