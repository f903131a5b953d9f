"""
What is allowed in a zone and yet most likely not meant.

In:  `hostedge zone check`, with a zone and the host names that are answered below it.
Out: doubts, in the order of the zone's records; an error is something that fails for visitors.
Spec: RFC 1912, RFC 2181 section 10, RFC 2308 section 5, RFC 7208 section 4.5, RFC 8659.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import frozen

from hostedge.model.site import Record, Zone
from hostedge.model.zone_rules import delegation_above

SHORT_TTL = 60.0
LONG_TTL = 7 * 86_400.0
# of answers that there is nothing
LONG_NEGATIVE = 86_400
# how long a secondary goes on without its primary: RFC 1912 says 2 to 4 weeks
SHORT_EXPIRE = 7 * 86_400

# where in the data the name is that these lead to
_TARGETS = {"NS": 0, "MX": 1, "SRV": 3, "CNAME": 0, "PTR": 0}
_NO_ALIAS = ("NS", "MX", "SRV")
_ADDRESSES = ("A", "AAAA")
_CRITICAL = 128
_CAA_TAGS = ("issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc")


@frozen
class Doubt:
    """`where` is the name and type of the record."""

    level: Literal["error", "warning"]
    where: str
    text: str


class _Names:
    """What is there below a zone, asked by relative name."""

    def __init__(self, zone: Zone, hosts: Iterable[str] | None) -> None:
        self.zone = zone
        # what is not here might be a domain, if those are not known
        self.missing: Literal["error", "warning"] = "warning" if hosts is None else "error"
        self.types: dict[str, set[str]] = {}
        for record in zone.records:
            self.types.setdefault(record.name, set()).add(record.type)
        self.delegations = {n for n, types in self.types.items() if "NS" in types and n != "@"}
        for host in hosts or ():
            name = self.relative(f"{host}.")
            if name is not None:
                self.types.setdefault(name, set()).update(_ADDRESSES)

    def relative(self, target: str) -> str | None:
        """A name of the zone; None: it lies elsewhere."""
        name = target.lower().removesuffix(".")
        if name == self.zone.name:
            return "@"
        inside = name.endswith(f".{self.zone.name}")
        return name[: -len(self.zone.name) - 1] if inside else None

    def at(self, name: str) -> set[str]:
        """The types at a name, its wildcard counted where the name itself is not there."""
        found = self.types.get(name)
        if found is not None:
            return found
        while name != "@":
            name = name.partition(".")[2] or "@"
            wildcard = "*" if name == "@" else f"*.{name}"
            if wildcard in self.types:
                return self.types[wildcard]
            if name in self.types:
                break
        return set()


def check_zone_sense(zone: Zone, hosts: Iterable[str] | None) -> Iterator[Doubt]:
    """
    Find what is doubtful. `hosts` are the names below the zone that are answered from domains;
    None: nobody knows which these are.
    """
    names = _Names(zone, hosts)
    servers = [each for each in zone.records if each.name == "@" and each.type == "NS"]
    if len(servers) == 1:
        yield Doubt("warning", "@ NS", "one name server only: if it fails, the zone is gone")
    if not SHORT_TTL <= zone.ttl <= LONG_TTL:
        yield Doubt("warning", "ttl", f"{int(zone.ttl)} s is kept {_too(zone.ttl)}")
    policies: dict[str, int] = {}
    for record in zone.records:
        yield from _times(record)
        yield from _dot(record, zone)
        if record.type in _TARGETS:
            yield from _target(record, names)
        elif record.type == "SOA":
            yield from _authority(record)
        elif record.type == "CAA":
            yield from _authorization(record)
        elif record.type == "TXT" and record.data.lower().startswith(('"v=spf1 ', '"v=spf1"')):
            policies[record.name] = policies.get(record.name, 0) + 1
            if policies[record.name] == 2:
                yield _doubt("error", record, "two SPF policies at one name are none")


def _doubt(level: Literal["error", "warning"], record: Record, text: str) -> Doubt:
    return Doubt(level, f"{record.name} {record.type}", text)


def _too(ttl: float) -> str:
    return "too short" if ttl < SHORT_TTL else "long: changes take as much"


def _times(record: Record) -> Iterator[Doubt]:
    if record.ttl is not None and not SHORT_TTL <= record.ttl <= LONG_TTL:
        yield _doubt("warning", record, f"ttl: {int(record.ttl)} s is kept {_too(record.ttl)}")


def _dot(record: Record, zone: Zone) -> Iterator[Doubt]:
    """A name that was meant to be absolute and got the zone's name a second time."""
    if "." in zone.name and (record.name == zone.name or record.name.endswith(f".{zone.name}")):
        text = f"this is {record.name}.{zone.name}: is a dot missing after {record.name}?"
        yield _doubt("warning", record, text)


def _target(record: Record, names: _Names) -> Iterator[Doubt]:
    target = record.data.split(" ")[_TARGETS[record.type]]
    zone = names.zone.name
    if target == ".":
        if record.type not in ("MX", "SRV"):
            yield _doubt("error", record, "leads to the root")
        return
    if "." in zone and target.endswith(f".{zone}.{zone}."):
        given = target[: -len(zone) - 2]
        yield _doubt("warning", record, f"leads to {target}: is a dot missing after {given}?")
    name = names.relative(target)
    if name is None:
        return
    below = delegation_above(name, names.delegations)
    if below is not None:
        glue = names.types.get(name, set())
        if record.type == "NS" and record.name == below and glue.isdisjoint(_ADDRESSES):
            text = f"{target} lies in what is delegated, and has no A or AAAA here"
            yield _doubt("error", record, text)
        return
    found = names.at(name)
    if record.type in _NO_ALIAS and "CNAME" in found:
        yield _doubt("error", record, f"{target} is a CNAME: want a name with addresses")
    elif record.type in _NO_ALIAS and found.isdisjoint(_ADDRESSES):
        yield _doubt(names.missing, record, f"{target} has no A or AAAA")
    elif not found:
        yield _doubt("warning", record, f"{target} has no records")


def _authority(record: Record) -> Iterator[Doubt]:
    _, contact, _, *rest = record.data.split(" ")
    refresh, retry, expire, negative = map(int, rest)
    if "@" in contact:
        yield _doubt("error", record, f"{contact}: want a dot where the address has its @")
    if retry >= refresh:
        yield _doubt("warning", record, "want retry shorter than refresh")
    if expire < refresh + retry or expire < SHORT_EXPIRE:
        yield _doubt("warning", record, "want expire of a week or more, and above refresh + retry")
    if negative > LONG_NEGATIVE:
        text = f"minimum: a new name may stay unknown for {negative} s"
        yield _doubt("warning", record, text)


def _authorization(record: Record) -> Iterator[Doubt]:
    flags, tag, value = record.data.split(" ", 2)
    if int(flags) & _CRITICAL and tag.lower() not in _CAA_TAGS:
        yield _doubt("error", record, f"{tag} is critical and hardly known: nobody will certify")
    elif tag.lower() in ("issue", "issuewild") and value.strip('" ').startswith(";"):
        yield _doubt("warning", record, "nobody may issue certificates for these names")
    elif tag.lower() in ("issue", "issuewild") and "." not in value:
        yield _doubt("warning", record, f"{value} names no certificate authority")
