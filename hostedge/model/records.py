"""
Zones of site files: names, record data in their one normal form, and what DNS rules out.

In:  `model.parse` with the `zones` of a site file; the store with rows that it has written.
Out: `Zone`; `Misfit` leads to the record that is wrong.
Spec: RFC 1035 section 5.1 (presentation form), RFC 2181 section 5.2, RFC 4034 section 6.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from hostedge.model.names import duration, plain_text, shown
from hostedge.model.shape import Document, mapping, misfit, shape_of
from hostedge.model.site import Record, Zone
from hostedge.model.zone_rules import check_zone
from hostedge.routes.hostname import MAX_NAME, is_address, parse_hostname

TYPES = (
    "A",
    "AAAA",
    "CNAME",
    "MX",
    "TXT",
    "NS",
    "SOA",
    "SRV",
    "CAA",
    "TLSA",
    "SVCB",
    "HTTPS",
    "PTR",
    "DS",
)
APEX = "@"
MAX_TTL = 2**31 - 1  # RFC 2181 section 8
MAX_RECORDS = 10_000

_KNOWN = frozenset(TYPES)
# what stands in these means the same in every zone
_WITHOUT_NAMES = frozenset({"A", "AAAA", "TXT", "CAA", "TLSA", "DS"})
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TARGET = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")
# one text in quotes, with nothing in it that would have to be escaped
_TEXT = re.compile(r'"[ !#-\[\]-~]{0,255}"')
_SECONDS = re.compile(r"([0-9]{1,10})s")


def zone_name(value: object) -> str:
    """
    The name of a zone: a host name, whose labels may also have `_` in them.

    Raises:
        ValueError: it is none.
    """
    text = plain_text(value)
    if "_" in text:
        name = text.lower().removesuffix(".")
        if _NAME.fullmatch(name) and len(name) <= MAX_NAME:
            return name
        raise ValueError(f"want the name of a zone, not {shown(text)}")
    name = parse_hostname(text)
    if is_address(name):
        raise ValueError(
            "want the name of a zone, not an address: the names of addresses lie below "
            "in-addr.arpa and ip6.arpa"
        )
    return name


def record_name(text: str, zone: str) -> str:
    """
    A name relative to its zone; it may be written absolute, with a dot at its end.

    Raises:
        ValueError: it is no name, or lies elsewhere.
    """
    name = text.lower()
    if name.endswith("."):
        absolute = name[:-1]
        if absolute == zone:
            return APEX
        if not absolute.endswith(f".{zone}"):
            raise ValueError(f"want {APEX}, or a name below {zone}, not {shown(text)}")
        name = absolute[: -len(zone) - 1]
    if name == APEX:
        return APEX
    rest = "" if name == "*" else name.removeprefix("*.")
    if name != "*" and not _NAME.fullmatch(rest):
        if rest.isascii():
            raise ValueError(
                "want labels of letters, digits, inner hyphens and _, the leftmost one may be *, "
                f"not {shown(text)}"
            )
        # other scripts: the labels that stand for them
        name = name[: len(name) - len(rest)] + parse_hostname(rest)
    if len(name) + 1 + len(zone) > MAX_NAME:
        raise ValueError(f"want at most {MAX_NAME} characters together with the zone's name")
    return name


def record_data(kind: str, text: str, zone: str) -> str:
    """
    Data in its one normal form: names absolute, texts in quotes, numbers and lists as
    RFC 1035 and its successors print them.

    Nearly all records of a node are of few kinds and written plainly. These are told here;
    dnspython takes 50 to 150 µs for a record, and a command that reads none of the others
    need not load it.

    Raises:
        ValueError: it is no data of this type.
    """
    plain = _PLAIN.get(kind)
    normal = plain(text, zone) if plain is not None else None
    if normal is None:
        normal = _read_data(kind, text, "" if kind in _WITHOUT_NAMES else zone)
    return normal


# What a provider puts into every zone is the same in each: CAA, TXT, HTTPS.
@lru_cache(maxsize=4096)
def _read_data(kind: str, text: str, zone: str) -> str:
    from hostedge.model.rdata import normal_data

    return normal_data(kind, text, zone)


def parse_zone(document: object) -> Zone:
    """
    Read a zone and check it as a whole.

    Raises:
        Misfit: with the path to what is wrong.
    """
    values = dict(mapping(document))
    records = values.pop("records", None)
    read = _ZONE.read_fields(values, also=("records",))
    zone: Zone = _ZONE.make(read)
    if records is None:
        return zone
    name = zone.name
    try:
        if isinstance(records, list | tuple) and len(records) > MAX_RECORDS:
            raise ValueError(f"want at most {MAX_RECORDS} records")
        made = _records(records, name)
    except ValueError as error:
        raise misfit(error, "records") from None
    zone = Zone(name, made, zone.ttl, zone.shared)
    check_zone(zone)
    return zone


def zone_document(zone: Zone) -> Document:
    """The same as keys and values, defaults left out."""
    document = _ZONE.write(zone)
    if zone.records:
        document["records"] = [_RECORD.write(each) for each in zone.records]
    return document


def zone_of_row(document: Document) -> Zone:
    """
    A zone that was checked before it was written. A zone may have 10,000 records, and an edge
    reads them between two questions.
    """
    rows: Iterable[dict[str, str]] = document.get("records", ())  # type: ignore[assignment]
    return Zone(
        str(document["name"]),
        tuple(
            Record(row["name"], row["type"], row["data"], ttl(row["ttl"]) if "ttl" in row else None)
            for row in rows
        ),
        ttl(document.get("ttl", 3600)),
        bool(document.get("shared", False)),
    )


# A zone has few different ones.
@lru_cache(maxsize=256, typed=True)
def _ttl(value: object) -> float:
    seconds = -1.0
    if isinstance(value, str):
        match = _SECONDS.fullmatch(value)
        seconds = float(match[1]) if match else duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    if not 0 <= seconds <= MAX_TTL or seconds != int(seconds):
        raise ValueError(f"want whole seconds from 0 to {MAX_TTL}, or 30m, 1h, …, not {value!r}")
    return seconds


def ttl(value: object) -> float:
    """
    How long an answer may be kept: whole seconds, or a text like `30m`, `1h`, `1d`.

    Raises:
        ValueError: it is neither, or too long.
    """
    if not isinstance(value, str | int | float) or (isinstance(value, str) and len(value) > 20):
        raise ValueError(
            f"want whole seconds from 0 to {MAX_TTL}, or 30m, 1h, …, not {shown(value)}"
        )
    return _ttl(value)


def _kind(value: object) -> str:
    kind = plain_text(value).upper()
    if kind not in _KNOWN:
        raise ValueError(f"want one of {', '.join(TYPES)}, not {shown(value)}")
    return kind


_ZONE = shape_of(Zone, {"name": zone_name, "ttl": ttl}, skip="records")
_RECORD = shape_of(Record, {"type": _kind, "ttl": ttl})


def _records(value: object, zone: str) -> tuple[Record, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"want a list, not {shown(value)}")
    made = []
    for item in value:
        try:
            made.append(_record(item, zone))
        except ValueError as error:
            raise misfit(error, f"[{len(made)}]") from None
    return tuple(made)


def _record(document: object, zone: str) -> Record:
    record: Record = _RECORD.read(document)
    try:
        name = record_name(record.name, zone)
    except ValueError as error:
        raise misfit(error, "name") from None
    try:
        data = record_data(record.type, record.data, zone)
    except ValueError as error:
        raise misfit(error, "data") from None
    return Record(name, record.type, data, record.ttl)


def _target(text: str, zone: str) -> str | None:
    """A plain name as an absolute one; None: it is written in another way."""
    name = text.lower()
    if not _TARGET.fullmatch(name):
        return f"{zone}." if name == APEX else None
    if not name.endswith("."):
        name = f"{name}.{zone}."
    return name if len(name) <= MAX_NAME + 1 else None


def _v4(text: str, _zone: str) -> str | None:
    return text if _V4.fullmatch(text) else None


def _v6(text: str, _zone: str) -> str | None:
    try:
        if "%" in text:
            raise AddressValueError
        return IPv6Address(text).compressed
    except AddressValueError:
        return None


def _text(text: str, _zone: str) -> str | None:
    return text if _TEXT.fullmatch(text) else None


def _numbers_and_target(text: str, zone: str, count: int) -> str | None:
    *numbers, name = text.split()
    if len(numbers) != count or not all(n.isascii() and n.isdigit() for n in numbers):
        return None
    values = [int(number) for number in numbers if len(number) <= 5]
    target = _target(name, zone)
    if len(values) < count or max(values) > 65_535 or target is None:
        return None
    return " ".join([*map(str, values), target])


def _mx(text: str, zone: str) -> str | None:
    return _numbers_and_target(text, zone, 1) if text.strip() else None


def _srv(text: str, zone: str) -> str | None:
    return _numbers_and_target(text, zone, 3) if text.strip() else None


_PLAIN = {
    "A": _v4,
    "AAAA": _v6,
    "CNAME": _target,
    "NS": _target,
    "PTR": _target,
    "MX": _mx,
    "SRV": _srv,
    "TXT": _text,
}
