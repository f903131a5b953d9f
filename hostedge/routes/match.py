"""
Which mapping answers for a path: the longest prefix, on the borders of segments.

In:  `routes.compile` plants the tree, `HostRoutes.leaf` and `routes.explain` ask it.
Out: the node of the mapping, or None.
"""

from __future__ import annotations

from attrs import define, field

from hostedge.http.exchange import Leaf


@define(eq=False)
class Node:
    """One segment of some mapping's path; `leaf` is None where only longer mappings are."""

    # from the root to here, no slash at the end; the root's is empty
    prefix: bytes = b""
    leaf: Leaf | None = None
    children: dict[bytes, Node] = field(factory=dict)


def plant(root: Node, prefix: bytes, leaf: Leaf) -> None:
    """Put a mapping into the tree; of two with one prefix the first stays."""
    node = root
    if prefix:
        for segment in prefix[1:].split(b"/"):
            child = node.children.get(segment)
            if child is None:
                child = Node(node.prefix + b"/" + segment)
                node.children[segment] = child
            node = child
    if node.leaf is None:
        node.leaf = leaf


def match(root: Node, path: bytes) -> Node | None:
    """
    Find the mapping for a path in match form.

    The cost grows with the depth of the mappings, not with their number nor the path's length.
    """
    best = root if root.leaf is not None else None
    node: Node | None = root
    start = 1
    while node is not None and node.children:
        end = path.find(b"/", start)
        if end < 0:
            node = node.children.get(path[start:])
            return node if node is not None and node.leaf is not None else best
        node = node.children.get(path[start:end])
        if node is not None and node.leaf is not None:
            best = node
        start = end + 1
    return best


def is_under(path: bytes, prefix: bytes) -> bool:
    """Whether a path is the prefix or below it."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")
