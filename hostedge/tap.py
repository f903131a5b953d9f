"""
`twistd -n hostedge --settings FILE`: options in, service out.

In:  twistd, through `twisted/plugins/hostedge_plugin.py`.
Out: the service of one role. Every file is read and every address bound in `postOptions`:
     an error there is one line.
"""

from __future__ import annotations

import gc
from pathlib import Path

from twisted.application.service import IService
from twisted.python import usage

from hostedge.errors import ConfigError
from hostedge.settings import Settings, read_settings
from hostedge.supervise.inheritance import Inheritance, take_over
from hostedge.supervise.user import app_owner


class Options(usage.Options):
    """One option; everything else is in the settings file or in the route store."""

    synopsis = "[--settings FILE]"
    longdesc = (
        "Start the node: its keeper, which starts everything else. "
        "What the node serves is in its route store: see `hostedge --help`."
    )
    optParameters = [
        ["settings", "s", "/etc/hostedge/hostedge.toml", "The node's settings file."],
        # the keeper starts control as this same plug-in
        ["role", None, "keeper", "Which of the node's processes to be: keeper or control."],
    ]
    settings: Settings
    inheritance: Inheritance

    def postOptions(self) -> None:
        role = self["role"]
        if role not in ("keeper", "control"):
            raise usage.UsageError(f"--role: want keeper or control, not {role!r}")
        try:
            self.settings = read_settings(Path(self["settings"]))
            if role == "keeper":
                app_owner(self.settings)
                self.inheritance = take_over(self.settings)
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None


def makeService(options: Options) -> IService:  # noqa: N802 - twistd calls it
    """The service of the role that the options name."""
    # as in supervise.own; compose enables it
    gc.disable()
    from twisted.internet import reactor  # noqa: TID251 - the one place that takes it

    import hostedge.compose as compose

    service: IService
    if options["role"] == "control":
        service = compose.control(reactor, options.settings)
    else:
        service = compose.keeper(reactor, options.settings, options.inheritance)
    return service
