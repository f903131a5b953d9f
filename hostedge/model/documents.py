"""
YAML text into plain keys and values, one document at a time.

In:  the command line, with a site file of one or of many accounts.
Out: dicts, lists, texts, numbers; `ConfigError` names file and line.
Spec: YAML 1.1 as libyaml reads it, without tags, merge keys and dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from yaml import (
    CSafeLoader,
    MappingNode,
    MarkedYAMLError,
    Node,
    ScalarNode,
    SequenceNode,
    YAMLError,
)

from hostedge.errors import ConfigError

MAX_DEPTH = 32
# Values in one document, each alias counted as what it stands for: a few lines of aliases of
# aliases would otherwise be billions of values for whoever walks them.
MAX_VALUES = 5_000_000

_TAG = "tag:yaml.org,2002:"


def read_documents(stream: IO[bytes] | bytes | str, where: str) -> Iterator[object]:
    """
    Read documents as they come; empty ones are left out.

    Raises:
        ConfigError: naming file and line.
    """
    loader: Any = CSafeLoader(stream)
    try:
        while loader.check_node():
            value = _Builder(loader, where).build(loader.get_node(), 0)
            if value is not None:
                yield value
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = f"is not YAML: {error.problem or error.context}"
        raise ConfigError(f"{where}{line}", problem) from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(where, f"is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        loader.dispose()


class _Builder:
    """Turns the nodes of one document into values: PyYAML's own way takes twice the time."""

    def __init__(self, loader: Any, where: str) -> None:
        self._scalars = {
            f"{_TAG}int": loader.construct_yaml_int,
            f"{_TAG}float": loader.construct_yaml_float,
            f"{_TAG}bool": loader.construct_yaml_bool,
            f"{_TAG}null": loader.construct_yaml_null,
        }
        self._where = where
        self._left = MAX_VALUES

    def build(self, node: Node, depth: int) -> object:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise self._refused(node, "want fewer values, and no aliases of aliases")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(item, depth + 1) for item in node.value]
        raise self._refused(node, f"want no tags, not {node.tag}")

    def _scalar(self, node: ScalarNode) -> object:
        # Dates are texts here: nothing in a site file is a date.
        if node.tag in (f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"):
            return node.value
        construct = self._scalars.get(node.tag)
        if construct is None:
            raise self._refused(node, f"want no tags and no merge keys, not {node.tag}")
        try:
            return construct(node)
        except ValueError:
            raise self._refused(node, f"{node.value!r} does not fit its tag") from None

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, object]:
        made: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._refused(key, "want a text as key")
            name = self._scalar(key)
            if not isinstance(name, str):
                raise self._refused(key, f"want a text as key: put {key.value} in quotes")
            if name in made:
                raise self._refused(key, f"{name} stands here twice")
            made[name] = self.build(value, depth + 1)
        return made

    def _refused(self, node: Node, problem: str) -> ConfigError:
        return ConfigError(f"{self._where}:{node.start_mark.line + 1}", problem)
