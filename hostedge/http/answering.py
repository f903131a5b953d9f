"""
What an exchange does in the same way whichever protocol its request came by.

In:  `http.h1_exchange` and `http.h2_exchange`; leaves call it on their exchanges.
Out: calls on what the protocols frame in their own ways: `begin`, `write`, `finish`, `abort`.
Spec: RFC 9110 section 10.1.1.
"""

from __future__ import annotations

from hostedge.http.entrance import Entrance
from hostedge.http.exchange import BodyReceiver, Fields
from hostedge.http.refusal import make_refusal

CLIENT_GONE = 499  # what the log says of an answer that nobody waited for


class Answering:
    """
    An exchange, but for its framing.

    `over` means that nothing more can happen to the answer, `complete` that the request's body
    is whole and its receiver knows.
    """

    # objects of so many attributes would get a dict: 5 % of a request (measured without sockets)
    __slots__ = (
        *("entrance", "fields", "id", "receiver", "complete", "paused"),
        *("status", "begun", "over", "whole", "cause"),
    )

    entrance: Entrance
    fields: Fields
    id: str
    receiver: BodyReceiver | None
    complete: bool
    paused: bool
    status: int
    begun: bool
    over: bool
    whole: bool
    cause: str

    def receive(self, receiver: BodyReceiver) -> None:
        self.receiver = receiver
        if self.complete:
            receiver.body_end()
        elif not self.paused:
            self._want_body()

    def pause_body(self) -> None:
        self.paused = True

    def resume_body(self) -> None:
        if self.paused:
            self.paused = False
            if self.receiver is not None and not self.over:
                self._want_body()

    def _want_body(self) -> None:
        """There is a receiver that may be told what has come and what comes."""
        raise NotImplementedError

    def respond(self, status: int, fields: Fields, body: bytes) -> None:
        self.begin(status, fields, len(body))
        self.write(body)
        self.finish()

    def refuse(self, cause: str, retry_after: float | None = None, detail: str = "") -> None:
        if self.over:
            return
        self.entrance.counters[f"refused_{cause}"] += 1
        self.cause = cause
        if self.begun:
            self.abort()
            return
        accept = [value for name, value in self.fields if name.lower() == b"accept"]
        self.respond(*make_refusal(cause, accept, self.id, retry_after))

    def begin(self, status: int, fields: Fields, length: int | None) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError

    def lose_client(self, status: int = CLIENT_GONE) -> None:
        """From the protocol, which ends the stream or connection: nobody waits any more."""
        if self.over:
            return
        if not self.begun:
            self.status = status
        self.whole = False
        receiver = self.receiver
        self._end()
        if receiver is not None:
            receiver.client_gone()

    def _end(self) -> None:
        """The answer is over: whole, broken off, or wanted by nobody."""
        raise NotImplementedError
