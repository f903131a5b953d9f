"""
What the apex of a zone answers, and a zone as a zone file.

In:  the compiled zones of an edge, `hostedge zone show`.
Out: records that a zone does not say itself: SOA and NS.
Spec: RFC 1035 section 3.3.13, RFC 2308 section 4, RFC 1912 section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from hostedge.model.site import Record, Zone

# How often secondaries ask, ask again, and give up; RFC 1912 section 2.2. Who asks us by
# NOTIFY or not at all does not wait for these.
REFRESH, RETRY, EXPIRE = 7_200, 900, 1_209_600
# How long "there is no such name" is kept. Short, because a new domain shall be found soon.
NEGATIVE_TTL = 300

_SERIALS = 2**32


def apex_records(zone: Zone, nameservers: Sequence[str], serial: int) -> tuple[Record, ...]:
    """
    The SOA and NS of a zone: its own ones, with what it leaves out made of the node's
    nameservers, host names of which there is at least one.

    The serial is the one in the zone's own SOA plus the one of the store, so that it grows
    with every change, also with one of a domain that the zone answers for.
    """
    apex = [record for record in zone.records if record.name == "@"]
    servers = [record for record in apex if record.type == "NS"]
    if not servers:
        servers = [Record("@", "NS", f"{name}.") for name in nameservers]
    own = next((record for record in apex if record.type == "SOA"), None)
    if own is None:
        fields = [servers[0].data, f"hostmaster.{zone.name}.", "0"]
        fields += map(str, (REFRESH, RETRY, EXPIRE, NEGATIVE_TTL))
        own = Record("@", "SOA", " ".join(fields))
    first, contact, number, *timers = own.data.split(" ")
    number = str((int(number) + serial) % _SERIALS)
    data = " ".join((first, contact, number, *timers))
    return (Record("@", "SOA", data, own.ttl), *servers)
