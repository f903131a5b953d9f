"""
Every word that may stand under `mappings:`. To add one: write its file, add its line here.

In:  `compose` and the command line, which read site files and compile hosts with them.
Out: `KINDS`.
"""

from hostedge.mappings.app import AppKind
from hostedge.mappings.parts import MappingKind
from hostedge.mappings.pool import PoolKind
from hostedge.mappings.redirect import RedirectKind
from hostedge.mappings.static import StaticKind

KINDS: tuple[MappingKind, ...] = (
    AppKind(),
    PoolKind(),
    StaticKind(),
    RedirectKind(),
)
