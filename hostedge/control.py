"""
Control as a service: the store's only writer, the API, and the local CA.

In:  `compose.control`; edges ask for certificates, operators call the API.
Out: `run/api.sock` and `run/control.sock`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from hostedge.errors import ConfigError
from hostedge.routes.hostname import parse_hostname


class Signer(Protocol):
    """The local CA: `tls.authority.Authority`."""

    def sign(self, name: str) -> tuple[bytes, bytes, float]: ...


class CertificateStore(Protocol):
    """Where signed certificates go: `store.writer.RouteStore`."""

    def put_certificate(self, name: str, chain: bytes, key: bytes, not_after: float) -> None: ...


class Certifier:
    """
    Signs a name that the store serves and that has no certificate; one at a time for a name.

    Signing takes less than a millisecond, so it is done where it is asked for.
    """

    log = Logger()

    def __init__(
        self,
        authority: Signer,
        store: CertificateStore,
        is_served: Callable[[str], bool],
        is_valid: Callable[[str], bool],
    ) -> None:
        self._authority = authority
        self._store = store
        self._is_served = is_served
        self._is_valid = is_valid

    def certify(self, asked: str) -> Deferred[str]:
        """Fires with why not, or with nothing once the certificate is in the store."""
        try:
            name = parse_hostname(asked)
        except (ConfigError, ValueError):
            return succeed("this is no host name")
        if not self._is_served(name):
            return succeed("the store has no such name")
        if not self._is_valid(name):
            self._store.put_certificate(name, *self._authority.sign(name))
            self.log.info("signed a certificate for {name}", name=name)
        return succeed("")


class Control(MultiService):
    """
    Listens only on UNIX sockets. Ends with SIGTERM; a SIGINT meant for the node's terminal is
    the keeper's to pass on.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def startService(self) -> None:
        self._reactor.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)
        os.umask(0o027)
        super().startService()
