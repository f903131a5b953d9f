"""
Zones and host names in memory, and a responder that answers from them.

`MemoryReader` stands for the store's reader; `tests/dns/test_zones.py` has both answer alike.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

import dns.flags
import dns.message
from attrs import evolve
from dns.edns import GenericOption, Option, OptionType
from dns.message import QueryMessage

from hostedge.dns.responder import Responder
from hostedge.dns.zones import Zones
from hostedge.model.records import parse_zone
from hostedge.model.site import FoundZone, Zone
from hostedge.observe.counters import make_counters
from hostedge.routes.hostname import ordered

CLIENT = b"\x7f\0\0\1"
NOW = 1_700_000_000.0
ADDRESSES = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
NAMESERVERS = ("ns1.node.test", "ns2.node.test")


def neighbours_in(keys: Sequence[str], key: str) -> tuple[str, str]:
    """The neighbours of a key among sorted ones, as the store gives them."""
    before = bisect_right(keys, key)
    after = bisect_left(keys, key)
    return keys[before - 1] if before else "", keys[after] if after < len(keys) else "\x7f"


def zone_of(name: str, text: str, **options: object) -> Zone:
    """A zone out of lines `name type data`, the TTL before the type if there is one."""
    records = []
    for line in text.strip().splitlines():
        words = line.split(None, 1)
        ttl: dict[str, object] = {}
        if words[1][0].isdigit():
            number, rest = words[1].split(None, 1)
            ttl = {"ttl": int(number)}
        else:
            rest = words[1]
        kind, data = rest.split(None, 1)
        records.append({"name": words[0], "type": kind, "data": data, **ttl})
    document = {"name": name, "records": records, **options}
    return parse_zone(document)


def option(code: int, data: bytes) -> Option:
    """An EDNS option of any kind."""
    return GenericOption(OptionType.make(code), data)


class MemoryReader:
    """What `dns.zones` needs of `store.reader.StoreReader`; `asked` counts what it was asked."""

    def __init__(self) -> None:
        self.zones: dict[str, FoundZone] = {}
        # account by host name
        self.hosts: dict[str, str] = {}
        self.asked: dict[str, int] = defaultdict(int)
        self.serial = 0

    def add(self, zone: Zone, account: str = "demo") -> None:
        self.serial += 1
        self.zones[zone.name] = FoundZone(zone, account, self.serial, self.serial)

    def move_host(self, name: str, account: str | None) -> None:
        """Give a host name to an account, or to nobody; all zones above it get a new serial."""
        self.serial += 1
        if account is None:
            del self.hosts[name]
        else:
            self.hosts[name] = account
        for zone, found in self.zones.items():
            if f".{name}".endswith(f".{zone}"):
                self.zones[zone] = evolve(found, serial=self.serial)

    def zone(self, name: str) -> FoundZone | None:
        self.asked["zone"] += 1
        return self.zones.get(name)

    def zone_serial(self, name: str) -> int | None:
        self.asked["zone_serial"] += 1
        found = self.zones.get(name)
        return found.serial if found is not None else None

    def zone_gap(self, name: str) -> tuple[str, str]:
        self.asked["zone_gap"] += 1
        return neighbours_in(sorted(map(ordered, self.zones)), ordered(name))

    def hosted_gap(self, name: str, account: str | None) -> tuple[str, str]:
        self.asked["hosted_gap"] += 1
        mine = [ordered(each) for each, owner in self.hosts.items() if account in (None, owner)]
        return neighbours_in(sorted(mine), ordered(name))


class Authority:
    """A responder with its zones; questions and answers are dnspython's."""

    def __init__(
        self,
        *zones: Zone,
        hosts: Iterable[str] = (),
        addresses: Sequence[str] = ADDRESSES,
        reader: MemoryReader | None = None,
    ) -> None:
        self.reader = reader if reader is not None else MemoryReader()
        for zone in zones:
            self.reader.add(zone)
        self.reader.hosts.update(dict.fromkeys(hosts, "demo"))
        self.counters = make_counters()
        self.now = NOW
        self.zones = Zones(self.reader, addresses, NAMESERVERS)
        self.responder = Responder(self.zones, self.counters, lambda: self.now, b"secret")

    def ask(self, name: str, kind: str, **options: object) -> QueryMessage:
        """The answer to a question, in full."""
        query = dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]
        reply = self.responder.tcp(query.to_wire(), CLIENT)
        assert reply is not None
        answer = dns.message.from_wire(reply)
        assert query.is_response(answer)
        assert isinstance(answer, QueryMessage)
        return answer
