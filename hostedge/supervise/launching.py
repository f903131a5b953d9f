"""
What a daemon is launched with.

In:  `supervise.running`, for each launch; `supervise.supervised`, when an app has changed.
Out: environments, digests.
"""

from __future__ import annotations

from hashlib import blake2s

from hostedge.model.site import Account, App
from hostedge.runtimes.start import Start
from hostedge.settings import Settings
from hostedge.supervise.remains import UNIT
from hostedge.supervise.variables import daemon_environment

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def digest_of(app: App) -> str:
    """What a daemon is launched with; an app whose digest stays is not started anew."""
    launched_with = (app.runtime, app.run, app.directory, sorted(app.environment.items()))
    return blake2s(repr(launched_with).encode(), digest_size=16).hexdigest()


def unit_of(settings: Settings, generation: int) -> str:
    """What no process of another generation, or of another node, was started with."""
    return blake2s(f"{settings.state}/{generation}".encode(), digest_size=16).hexdigest()


def environment(
    settings: Settings, account: Account, app: App, generation: int, start: Start, address: str
) -> dict[str, str]:
    """
    A white list, then what the owner adds; what only the node may set is set last.

    Raises:
        VariableRefused: the owner has set one of those.
    """
    home = str(settings.homes / account.name)
    node = {
        "HOSTEDGE_APP": f"{account.name}/{app.name}",
        "HOSTEDGE_GENERATION": str(generation),
        UNIT: unit_of(settings, generation),
    }
    if start.listen == "port":
        node["HOST"], _, node["PORT"] = address.rpartition(":")
        node["IP"] = node["HOST"]
    folders = (*map(str, start.path), SYSTEM_PATH)
    return daemon_environment(account.name, home, folders, app.environment, node)
