"""
How a frozen attrs class is read from plain keys and values, and written back.

In:  `model.parse`, with the classes of the model and of the known words.
Out: a `Shape` for each class. Its cost is paid when it is made: an import reads hundreds of
     thousands of objects, each with nothing but dictionary look-ups and one check a field.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from attrs import NOTHING, Attribute, fields, frozen

from hostedge.model.names import (
    Size,
    duration,
    duration_document,
    plain_text,
    shown,
    size,
    size_document,
)

Document = dict[str, object]
Check = Callable[[object], object]

_QUOTED_FIELD = re.compile(r"'(\w+)' ")


class Misfit(ValueError):
    """A value is not what is wanted; `path` leads to it, outermost step first."""

    def __init__(self, problem: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = path


def misfit(error: ValueError, step: str) -> Misfit:
    """The same error, seen from one step further out."""
    if isinstance(error, Misfit):
        return Misfit(error.problem, (step, *error.path))
    return Misfit(str(error), (step,))


@frozen
class Field:
    """One key: how its value is read and written, and what it is when left out."""

    name: str
    read: Check
    write: Check
    # NOTHING: must be there
    default: object


@frozen
class Shape:
    """The keys of one class, in the order in which they are written."""

    cls: type
    fields: dict[str, Field]

    def read(self, document: object) -> Any:
        """
        Make the object.

        Raises:
            Misfit: with the path to what is wrong.
        """
        return self.make(self.read_fields(mapping(document)))

    def read_fields(self, document: Mapping[str, object], also: Iterable[str] = ()) -> Document:
        """Check the values one by one; `also` are keys that are known but read elsewhere."""
        known = self.fields
        values: Document = {}
        for key, value in document.items():
            field = known.get(key)
            if field is None:
                raise Misfit(f"is not known here; known: {', '.join([*known, *also])}", (str(key),))
            try:
                values[key] = field.read(value)
            except ValueError as error:
                raise misfit(error, key) from None
        return values

    def make(self, values: Document) -> Any:
        """Put the object together; what is missing takes its default."""
        if len(values) < len(self.fields):
            for field in self.fields.values():
                if field.default is NOTHING and field.name not in values:
                    raise Misfit("is missing", (field.name,))
        try:
            return self.cls(**values)
        except (TypeError, ValueError) as error:
            raise _refused(error, self.fields) from None

    def write(self, value: object) -> Document:
        """The object as keys and values, defaults left out."""
        document: Document = {}
        for field in self.fields.values():
            item = getattr(value, field.name)
            if field.default is NOTHING or item != field.default:
                document[field.name] = field.write(item)
        return document


def mapping(document: object) -> Document:
    """
    Check that this is keys and values.

    Raises:
        Misfit: it is something else.
    """
    if not isinstance(document, dict):
        raise Misfit(f"want keys and values, not {shown(document)}")
    return document


def sequence(read: Check) -> Check:
    """Make the check for a list of such items; the path shows the number and the name."""

    def items(value: object) -> tuple[object, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"want a list, not {shown(value)}")
        done = []
        for item in value:
            try:
                done.append(read(item))
            except ValueError as error:
                raise misfit(error, _step(len(done), item)) from None
        return tuple(done)

    return items


def shape_of(cls: type, checks: Mapping[str, Check] | None = None, skip: str = "") -> Shape:
    """
    Make the shape of an attrs class from its annotations; `checks` go before them.

    Raises:
        TypeError: a field has a type that no site file can hold: our own fault.
    """
    hints = get_type_hints(cls)
    made = {}
    for attribute in fields(cls):
        if attribute.init and attribute.name != skip:
            check = (checks or {}).get(attribute.name)
            made[attribute.name] = _field(attribute, hints[attribute.name], check)
    return Shape(cls, made)


def _field(attribute: Attribute[Any], hint: Any, check: Check | None) -> Field:
    read, write = _codec(hint)
    if check is not None:
        read = check if type(None) not in get_args(hint) else _optional(check)
    default = attribute.default
    return Field(attribute.name, read, write, getattr(default, "factory", lambda: default)())


def _codec(hint: Any) -> tuple[Check, Check]:
    """How a value of this type is read and written."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in (Union, types.UnionType) and len(arguments) == 2 and type(None) in arguments:
        read, write = _codec(next(a for a in arguments if a is not type(None)))
        return _optional(read), _optional(write)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        read, write = _codec(arguments[0])
        return sequence(read), lambda value: [write(item) for item in value]
    if origin is Literal:
        return _choice(arguments), _same
    if origin is dict and arguments == (str, str):
        return _texts, lambda value: dict(value)
    if isinstance(hint, type) and hasattr(hint, "__attrs_attrs__"):
        shape = shape_of(hint)
        return shape.read, shape.write
    raise TypeError(f"no site file can hold {hint}")


def _same(value: object) -> object:
    return value


def _optional(one: Check) -> Check:
    return lambda value: None if value is None else one(value)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"want true or false, not {shown(value)}")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"want a whole number, not {shown(value)}")


def _choice(words: tuple[object, ...]) -> Check:
    def choice(value: object) -> object:
        for word in words:
            if type(word) is type(value) and word == value:
                return word
        raise ValueError(f"want {' or '.join(map(str, words))}, not {shown(value)}")

    return choice


def _texts(value: object) -> dict[str, str]:
    done = {}
    for key, text in mapping(value).items():
        try:
            done[plain_text(key)] = plain_text(text)
        except ValueError as error:
            raise misfit(error, str(key)) from None
    return done


# All our numbers with a fraction are durations, hence "30m" may stand for any of them.
_PLAIN: dict[Any, tuple[Check, Check]] = {
    str: (plain_text, _same),
    bool: (_truth, _same),
    int: (_whole, _same),
    float: (duration, duration_document),  # type: ignore[dict-item]
    Size: (size, size_document),  # type: ignore[dict-item]
}


def _step(index: int, item: object) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return f"[{index}] ({name})" if isinstance(name, str) else f"[{index}]"


def _refused(error: Exception, known: Mapping[str, Field]) -> Misfit:
    """
    What a class's own validators say. The ones of attrs name the field in quotes or bring the
    attribute along.
    """
    text = str(error.args[0]) if error.args else str(error)
    for argument in error.args[1:]:
        if getattr(argument, "name", None) in known:
            return Misfit(text, (argument.name,))
    quoted = _QUOTED_FIELD.match(text)
    if quoted and quoted[1] in known:
        return Misfit(text, (quoted[1],))
    return Misfit(text)
