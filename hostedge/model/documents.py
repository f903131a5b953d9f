"""
YAML text into plain keys and values, one document at a time.

In:  the command line, with a site file of one or of many accounts.
Out: dicts, lists, texts, numbers; `ConfigError` names file and line.
Spec: YAML 1.1 as libyaml reads it, without tags, merge keys and dates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO, Any

from yaml import (
    AliasEvent,
    CSafeLoader,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    ScalarNode,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
    YAMLError,
)

from hostedge.errors import ConfigError

MAX_DEPTH = 32
# Values in one document, each alias counted as what it stands for: a few lines of aliases of
# aliases would otherwise be billions of values for whoever walks them.
MAX_VALUES = 5_000_000

_TOO_DEEP = "want fewer values within values"
# newer ones look ahead, and have a limit of their own
_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"

_TAG = "tag:yaml.org,2002:"
_BETWEEN = (StreamStartEvent, DocumentStartEvent, DocumentEndEvent)


def read_documents(stream: IO[bytes] | bytes | str, where: str) -> Iterator[object]:
    """
    Read documents as they come; empty ones are left out.

    Raises:
        ConfigError: naming file and line.
    """
    try:
        # the loader reads ahead, and may refuse, when it is made
        loader: Any = CSafeLoader(stream)
        # a file has few keys, each very often
        resolve = lru_cache(maxsize=1024)(loader.resolve)
        try:
            while not isinstance(event := loader.get_event(), StreamEndEvent):
                if isinstance(event, _BETWEEN):
                    continue
                value = _Builder(loader, resolve, where).build(event, 0)
                if value is not None:
                    yield value
        finally:
            loader.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        said = error.problem or error.context
        problem = _TOO_DEEP if said == _DEEP_FOR_LIBYAML else f"is not YAML: {said}"
        raise ConfigError(f"{where}{line}", problem) from None
    except (YAMLError, UnicodeError) as error:
        raise ConfigError(where, f"is not YAML: {str(error).splitlines()[0]}") from None


class _Builder:
    """
    Turns the events of one document into values.

    PyYAML's own way makes a tree of nodes first. That takes twice the time, and a file of
    100,000 brackets overflows the C stack before anybody could count them.
    """

    def __init__(self, loader: Any, resolve: Callable[..., Any], where: str) -> None:
        self._next = loader.get_event
        self._resolve = resolve
        # characters that a plain scalar begins with when it may be no text
        self._special = loader.yaml_implicit_resolvers
        self._scalars = {
            f"{_TAG}int": loader.construct_yaml_int,
            f"{_TAG}float": loader.construct_yaml_float,
            f"{_TAG}bool": loader.construct_yaml_bool,
            f"{_TAG}null": loader.construct_yaml_null,
        }
        self._where = where
        self._left = MAX_VALUES
        # what an alias stands for, and how many values that is
        self._anchors: dict[str, tuple[object, int]] = {}

    def build(self, event: Any, depth: int) -> object:
        """The value that begins with this event."""
        before = self._left
        self._left -= 1
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if self._left < 0 or depth > MAX_DEPTH:
            raise self._refused(event, _TOO_DEEP)
        value: object
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            value = self._mapping(event, depth)
        else:
            value = self._sequence(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, before - self._left
        return value

    def _alias(self, event: AliasEvent) -> object:
        if event.anchor not in self._anchors:
            raise self._refused(event, f"want a value marked &{event.anchor} above")
        value, count = self._anchors[event.anchor]
        self._left -= count
        if self._left < 0:
            raise self._refused(event, "want fewer values, and no aliases of aliases")
        return value

    def _scalar(self, event: ScalarEvent) -> object:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            plain = event.implicit[0]
            if not plain or (text and text[0] not in self._special):
                return text
            tag = self._resolve(ScalarNode, text, event.implicit)
        # Dates are texts here: nothing in a site file is a date.
        if tag in (f"{_TAG}str", f"{_TAG}timestamp", f"{_TAG}value"):
            return text
        construct = self._scalars.get(tag)
        if construct is None:
            raise self._refused(event, f"want no tags and no merge keys, not {tag}")
        try:
            return construct(ScalarNode(tag, text))
        except (ValueError, KeyError):
            raise self._refused(event, f"{text!r} does not fit its tag") from None

    def _sequence(self, start: SequenceStartEvent, depth: int) -> list[object]:
        self._check_tag(start, "seq")
        made = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            made.append(self.build(event, depth + 1))
        return made

    def _mapping(self, start: MappingStartEvent, depth: int) -> dict[str, object]:
        self._check_tag(start, "map")
        made: dict[str, object] = {}
        while not isinstance(key := self._next(), MappingEndEvent):
            if not isinstance(key, ScalarEvent):
                raise self._refused(key, "want a text as key")
            name = self._scalar(key)
            if not isinstance(name, str):
                raise self._refused(key, f"want a text as key: put {key.value} in quotes")
            if name in made:
                raise self._refused(key, f"{name} stands here twice")
            made[name] = self.build(self._next(), depth + 1)
        return made

    def _check_tag(self, event: SequenceStartEvent | MappingStartEvent, plain: str) -> None:
        if event.tag not in (None, "!", f"{_TAG}{plain}"):
            raise self._refused(event, f"want no tags, not {event.tag}")

    def _refused(self, event: Any, problem: str) -> ConfigError:
        return ConfigError(f"{self._where}:{event.start_mark.line + 1}", problem)
