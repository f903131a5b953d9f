"""
Every word that may stand under `mappings:`. To add one: write its file, add its line here.
"""

from hostedge.mappings.parts import MappingKind
from hostedge.mappings.redirect import RedirectKind
from hostedge.mappings.static import StaticKind

KINDS: tuple[MappingKind, ...] = (
    StaticKind(),
    RedirectKind(),
)
