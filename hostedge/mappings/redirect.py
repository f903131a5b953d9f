"""
`redirect`: send the client somewhere else.

In:  `routes.compile` with the mapping, requests from the server protocol.
Out: an empty answer with `Location`.

Site file::

    - {path: /old, redirect: "https://demo.localhost/new", status: 308}

What follows the path is kept, the query too: `/old/a?b` leads to `/new/a?b` there.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from attrs import Attribute, field, frozen

from hostedge.http.exchange import Exchange, Leaf
from hostedge.mappings.parts import Parts
from hostedge.model.site import Found
from hostedge.routes.hostname import parse_hostname

# no blanks, controls or other scripts; `?` and `#` would stand before what is added
_TARGET = re.compile(r"(?:https?://[^/@\\?#\s]+)?(?:/(?!/)[!\"$->@-\[\]-~]*)?")


def _check_target(value: object, attribute: Attribute[Any], target: str) -> None:
    if not target or not _TARGET.fullmatch(target) or not target.isascii():
        raise ValueError(
            "want https://host/path or /path, without query and fragment, "
            "other characters as %-escapes",
            attribute,
        )
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)
            parse_hostname(parts.netloc.rpartition(":")[0] if parts.port else parts.netloc)
        except ValueError as error:
            raise ValueError(f"want a URL with a host: {error}", attribute) from None


@frozen
class Redirect:
    """What a `redirect` mapping says."""

    redirect: str = field(validator=_check_target)
    # 308 and 307 keep the method, the others make a GET of most; 308 and 301 are remembered
    status: Literal[301, 302, 303, 307, 308] = 308


class RedirectKind:
    """The word `redirect`."""

    word = "redirect"
    value = Redirect

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        """Make the leaf."""
        assert isinstance(value, Redirect)  # noqa: S101
        return RedirectLeaf(value.redirect.encode("ascii"), value.status, len(prefix))


@frozen
class RedirectLeaf:
    """Sends whoever comes to `target`, and what follows the first `skip` bytes of the path."""

    target: bytes
    status: int
    skip: int

    @property
    def limits(self) -> None:
        """None of its own."""

    def answer(self, exchange: Exchange) -> None:
        location = self.target
        rest = exchange.path[self.skip :]
        if rest:
            # never two slashes in front: `//evil.example` would be another host
            location = location.rstrip(b"/") + b"/" + rest.lstrip(b"/")
        if exchange.query is not None:
            location += b"?" + exchange.query
        exchange.respond(self.status, [(b"Location", location)], b"")

    def explain(self) -> list[str]:
        return [f"{self.status} to {self.target.decode('ascii')} and the rest of the path"]
