"""
Which host a request is for.

In:  the server protocol, with the values of all `Host` fields of a request.
Out: the name in normal form: lower case, no trailing dot, no port.
Spec: RFC 9110 section 7.2, RFC 3986 section 3.2.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hostedge.errors import BadRequest
from hostedge.routes.hostname import parse_hostname

_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+)(?::([0-9]{0,5}))?")


def request_host(values: list[bytes]) -> str:
    """
    Read the one `Host` of a request.

    An IP address is a name like another one: a site may have it, most have not.

    Raises:
        BadRequest: there is none, more than one, or it is no valid name.
    """
    if len(values) != 1:
        raise BadRequest("bad_host", f"{len(values)} Host fields")
    return split_authority(values[0])[0]


@lru_cache(maxsize=4096)
def split_authority(value: bytes) -> tuple[str, int | None]:
    """
    Split `name[:port]`; the name comes in normal form.

    Raises:
        BadRequest: it is not of that form; a user's name in it is refused as well.
    """
    match = _AUTHORITY.fullmatch(value)
    if match is None:
        raise BadRequest("bad_host", "not a host")
    name, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise BadRequest("bad_host", "no such port")
    try:
        return parse_hostname(name), port
    except ValueError:
        raise BadRequest("bad_host", "not a host name") from None
