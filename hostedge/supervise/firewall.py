"""
Who may connect to daemons that bind a $PORT: this node's edges, and nobody else.

In:  `keeper` when accounts have users of their own, at its start and end.
Out: one nftables table, replaced as a whole.
Spec: nft(8).

Programs like to bind all addresses, where the whole internet would reach past everything that an
edge does; and on the loopback every customer could. Daemons with a held listener need no rules: who
cannot enter the folder of a UNIX socket cannot connect to it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

from twisted.logger import Logger

TABLE = "inet hostedge"
# the packages of some systems put it where only root looks
PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"
PATIENCE = 10.0

_RULES = """\
add table {table}
delete table {table}
table {table} {{
    chain input {{
        type filter hook input priority -10; policy accept;
        iif != "lo" tcp dport {ports} ct state new drop
    }}
    chain output {{
        type filter hook output priority -10; policy accept;
        oif "lo" tcp dport {ports} ct state new meta skuid != {{ {callers} }} reject with tcp reset
    }}
}}
"""


def rules(ports: range, callers: Iterable[int]) -> str:
    """
    The table as `nft -f` takes it: these ports are nobody's but the callers', who are uids.
    """
    uids = ", ".join(map(str, sorted(set(callers))))
    return _RULES.format(table=TABLE, ports=f"{ports[0]}-{ports[-1]}", callers=uids)


def find_nft() -> str | None:
    """The program, if it is installed."""
    return shutil.which("nft", path=PLACES)


class Firewall:
    """
    The table in the kernel, while the node runs. nft is waited for: at these two moments nobody is
    linked to this process.
    """

    log = Logger()

    def __init__(self, ports: range, callers: Iterable[int]) -> None:
        self._rules = rules(ports, callers)
        self.is_up = False

    def raise_it(self) -> None:
        """Put the table there; where that is not possible the log says so, and doctor."""
        problem = self._load(self._rules)
        self.is_up = not problem
        if problem:
            self.log.warn("anybody can connect to apps that bind a port: {why}", why=problem)

    def lower_it(self) -> None:
        """Take the table away."""
        if self.is_up:
            self.is_up = False
            problem = self._load(f"delete table {TABLE}\n")
            if problem:
                self.log.warn("the rules for ports of apps stay: {why}", why=problem)

    def _load(self, text: str) -> str:
        """Why it was refused, or nothing."""
        program = find_nft()
        if program is None:
            return "nft is not installed (Debian: nftables)"
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program and our own rules
                [program, "-f", "-"], input=text, capture_output=True, text=True, timeout=PATIENCE
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return ""
        said = done.stderr.strip().splitlines() or [f"nft ended with status {done.returncode}"]
        return said[0]
