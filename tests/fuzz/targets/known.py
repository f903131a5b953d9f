"""
The targets.

In:  `tests.fuzz.__main__`, `tests.fuzz.test_corpus`.
Out: `TARGETS`.
"""

from __future__ import annotations

from tests.fuzz.targets import client_hello, h1, h2, proxy_protocol
from tests.fuzz.targets.kind import Target

TARGETS: dict[str, Target] = {
    each.TARGET.name: each.TARGET for each in (h1, h2, client_hello, proxy_protocol)
}
