"""
Which certificate answers for a server name.

In:  `net.handshake` asks for the name of a hello; `Changed` says that the store has moved on.
Out: the context that carries it, at once or after control's CA has signed the name; or why the
     hello is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from attrs import define, frozen
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.routes.hostname import is_address, ordered, parse_hostname, wildcard_of
from hostedge.tls.contexts import Policy, make_certificate_context
from hostedge.wire.client_hello import INTERNAL_ERROR, UNRECOGNIZED_NAME

EXPIRES_SOON = 24 * 3600.0  # seconds before its end that a certificate counts as ended
ASK_AGAIN = 30.0  # seconds after which control is asked once more for a name it refused
MAX_NAMES = 10_000


class Issued(Protocol):
    """What is needed of `store.reader.IssuedCertificate`: PEM, and its last second."""

    @property
    def chain(self) -> bytes: ...

    @property
    def key(self) -> bytes: ...

    @property
    def not_after(self) -> float: ...


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def served(self, name: str) -> bool: ...

    def gap(self, name: str) -> tuple[str, str]: ...

    def certificate(self, name: str) -> Issued | None: ...


@frozen
class Refusal:
    """Why there is no certificate: the alert for the client, the counter for us."""

    alert: int
    counter: str


UNKNOWN = Refusal(UNRECOGNIZED_NAME, "tls_unknown_name")
WITHOUT = Refusal(INTERNAL_ERROR, "tls_no_certificate")

Answer = SSL.Context | Refusal


@define(eq=False)
class _Held:
    """A certificate in use; until `good` it is used without a look at the store."""

    issued: Issued
    context: SSL.Context
    good: float


class Certificates:
    """
    At most `size` contexts, 22 KiB each, are kept, found by the certificate itself: names that
    share one share its context, and a store that has changed in other places drops nothing.

    A name that a wildcard covers is answered by the wildcard's certificate, so made-up names
    never have anything signed or kept.
    """

    _log = Logger()

    def __init__(
        self,
        reader: Reader,
        certify: Callable[[str], Deferred[str]],
        default_name: str,
        policy: Policy,
        protocols: Sequence[bytes],
        clock: Callable[[], float],
        size: int = 1000,
    ) -> None:
        self._reader = reader
        self._certify = certify
        self._default_name = default_name
        self._policy = policy
        self._protocols = tuple(protocols)
        self._clock = clock
        self._size = size
        # the least recently used first
        self._held: OrderedDict[tuple[bytes, bytes], _Held] = OrderedDict()
        # of those; forgotten with them
        self._names: WeakValueDictionary[str, _Held] = WeakValueDictionary()
        # who waits for control, by the name to be signed
        self._waiting: dict[str, list[Deferred[str]]] = {}
        # names that control refused, and when it may be asked again
        self._refused: OrderedDict[str, float] = OrderedDict()

    def find(self, name: str | None) -> Answer | Deferred[Answer]:
        """
        Answer for a server name in normal form; None: the client named nobody.
        """
        asked = self._default_name if name is None else name
        held = self._names.get(asked)
        if held is not None and self._clock() < held.good:
            self._held.move_to_end(_identity(held.issued))
            return held.context
        if asked != self._default_name and not self._reader.served(asked):
            return UNKNOWN
        subject = self._subject(asked)
        issued = self._stored(asked, subject)
        if issued is not None and self._lasts(issued):
            return self._take(asked, issued, issued.not_after - EXPIRES_SOON)
        if self._refused.get(subject, 0.0) > self._clock():
            return self._make_do(asked, subject)
        return self._signed(subject).addCallback(self._after, asked, subject)

    def changed(self, _: object = None) -> None:
        """
        The store has moved on, wherever: names may belong to others or have other
        certificates. Contexts stay: each is found again by its certificate.
        """
        self._names.clear()
        self._refused.clear()

    def explain(self, name: str) -> str:
        """Say what a hello for this name would get now, and why."""
        try:
            asked = parse_hostname(name)
        except ValueError as problem:
            return f"refused, unrecognized_name: {problem}"
        if is_address(asked):
            asked = self._default_name
        if asked != self._default_name and not self._reader.served(asked):
            return "refused, unrecognized_name: no domain has this name"
        subject = self._subject(asked)
        issued = self._stored(asked, subject)
        if issued is None:
            return f"none yet: control signs one for {subject}"
        if not self._lasts(issued):
            return f"about to expire: control is asked for another one for {subject}"
        return "in use" if asked in self._names else "in the store"

    def __len__(self) -> int:
        return len(self._held)

    def _lasts(self, issued: Issued) -> bool:
        return self._clock() < issued.not_after - EXPIRES_SOON

    def _subject(self, asked: str) -> str:
        """The name to be certified: the one asked for, or the wildcard it is served by."""
        wildcard = wildcard_of(asked)
        if asked == self._default_name or wildcard is None:
            return asked
        return asked if self._reader.gap(asked)[0] == ordered(asked) else wildcard

    def _stored(self, asked: str, subject: str) -> Issued | None:
        issued = self._reader.certificate(asked)
        if issued is None and subject != asked:
            issued = self._reader.certificate(subject)
        return issued

    def _take(self, asked: str, issued: Issued, good: float) -> Answer:
        identity = _identity(issued)
        held = self._held.get(identity)
        if held is None:
            try:
                context = make_certificate_context(
                    self._policy, issued.chain, issued.key, self._protocols
                )
            except ValueError as error:
                self._log.error(
                    "the certificate of {name} cannot be used: {error}", name=asked, error=error
                )
                return WITHOUT
            held = self._held[identity] = _Held(issued, context, good)
            if len(self._held) > self._size:
                self._held.popitem(last=False)
        held.good = good
        self._held.move_to_end(identity)
        if len(self._names) >= MAX_NAMES:
            self._names.clear()
        self._names[asked] = held
        return held.context

    def _signed(self, subject: str) -> Deferred[str]:
        """Have control sign a name, once for all who wait; fires with why not, or nothing."""
        answer: Deferred[str] = Deferred(lambda gone: self._leave(subject, gone))
        waiting = self._waiting.get(subject)
        if waiting is not None:
            waiting.append(answer)
            return answer
        self._waiting[subject] = [answer]
        self._certify(subject).addErrback(self._broke, subject).addCallback(self._told, subject)
        return answer

    def _leave(self, subject: str, gone: Deferred[str]) -> None:
        waiting = self._waiting.get(subject)
        if waiting is not None and gone in waiting:
            waiting.remove(gone)

    def _broke(self, failure: Failure, subject: str) -> str:
        self._log.failure("no certificate for {name}", failure, name=subject)
        return "control could not be asked"

    def _told(self, refusal: str, subject: str) -> None:
        if refusal:
            self._refused[subject] = self._clock() + ASK_AGAIN
            self._refused.move_to_end(subject)
            if len(self._refused) > self._size:
                self._refused.popitem(last=False)
        for waiting in self._waiting.pop(subject):
            waiting.callback(refusal)

    def _after(self, _: str, asked: str, subject: str) -> Answer:
        # Whatever control says, the store has the word; what it had before may be old by now.
        issued = self._stored(asked, subject)
        if issued is not None and self._lasts(issued):
            return self._take(asked, issued, issued.not_after - EXPIRES_SOON)
        return self._make_do(asked, subject)

    def _make_do(self, asked: str, subject: str) -> Answer:
        """Use what there is: a certificate past its time says more to a client than none."""
        issued = self._stored(asked, subject)
        if issued is None:
            return WITHOUT
        return self._take(asked, issued, self._clock() + ASK_AGAIN)


def _identity(issued: Issued) -> tuple[bytes, bytes]:
    return issued.chain, issued.key
