"""
What the calls for zones take and answer.

In:  `api.app`, in a thread that may block.
Out: a zone written, as `apply` writes; a zone with everything that is served of it.
"""

from __future__ import annotations

from typing import Any

from hostedge.api.calls import Refused, read_call
from hostedge.api.parts import Outcome, Store, Zones
from hostedge.errors import ConfigError
from hostedge.model.keys import zone_key
from hostedge.model.parse import Words, parse_object
from hostedge.model.records import zone_document, zone_name


def show(zones: Zones, name: str) -> dict[str, Any]:
    """
    A zone as it stands in a site file, and as it is served.

    Raises:
        Refused: there is none of this name.
    """
    served = zones.read(_name(name))
    if served is None:
        raise Refused(404, "zone", f"there is no zone {name}")
    zone = served.found.zone
    records = [
        {
            "name": each.name,
            "type": each.type,
            "ttl": int(zone.ttl if each.ttl is None else each.ttl),
            "data": each.data,
        }
        for each in served.records
    ]
    return {
        "account": served.found.account,
        "serial": served.found.serial,
        "revision": served.found.revision,
        "zone": zone_document(zone),
        "ttl": int(zone.ttl),
        "records": records,
        "hosts": list(served.hosts),
        "more_hosts": served.more,
        "addresses": list(served.addresses),
    }


def put(store: Store, words: Words, name: str, body: bytes, who: str) -> tuple[bool, Outcome]:
    """
    Write one zone of an account; all else that it has stays.

    Raises:
        Refused: the call is written wrongly.
        ConfigError: the zone is.
    """
    known = {"account": str, "zone": dict, "dry_run": bool}
    call = read_call(body, known, required="zone")
    if "account" not in call:
        raise Refused(400, "body: account", "is missing")
    key = zone_key(_name(name))
    zone = parse_object(key, {"name": name, **call["zone"]}, words)
    dry_run = call.get("dry_run", False)
    return dry_run, store.put(call["account"], key, zone, who, dry_run)


def _name(name: str) -> str:
    try:
        return zone_name(name)
    except ValueError as error:
        raise ConfigError("zone", str(error)) from None
