"""
What a word of a site file has to be: a kind of mapping, or a runtime of apps.

In:  `mappings.known` and `runtimes.known` list the kinds; `model.site` reads site files by them.
Out: the frozen attrs class whose fields are the word's options.
"""

from __future__ import annotations

from typing import Protocol


class Kind(Protocol):
    """One word of the site file; `value` is the frozen attrs class that holds its options."""

    @property
    def word(self) -> str: ...

    @property
    def value(self) -> type: ...
