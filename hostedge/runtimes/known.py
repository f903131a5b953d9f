"""
The runtimes of apps, in the order in which they are documented.

In:  `compose` hands them to `model.parse`, the routes and the daemon manager.
Out: `KINDS`.
"""

from __future__ import annotations

from hostedge.runtimes import command, wsgi
from hostedge.runtimes.start import Runtime

KINDS: tuple[Runtime, ...] = (wsgi.RUNTIME, command.RUNTIME)
