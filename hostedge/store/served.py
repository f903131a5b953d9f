"""
What a zone serves: its own records, those that the node makes, and host names beside them.

In:  the API, in any thread.
Out: `Served`, read in one go; the edges come to the same from the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import frozen

from hostedge.model.parse import Words
from hostedge.model.site import FoundZone, Record
from hostedge.model.zone_file import apex_records
from hostedge.model.zone_rules import delegation_above
from hostedge.store.reader import StoreReader

MAX_HOSTS = 1000  # host names that are named; a zone may have any number

# With one of these a name says itself where it leads.
_OWN = ("A", "AAAA", "CNAME")
_MADE = ("SOA", "NS")


@frozen
class Served:
    """A zone, all its records, and the host names that are answered with the node's addresses."""

    found: FoundZone
    records: tuple[Record, ...]
    hosts: tuple[str, ...]
    # whether there are more hosts than are named
    more: bool
    addresses: tuple[str, ...]


class ServedZones:
    """Reads each time anew: who asks is an operator, not a resolver."""

    def __init__(
        self, path: Path, words: Words, nameservers: Sequence[str], addresses: Sequence[str]
    ) -> None:
        self._path = path
        self._words = words
        self._nameservers = nameservers
        self._addresses = tuple(addresses)

    def read(self, name: str) -> Served | None:
        """The zone of exactly this name."""
        with closing(StoreReader(self._path, self._words)) as reader:
            found = reader.zone(name)
            if found is None:
                return None
            account = None if found.zone.shared else found.account
            names = reader.hosted(name, account, MAX_HOSTS + 1)
            inner = reader.zones_below(name)
        made = apex_records(found.zone, self._nameservers, found.serial)
        records = [r for r in found.zone.records if r.name != "@" or r.type not in _MADE]
        hosts = _answered(found, names[:MAX_HOSTS], inner)
        more = len(names) > MAX_HOSTS
        return Served(found, (*made, *records), hosts, more, self._addresses)


def _answered(found: FoundZone, names: Sequence[str], inner: Sequence[str]) -> tuple[str, ...]:
    """The names that neither a record nor a delegation nor a zone within speaks for."""
    zone = found.zone
    own = {record.name for record in zone.records if record.type in _OWN}
    cuts = {r.name for r in zone.records if r.type == "NS" and r.name != "@"}
    closer = set(inner)
    hosts = []
    for name in names:
        relative = "@" if name == zone.name else name[: -len(zone.name) - 1]
        if relative in own or delegation_above(relative, cuts) is not None:
            continue
        above = name
        while above != zone.name and above not in closer:
            above = above.partition(".")[2]
        if above == zone.name:
            hosts.append(name)
    return tuple(hosts)
