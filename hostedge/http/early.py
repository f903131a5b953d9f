"""
A request whose client waits for `100 Continue` while the app has to start.

In:  `http.app_backend`, for requests that are kept until they are complete.
Out: a place in the line like any other; once there is one, `100 Continue` and a usual passage.
Spec: RFC 9110 section 10.1.1.

Until the app has started nothing is asked of the client: should the start fail, it keeps its body.
The place is free again while the body comes, which is what keeping requests is for.
"""

from __future__ import annotations

from hostedge.http.placing import Lane
from hostedge.http.relay import SpoolPassage, StreamPassage
from hostedge.http.upstream import UpstreamConnection


class EarlyPassage(StreamPassage):
    """It begins as one whose body goes on as it comes, and gives its place back at once."""

    def placed(self, lane: Lane) -> None:
        if self.asked_at:
            self.has_waited(lane)
        lane.release()
        exchange = self.exchange
        exchange.receive(SpoolPassage(self.relay, exchange))
        exchange.resume_body()

    def send(self, connection: UpstreamConnection) -> None:
        raise AssertionError("it never has a connection")
