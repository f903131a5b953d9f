"""
`app`: requests go to one of the account's apps, which the first of them starts.

In:  `routes.compile` with the mapping.
Out: a leaf that relays.

Site file::

    - {path: /, app: hello}
    - {path: /events, app: hello, buffer: stream}
    - {path: /live, app: hello, websocket: true}
    - {path: /upload, app: hello, limits: {body_size: 2g, response_timeout: 10m}}
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from hostedge.http.exchange import Leaf
from hostedge.mappings.parts import Parts
from hostedge.model.limits import MappingLimits
from hostedge.model.onward import as_mapped
from hostedge.model.site import Found


@frozen
class ToApp:
    """The app's name; what else is said goes before what the app says about itself."""

    app: str
    buffer: Literal["spool", "stream"] | None = None
    # whether `Forwarded` says who the client is as well
    forwarded: bool | None = None
    # fields with odd names that it gets nevertheless
    keep: tuple[str, ...] | None = None
    # whether requests for a WebSocket are forwarded as such
    websocket: bool = False
    # where they differ from the node's
    limits: MappingLimits | None = None


class AppKind:
    """The word `app`."""

    word = "app"
    value = ToApp

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        assert isinstance(value, ToApp)  # noqa: S101
        app = as_mapped(found.apps[value.app], value)
        return parts.relay_to_app(found.account, app, value.limits, value.websocket)
