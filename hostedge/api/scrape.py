"""
A port of its own for Prometheus, which does not read UNIX sockets.

In:  `compose`, where the settings say `[metrics] listen`; scrapers, who need no key.
Out: `GET /metrics` as the API has it, and nothing else.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from hostedge.api.calls import asked
from hostedge.api.metrics import Scrapes
from hostedge.api.parts import Node
from hostedge.settings import Settings, parse_address

PATIENCE = 30.0  # seconds without a byte after which a connection is ended


class Metrics(Resource):
    """The one page; what fails is told in a word, and in full by the log."""

    isLeaf = True
    log = Logger()

    def __init__(self, scrapes: Scrapes) -> None:
        super().__init__()
        self._scrapes = scrapes

    def render_GET(self, request: Request) -> int:
        if request.path != b"/metrics":
            request.setResponseCode(404)
            request.finish()
            return NOT_DONE_YET
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(body: bytes) -> None:
            if not gone:
                request.write(body)
                request.finish()

        def failed(failure: Failure) -> None:
            self.log.error("a scrape failed: {error}", error=failure.value)
            request.setResponseCode(503)
            answer(b"# the node does not answer\n")

        Deferred.fromCoroutine(self._scrape(request)).addCallbacks(answer, failed)
        return NOT_DONE_YET

    async def _scrape(self, request: Request) -> bytes:
        accept = request.getHeader(b"accept") or b""
        body, media_type = await asked(self._scrapes.answer(accept.decode("latin-1")))
        request.setHeader(b"content-type", media_type.encode())
        return body


class _Quiet(Site):
    """A scrape every few seconds is not worth a line each."""

    noisy = False

    def log(self, request: Any) -> None:
        pass


class MetricsListener(Service):
    """Listens for scrapers. What keeps it from that is logged: control goes on."""

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings, node: Node) -> None:
        self._reactor = reactor
        self._settings = settings
        self._node = node
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        host, port = parse_address(self._settings.metrics.listen, "metrics: listen")
        scrapes = Scrapes(self._node, self._settings.metrics)
        site = _Quiet(Metrics(scrapes), reactor=self._reactor, timeout=PATIENCE)
        try:
            self._port = self._reactor.listenTCP(port, site, interface=host)
        except CannotListenError as error:
            self.log.error("no metrics over TCP: {error}", error=error)
            return
        bound = self._port.getHost()
        where = f"[{bound.host}]" if ":" in bound.host else bound.host
        noted = json.dumps([{"protocol": "metrics", "address": f"{where}:{bound.port}"}])
        self._settings.metrics_note.write_text(noted)

    def stopService(self) -> Any:
        super().stopService()
        self._settings.metrics_note.unlink(missing_ok=True)
        port, self._port = self._port, None
        return None if port is None else port.stopListening()
