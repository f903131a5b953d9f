"""
What the records of a zone must be together: RRsets, aliases, delegations.

In:  `model.records`, with a zone whose records are in normal form.
Out: nothing, or `Misfit` with the record that cannot stand beside the others.
Spec: RFC 1034 sections 3.6.2 and 4.2.1, RFC 2181 sections 5.2 and 10.1, RFC 4035 section 2.4.
"""

from __future__ import annotations

from hostedge.model.shape import Misfit
from hostedge.model.site import Record, Zone

# An RRset has to fit in one message of 64 KiB, with the question, EDNS, and the aliases that lead
# there (`wire.dns_answer`).
MAX_RRSET = 59_000
# Names that exist, with those between a record and the zone: a name may have 120 labels, and each
# that is not another record's is one more to be known.
MAX_NAMES = 50_000
_APEX = "@"
_OVERHEAD = 12  # of a record in a message: pointer to its name, type, class, TTL, length
_WIDEN = 40  # data in a message is never longer than its text by more than this
_GLUE = ("A", "AAAA")

# name -> type -> the places of its records
_Names = dict[str, dict[str, list[int]]]


def check_zone(zone: Zone) -> None:
    """
    Check what no record can know alone.

    Raises:
        Misfit: with the path to the record.
    """
    records = zone.records
    names: _Names = {}
    seen: set[tuple[str, str, str]] = set()
    for place, record in enumerate(records):
        identity = (record.name, record.type, record.data)
        if identity in seen:
            raise _misfit(place, "this record stands here twice")
        seen.add(identity)
        names.setdefault(record.name, {}).setdefault(record.type, []).append(place)
    delegations = {name for name, types in names.items() if "NS" in types and name != _APEX}
    for name, types in names.items():
        for kind, places in types.items():
            if len(places) > 1:
                _check_rrset(zone, kind, places)
            if len(places) > 1 or len(records[places[0]].data) > MAX_RRSET:
                _check_size(zone, name, kind, places)
        if "CNAME" in types:
            _check_alias(zone, name, types)
        if name != _APEX and "SOA" in types:
            raise _misfit(types["SOA"][0], "want SOA at the apex only: name @")
        if "DS" in types and name not in delegations:
            problem = "want DS only beside NS below the apex, at a delegation"
            raise _misfit(types["DS"][0], problem)
    if delegations:
        _check_delegations(names, delegations)
    _check_number(names)


def delegation_above(name: str, delegations: set[str]) -> str | None:
    """The delegation that a relative name is, or lies below."""
    while name:
        if name in delegations:
            return name
        name = name.partition(".")[2]
    return None


def _check_number(names: _Names) -> None:
    existing: set[str] = set()
    for name, types in names.items():
        while name and name not in existing:
            existing.add(name)
            name = name.partition(".")[2]
        if len(existing) > MAX_NAMES:
            problem = f"want at most {MAX_NAMES} names, those above these records counted"
            raise _misfit(next(iter(types.values()))[0], problem)


def _misfit(place: int, problem: str, *option: str) -> Misfit:
    return Misfit(problem, (f"records[{place}]", *option))


def _check_rrset(zone: Zone, kind: str, places: list[int]) -> None:
    records = zone.records
    if kind == "SOA":
        raise _misfit(places[1], "want one SOA, not two")
    if kind == "CNAME":
        raise _misfit(places[1], "want one CNAME at a name, not two")
    first = _ttl(zone, records[places[0]])
    for place in places[1:]:
        if _ttl(zone, records[place]) != first:
            problem = f"want the ttl of records[{places[0]}], of the same name and type"
            raise _misfit(place, problem, "ttl")


def _check_size(zone: Zone, name: str, kind: str, places: list[int]) -> None:
    records = zone.records
    overhead = _OVERHEAD
    if kind == "NS" and name != _APEX:
        # in a referral the owner is not the name asked for, and is written in full
        overhead += len(name) + 1 + len(zone.name)
    size = sum(len(records[place].data) + overhead + _WIDEN for place in places)
    if size > MAX_RRSET and _wire_size(records, places, overhead) > MAX_RRSET:
        problem = f"want at most {MAX_RRSET} bytes of one name and type: no answer could hold them"
        raise _misfit(places[-1], problem)


def _wire_size(records: tuple[Record, ...], places: list[int], overhead: int) -> int:
    from hostedge.model.rdata import wire_length

    found = [records[place] for place in places]
    return sum(overhead + wire_length(each.type, each.data) for each in found)


def _ttl(zone: Zone, record: Record) -> float:
    return zone.ttl if record.ttl is None else record.ttl


def _check_alias(zone: Zone, name: str, types: dict[str, list[int]]) -> None:
    place = types["CNAME"][0]
    if name == _APEX:
        raise _misfit(
            place,
            "a CNAME cannot stand at the apex, beside SOA and NS: want A and AAAA there, "
            f"or {zone.name} among the account's domains, which gives it the node's addresses",
        )
    if len(types) > 1:
        other = next(kind for kind in types if kind != "CNAME")
        raise _misfit(place, f"a CNAME stands alone, here is {other} at the same name")


def _check_delegations(names: _Names, delegations: set[str]) -> None:
    for name, types in names.items():
        above = delegation_above(name, delegations)
        if above is None:
            continue
        allowed = ("NS", "DS", *_GLUE) if above == name else _GLUE
        for kind, places in types.items():
            if name.startswith("*") or kind not in allowed:
                problem = f"{above} is delegated by its NS: want only addresses of servers below it"
                raise _misfit(places[0], problem)
        # a delegation below a delegation is not ours to make
        outer = delegation_above(above.partition(".")[2], delegations)
        if outer is not None:
            problem = f"{outer} is delegated by its NS: want only addresses of servers below it"
            raise _misfit(next(iter(types.values()))[0], problem)
