"""
What `http.upstream` asks of those who want a connection, send on it, or take it over.

In:  relays, probes and WebSockets are such.
Out: protocols; nothing happens here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hostedge.http.exchange import Fields

if TYPE_CHECKING:
    from hostedge.http.upstream import UpstreamConnection


class Reply(Protocol):
    """Who sent a request hears of its response here."""

    def informed(self, fields: Fields) -> None:
        """Early hints, before the response begins; `fields` are those that travel on."""

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        """
        Head and what came of the body with it; `fields` are those that travel on.

        `length` is what the head says, None when it says nothing. `whole`: that was all.
        """

    def response_data(self, data: bytes, whole: bool) -> None:
        """More of the body."""

    def upstream_failed(self, cause: str, answered: bool) -> None:
        """There will be no (more) response; `answered`: at least a byte of it had come."""


class Switching(Reply, Protocol):
    """A reply to a request for an upgrade."""

    def switched(self, fields: Fields, data: bytes) -> None:
        """The upgrade was granted, by a head with these fields; bytes that came after it."""


class Caller(Protocol):
    """Who wants a connection hears of it here."""

    def connected_to(self, connection: UpstreamConnection) -> None: ...

    def connect_failed(self, cause: str) -> None: ...

    def upstream_failed(self, cause: str, answered: bool) -> None:
        """It was cut before it was made."""
