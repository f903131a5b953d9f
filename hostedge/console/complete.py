"""
What a name that has been begun may become.

In:  the terminal with what stands before the cursor, when Tab is typed.
Out: the beginning, and all words it may be the beginning of. Nothing is called to find out, and
     no property asked but one whose name is typed whole.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Mapping
from os.path import commonprefix

# a dotted name, or one after the call of a verb that says what it offers: `edge(0).`
_BEGUN = re.compile(r"(?:(?P<verb>\w+)\(\d*\)\.)?(?P<dotted>[^\W\d][\w.]*)?$")


def complete(before: str, names: Mapping[str, object]) -> tuple[str, list[str]]:
    """
    The part of the last word that is typed, and the words that begin with it.
    """
    found = _BEGUN.search(before)
    if found is None or (before and not found.group()):
        return "", []
    dotted = found["dotted"] or ""
    if found["verb"]:
        offers = getattr(names.get(found["verb"]), "offers", ())
        return dotted, _fitting(dotted, offers)
    if before[: found.start()].endswith("."):
        # an attribute of something that would have to be evaluated
        return "", []
    *path, begun = dotted.split(".")
    if not path:
        words = {name: _with_call(name, value) for name, value in names.items()}
        for name in (*keyword.kwlist, *dir(builtins)):
            words.setdefault(name, _with_call(name, getattr(builtins, name, None)))
        return begun, _fitting(begun, words.values())
    at = names.get(path[0], getattr(builtins, path[0], None))
    for name in path[1:]:
        at = _attribute(at, name)
    return begun, _fitting(begun, (_with_call(name, _member(at, name)) for name in dir(at)))


def common(words: Iterable[str]) -> str:
    """What all of them begin with."""
    return commonprefix(list(words))


def _fitting(begun: str, words: Iterable[str]) -> list[str]:
    """Names that begin with an underscore are for those who type one."""
    fitting = {word for word in words if word.startswith(begun)}
    return sorted(word for word in fitting if begun.startswith("_") or not word.startswith("_"))


def _member(of: object, name: str) -> object:
    """What an attribute is; a property is itself."""
    member = _attribute(type(of), name)
    return member if isinstance(member, property) else _attribute(of, name)


def _attribute(of: object, name: str) -> object:
    try:
        return getattr(of, name)
    except Exception:  # noqa: BLE001 - a property may do whatever it likes
        return None


def _with_call(name: str, value: object) -> str:
    return f"{name}(" if callable(value) else name
