"""The choices of `hostedge.wire.accept`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.accept import FORMS, preferred_form

BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


class AcceptTests(SynchronousTestCase):
    """Which page whom."""

    def test_table(self) -> None:
        """
        Browsers get HTML, API clients JSON, everybody else plain text.
        """
        for values, form in (
            ([], "plain"),
            ([b"*/*"], "plain"),
            ([BROWSER], "html"),
            ([b"application/json"], "json"),
            ([b"application/json, */*"], "json"),
            ([b"Application/JSON; charset=utf-8"], "json"),
            ([b"text/html;q=0.5, application/json"], "json"),
            ([b"text/html;q=0.5", b"application/json;q=0.4"], "html"),
            ([b"text/*"], "plain"),
            ([b"text/plain;q=0, text/html;q=0.1"], "html"),
            ([b"text/html;q=0, */*"], "plain"),
            ([b"image/png"], "plain"),
            ([b"text/html;q=2"], "html"),
            ([b"text/html," * 1000], "plain"),
        ):
            self.assertEqual(preferred_form(values), form, values)

    @given(st.lists(st.binary(max_size=60), max_size=3))
    def test_anyBytesGiveAForm(self, values: list[bytes]) -> None:
        """
        Any bytes give one of the forms.
        """
        self.assertIn(preferred_form(values), FORMS)
