"""
Control as a service: the store's only writer, the API, and the local CA.

In:  `compose.control`; edges ask for certificates, operators call the API.
Out: `control/api.sock` and `control/control.sock`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from hostedge.api.server import listen
from hostedge.model.names import site_name
from hostedge.store.reader import IssuedCertificate

LAST = 8.0  # seconds that calls under way have when control is told to end
LOOK = 0.02  # seconds between two looks at whether they are answered
RENEW_BEFORE = 30 * 86400.0  # seconds; a third of what the local CA gives


class Signer(Protocol):
    """The local CA: `tls.authority.Authority`."""

    def sign(self, name: str) -> tuple[str, str, float]: ...


class CertificateStore(Protocol):
    """Where signed certificates go: `store.writer.RouteStore`."""

    def put_certificate(self, name: str, chain: str, key: str, not_after: float) -> None: ...


class Names(Protocol):
    """What is known of a name: `store.reader.StoreReader`."""

    def served(self, name: str) -> bool: ...

    def certificate(self, name: str) -> IssuedCertificate | None: ...


class Certifier:
    """
    Signs a name that the store serves, or the node's own, when it has no certificate that
    lasts. All of it happens in the thread that writes, one name after the other: whoever asks
    for a name that was just signed finds it there.
    """

    log = Logger()

    def __init__(
        self,
        authority: Signer,
        store: CertificateStore,
        names: Names,
        own_name: str,
        clock: Callable[[], float],
        writing: Callable[..., Deferred[str]],
    ) -> None:
        self._authority = authority
        self._store = store
        self._names = names
        self._own_name = own_name
        self._clock = clock
        self._writing = writing

    def certify(self, asked: str) -> Deferred[str]:
        """Fires with why not, or with nothing once the certificate is in the store."""
        try:
            name = site_name(asked)
        except ValueError as error:
            return succeed(str(error))
        return self._writing(self._certify, name)

    def _certify(self, name: str) -> str:
        # an edge asks for a wildcard as such when the store serves the wildcard
        if name != self._own_name and not self._names.served(name):
            return "the store has no such name"
        present = self._names.certificate(name)
        if present is None or present.not_after < self._clock() + RENEW_BEFORE:
            self._store.put_certificate(name, *self._authority.sign(name))
            self.log.info("signed a certificate for {name}", name=name)
        return ""


class WritingThread(Service):
    """The one thread in which the store is written."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, 1, "writing")

    def startService(self) -> None:
        super().startService()
        self._pool.start()

    def stopService(self) -> None:
        super().stopService()
        self._pool.stop()

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Call the function there; fires with what it returns."""
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)


class ApiListener(Service):
    """Listens for the API's callers."""

    def __init__(self, reactor: Any, path: Path, site: Any) -> None:
        self._reactor = reactor
        self._path = path
        self._site = site
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        self._port = listen(self._reactor, self._path, self._site)

    def stopService(self) -> Any:
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return None
        # Twisted removes it, and fails where there is nothing
        self._path.touch()
        return port.stopListening()

    async def leave(self) -> None:
        """Take no more calls; return when those that came are answered, or `LAST` is over."""
        self._path.unlink(missing_ok=True)
        deadline = self._reactor.seconds() + LAST
        while True:
            # who has connected before may not have been accepted yet
            await deferLater(self._reactor, LOOK)
            if not self._site.is_busy or self._reactor.seconds() >= deadline:
                break
        self._site.end()
        await maybeDeferred(self.stopService)


class Control(MultiService):
    """Listens only on UNIX sockets; ends with SIGTERM, when the calls under way are answered."""

    log = Logger()
    calls: ApiListener

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def _take_signals(self) -> None:
        def terminate(*_: object) -> None:
            self._reactor.callFromThread(self._end)

        signal.signal(signal.SIGTERM, terminate)

    def _end(self) -> None:
        leaving = Deferred.fromCoroutine(self.calls.leave())
        leaving.addErrback(lambda failure: self.log.failure("the end of the API", failure))
        leaving.addBoth(lambda _: self._reactor.stop() if self._reactor.running else None)

    def startService(self) -> None:
        self._reactor.callWhenRunning(self._take_signals)
        # an interrupt at the terminal is the keeper's to pass on
        self._reactor.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)
        super().startService()
