"""Kinds of mappings and leaves for tests of the routes."""

from collections.abc import Callable

from attrs import define, field, frozen

from hostedge.http.exchange import Exchange, Leaf
from hostedge.mappings.parts import Parts
from hostedge.model.limits import MappingLimits, limits_of
from hostedge.model.site import Account, App, Domain, Found, Mapping, Pool, Rate
from hostedge.net.descriptors import Files
from hostedge.settings import Limits


@frozen
class Say:
    """`{path: /, say: word}`"""

    say: str
    limits: MappingLimits | None = None


@frozen
class UseApp:
    """`{path: /, app: name}`"""

    app: str


@define(eq=False)
class Saying:
    """A leaf that keeps whom it answered."""

    word: str
    prefix: bytes
    answered: list[Exchange] = field(factory=list)
    limits: Limits | None = None

    def answer(self, exchange: Exchange) -> None:
        self.answered.append(exchange)

    def explain(self) -> list[str]:
        return [f"says {self.word}"]


@frozen
class Asking:
    """A leaf behind which an app stands."""

    app: str
    limits: Limits | None = None

    def answer(self, exchange: Exchange) -> None:
        raise AssertionError("there is no app")

    def explain(self) -> list[str]:
        return [f"asks {self.app}", "it is there", "nobody waits"]


class SayKind:
    word = "say"
    value = Say

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        assert isinstance(value, Say)
        return Saying(value.say, prefix)


class UseAppKind:
    word = "app"
    value = UseApp

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        assert isinstance(value, UseApp)
        return parts.relay_to_app(found.account, found.apps[value.app], None)


@define(eq=False)
class Counting:
    """Lets come as many of each client as the rate says, and no more ever."""

    site: str
    rate: Rate
    asked: dict[str, int] = field(factory=dict)

    def ask(self, client: str) -> float:
        self.asked[client] = self.asked.get(client, 0) + 1
        return 0.0 if self.asked[client] <= self.rate.requests else 2.5


class TestParts:
    """Apps that say their own name."""

    files = Files()

    def limits(self, own: MappingLimits | None) -> Limits:
        return limits_of(own, Limits())

    def relay_to_app(
        self, account: Account, app: App, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        return Asking(f"{account.name}/{app.name}")

    def relay_to_pool(
        self, account: str, pool: Pool, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        return Saying(f"{account}/{pool.name}", b"")

    def home(self, account: str) -> str:
        return f"/home/{account}"

    def owner(self, account: str) -> int:
        return 1000

    def limiter(self, site: str, rate: Rate) -> Counting:
        return Counting(site, rate)

    def next_turn(self, call: Callable[[], None]) -> None:
        raise AssertionError("nothing here takes long")


KINDS = (SayKind(), UseAppKind())


def found(*mappings: tuple[str, object], suspended: bool = False, name: str = "a.test") -> Found:
    """A domain `a.test` of account `demo` with the app `hello`."""
    domain = Domain("a.test", mappings=tuple(Mapping(path, to) for path, to in mappings))
    account = Account("demo", suspended=suspended)
    hello = App("hello", "command", object())
    return Found(name, domain, account, {"hello": hello}, {}, 7)
