"""The table of `hostedge.wire.media_type`."""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.media_type import UNKNOWN, media_type


class MediaTypeTests(SynchronousTestCase):
    """By the end of the name."""

    def test_table(self) -> None:
        """
        Text is UTF-8; the last end counts, in any case; the rest is bytes.
        """
        for name, media in (
            (b"a.html", b"text/html; charset=utf-8"),
            (b"dir.d/A.CSS", b"text/css; charset=utf-8"),
            (b"a.min.js", b"text/javascript; charset=utf-8"),
            (b"a.tar.gz", b"application/gzip"),
            (b"a.svg", b"image/svg+xml"),
            (b"a.json", b"application/json"),
            (b"a.html.bak", UNKNOWN),
            (b"html", UNKNOWN),
            (b"a.", UNKNOWN),
            (b"", UNKNOWN),
            (b"\xff.\xff", UNKNOWN),
        ):
            self.assertEqual(media_type(name), media, name)
