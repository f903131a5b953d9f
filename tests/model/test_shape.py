"""
Tests for `hostedge.model.shape`.
"""

from __future__ import annotations

from attrs import field, frozen, validators
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.names import relative_path
from hostedge.model.shape import Misfit, sequence, shape_of
from tests.model.words import Hook, Script


@frozen
class Odd:
    code: complex


@frozen
class Checked:
    kind: str = field(default="a", validator=validators.instance_of(str))
    size: int = field(default=1, validator=validators.ge(1))
    path: str | None = None
    seconds: float = 60.0
    sizes: tuple[int, ...] = ()
    strict: bool = False

    @size.validator
    def _even(self, attribute: object, value: int) -> None:
        if value == 13:
            raise ValueError("want luck")


class ShapeTests(SynchronousTestCase):
    """A shape is made of a class and reads and writes its objects."""

    def setUp(self) -> None:
        self.script = shape_of(Script)
        self.checked = shape_of(Checked, {"path": relative_path})

    def test_reads(self) -> None:
        """
        Values go by their types; what is left out takes its default.
        """
        document = {"command": ["a", "b"], "hook": {"word": "x", "times": {"k": "v"}}}
        self.assertEqual(self.script.read(document), Script(("a", "b"), hook=Hook("x", {"k": "v"})))
        self.assertEqual(
            self.checked.read({"path": "a//b", "seconds": "1m", "sizes": [1]}),
            Checked(path="a/b", sizes=(1,)),
        )
        self.assertEqual(self.checked.read({"path": None, "strict": True}), Checked(strict=True))

    def test_writes(self) -> None:
        """
        Defaults are left out, in the order of the fields.
        """
        self.assertEqual(self.script.write(Script(("a",))), {"command": ["a"]})
        full = Script((), 2, "fast", Hook("x", {"k": "v"}))
        document = self.script.write(full)
        self.assertEqual(list(document), ["command", "processes", "mode", "hook"])
        self.assertEqual(self.script.read(document), full)

    def test_misfits(self) -> None:
        """
        Every refusal has the path to the value and says what is wanted.
        """
        for document, path, problem in (
            ({}, ("command",), "is missing"),
            ([], (), "want keys and values, not []"),
            ({"command": "a"}, ("command",), "want a list, not 'a'"),
            ({"command": [1]}, ("command", "[0]"), "want a text, not 1 (put it in quotes)"),
            ({"command": [], "x": 1}, ("x",), "is not known here; known: command, processes"),
            ({"command": [], "processes": 0}, ("processes",), "must be >= 1: 0"),
            ({"command": [], "processes": True}, ("processes",), "want a whole number, not True"),
            ({"command": [], "mode": "x"}, ("mode",), "want fast or safe, not 'x'"),
            ({"command": [], "hook": {"word": None}}, ("hook", "word"), "not nothing"),
            ({"command": [], "hook": {"word": "", "times": {"k": 1}}}, None, "want a text"),
        ):
            error = self.assertRaises(Misfit, self.script.read, document)
            self.assertIn(problem, error.problem)
            self.assertEqual(error.path, ("hook", "times", "k") if path is None else path)

    def test_validators(self) -> None:
        """
        What a class's own validators say is kept, with the field as far as it can be told.
        """
        error = self.assertRaises(Misfit, self.checked.read, {"size": 13})
        self.assertEqual((error.path, error.problem), ((), "want luck"))
        error = self.assertRaises(Misfit, self.checked.read, {"strict": "yes"})
        self.assertEqual(error.problem, "want true or false, not 'yes'")
        error = self.assertRaises(Misfit, self.checked.make, {"kind": 1})
        self.assertEqual(error.path, ("kind",))

    def test_namedItems(self) -> None:
        """
        The step to an item of a list shows its name.
        """
        error = self.assertRaises(Misfit, sequence(shape_of(Hook).read), [{"name": "x"}])
        self.assertEqual(error.path, ("[0] (x)", "name"))

    def test_ourOwnFault(self) -> None:
        """
        A class that no site file can hold is refused when its shape is made.
        """
        self.assertRaises(TypeError, shape_of, Odd)
