"""
`twistd -n hostedge --settings FILE`: options in, service out.

In:  twistd, through `twisted/plugins/hostedge_plugin.py`.
Out: the service of one role. Every file is read and every address bound in `postOptions`:
     an error there is one line.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from hostedge.errors import ConfigError
from hostedge.settings import Settings, read_settings
from hostedge.supervise import handover
from hostedge.supervise.inheritance import Inheritance, take_over
from hostedge.supervise.user import app_owner

ROLES = ("keeper", "control", "check")


class Options(usage.Options):
    """One option; everything else is in the settings file or in the route store."""

    synopsis = "[--settings FILE]"
    longdesc = (
        "Start the node: its keeper, which starts everything else. "
        "What the node serves is in its route store: see `hostedge --help`."
    )
    optParameters = [
        ["settings", "s", "/etc/hostedge/hostedge.toml", "The node's settings file."],
        # the keeper starts control as this same plug-in, and has the code of an upgrade checked
        ["role", None, "keeper", "What to be: keeper, control, or check, which only looks."],
    ]
    settings: Settings
    inheritance: Inheritance
    # twistd's pid file, if this process is in it already
    pid_file = ""

    def postOptions(self) -> None:
        role = self["role"]
        if role not in ROLES:
            raise usage.UsageError(f"--role: want {', '.join(ROLES)}, not {role!r}")
        try:
            self.settings = read_settings(Path(self["settings"]))
            if role != "control":
                app_owner(self.settings)
            if role == "check":
                _look(self.settings)
            elif role == "keeper":
                before = handover.received()
                if before is not None:
                    self._go_on_as(self.parent)
                self.inheritance = take_over(self.settings, before)
        except ConfigError as error:
            if role == "check":
                # in its own words, and with a status that says so
                raise SystemExit(str(error)) from None
            raise usage.UsageError(str(error)) from None

    def _go_on_as(self, twistd: Any) -> None:
        """This process has the user, the session and the pid file that twistd would give it."""
        self.pid_file, twistd["pidfile"] = twistd["pidfile"], ""
        if not twistd["nodaemon"]:
            twistd["nodaemon"] = True
            twistd["logfile"] = twistd["logfile"] or "twistd.log"
        twistd["uid"] = twistd["gid"] = twistd["chroot"] = None

    def restore_pid_file(self) -> None:
        """From here on twistd may write it again, and removes it in the end."""
        if self.pid_file:
            parent: Any = self.parent
            parent["pidfile"] = os.path.abspath(self.pid_file)


def _look(settings: Settings) -> None:
    """End well if the code that is here could run this node, else with what is wrong."""
    from hostedge import compose

    compose.check(settings)
    raise SystemExit(handover.FINE)


def makeService(options: Options) -> IService:  # noqa: N802 - twistd calls it
    """The service of the role that the options name."""
    # as in supervise.own; compose enables it
    gc.disable()
    from twisted.internet import reactor  # noqa: TID251 - the one place that takes it

    import hostedge.compose as compose

    options.restore_pid_file()
    service: IService
    if options["role"] == "control":
        service = compose.control(reactor, options.settings)
    else:
        service = compose.keeper(reactor, options.settings, options.inheritance)
    return service
