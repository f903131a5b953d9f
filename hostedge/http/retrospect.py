"""
Relays of a host as it was: they tell where a request would have gone, and take none.

In:  `edge.EdgeParts`, in place of `http.backends.Backends`, where the past is put together.
Out: leaves whose account of themselves has the options of then and the state of now.

The backends that requests use follow the newest site; whoever asks about an older one must
leave them as they are.
"""

from __future__ import annotations

from hostedge.http.app_backend import AppBackend
from hostedge.http.backends import Backends
from hostedge.http.lane import Means
from hostedge.http.pool_backend import PoolBackend
from hostedge.http.relay import Relay
from hostedge.model.onward import told
from hostedge.model.site import Account, App, Pool
from hostedge.settings import Limits


class FormerApp(AppBackend):
    """An app as it was; `present` is its backend now, if there is one."""

    def __init__(self, name: str, app: App, means: Means, present: AppBackend | None) -> None:
        super().__init__(name, app, means)
        self._present = present
        self.sockets = present.sockets if present else 0

    def explain(self) -> list[str]:
        if self._present is None:
            return [f"now: this edge does not know app {self.name}"]
        return [f"now: {line}" for line in self._present.explain()]


class FormerPool(PoolBackend):
    """A pool as it was."""

    def __init__(self, name: str, pool: Pool, means: Means, present: PoolBackend | None) -> None:
        super().__init__(name, pool, means)
        self._present = present
        self.sockets = present.sockets if present else 0

    def explain(self) -> list[str]:
        servers = ", ".join(server.address for server in self.pool.servers)
        now = [f"now: {line}" for line in self._present.explain()] if self._present else []
        return [f"pool {self.name}: {servers}", *now]


class Retrospect:
    """Makes relays that nothing else holds."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def relay_to_app(self, account: Account, app: App, limits: Limits) -> Relay:
        name, means = f"{account.name}/{app.name}", self._backends.means
        former = FormerApp(name, app, means, self._backends.app_now(name))
        return Relay(former, app.buffer, limits, means.counters, means.disk, name, notes=told(app))

    def relay_to_pool(self, account: str, pool: Pool, limits: Limits) -> Relay:
        name, means = f"{account}/{pool.name}", self._backends.means
        former = FormerPool(name, pool, means, self._backends.pool_now(name))
        return Relay(former, pool.buffer, limits, means.counters, means.disk, notes=told(pool))
