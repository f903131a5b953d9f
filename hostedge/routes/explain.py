"""
What would happen to a request, step by step, and why.

In:  an edge that is asked with `ipc.Explain`; it passes its own host cache.
Out: the steps in their order. Each is the answer of the very function that a request calls, so
     what is said here is what happens; control adds what the keeper knows of the app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from hostedge.errors import CAUSES, BadRequest
from hostedge.http.exchange import OfApp
from hostedge.model.keys import domain_key
from hostedge.routes.compile import HostRoutes
from hostedge.routes.match import Node, is_under
from hostedge.routes.readings import has_one_reading, merged
from hostedge.wire.host import split_authority
from hostedge.wire.target import origin_form, split_target


@frozen
class Step:
    """One decision on a request's way."""

    # the word for the decision: certificate, target, host, mapping, answer, daemon
    step: str
    answer: str
    reason: str
    # of the object in the store that has decided; empty: none has, or more than one
    key: str = ""


def explain(url: str, method: str, lookup: Callable[[str], HostRoutes | None]) -> list[Step]:
    """
    Tell a request's way from its host to the leaf.

    The last step is the leaf's own account of itself, or the refusal; but for the daemon of an
    app, whose state only the keeper knows.
    """
    steps: list[Step] = []
    try:
        for step in _steps(url, method, lookup):
            steps.append(step)
    except BadRequest as refusal:
        steps.append(_refused(refusal.cause, refusal.detail))
    return steps


def _steps(url: str, method: str, lookup: Callable[[str], HostRoutes | None]) -> Iterator[Step]:
    raw = url.encode("utf-8")
    scheme, mark, rest = raw.partition(b"://")
    if not mark or scheme not in (b"http", b"https"):
        raise BadRequest("bad_request", "want a URL: https://host/path")
    authority = rest.partition(b"/")[0].partition(b"?")[0]
    host = split_authority(authority)[0]
    path, query = split_target(origin_form(method.encode("utf-8"), raw, scheme, authority))
    reason = "the path that mappings are matched with"
    if query is not None:
        reason += "; the query is left out of it"
    yield Step("target", path.decode("ascii"), reason)
    routes = lookup(host)
    if routes is None:
        reason = f"neither {host} nor a wildcard for it is a domain here"
        # there may have been one
        yield Step("host", "none", reason, domain_key(host))
        raise BadRequest("unknown_host")
    yield _host(host, routes)
    if routes.merges:
        path = merged(path)
    leaf = routes.leaf(path)
    yield _mapping(routes, path)
    if leaf is None:
        raise BadRequest("no_mapping")
    answer, *reasons = leaf.explain()
    app = leaf.app if isinstance(leaf, OfApp) else ""
    yield Step("answer", answer, "; ".join(reasons), f"app/{app}" if app else "")
    if app:
        yield Step("daemon", app, "")


def _host(host: str, routes: HostRoutes) -> Step:
    how = "the name itself" if routes.name == host else f"the wildcard covers {host}"
    reason = f"{how}; of account {routes.account}, store revision {routes.revision}"
    if routes.strict:
        reason += f"; over TLS answers say Strict-Transport-Security: {routes.strict.decode()}"
    return Step("host", routes.name, reason, domain_key(routes.domain))


def _mapping(routes: HostRoutes, path: bytes) -> Step:
    chosen = routes.node(path)
    every = [node.prefix for node in _planted(routes.tree)]
    lost = [p for p in every if is_under(path, p) and (chosen is None or p != chosen.prefix)]
    others = len(every) - len(lost) - (chosen is not None)
    if chosen is None:
        return Step("mapping", "none", f"none of {len(every)} mappings is a prefix of the path")
    other = routes.disagreeing(path) if routes.behind and not has_one_reading(path) else None
    if other is not None:
        reading, node = other
        reason = (
            f"may also be read as {reading.decode('ascii', 'backslashreplace')}, "
            f"which is for {_shown(node.prefix)}; `encoded_slash` of the domain says what then"
        )
        return Step("mapping", _shown(chosen.prefix), reason)
    reason = "the longest prefix"
    if lost:
        reason += f"; shorter: {', '.join(map(_shown, lost))}"
    if others:
        reason += f"; not a prefix: {others} more"
    if own := routes.limits.get(chosen.prefix):
        reason += f"; limits of its own: {own}"
    return Step("mapping", _shown(chosen.prefix), reason)


def _planted(node: Node) -> Iterator[Node]:
    if node.leaf is not None:
        yield node
    for child in node.children.values():
        yield from _planted(child)


def _shown(prefix: bytes) -> str:
    return prefix.decode("ascii") or "/"


def _refused(cause: str, detail: str) -> Step:
    answer = CAUSES[cause]
    reason = f"{answer.reason} ({detail})" if detail else answer.reason
    return Step("answer", str(answer.status), reason)
