"""
Small files by which a keeper tells the next one, or the command line, how things are.

In:  `keeper` and the modules beside this one, each with a file of its own.
Out: files that are replaced whole.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """
    Write a small file so that a reader sees the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written; the old one is there as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.chmod(name, 0o640)
        os.replace(name, path)
    except BaseException:
        # a full disk would otherwise fill up with these as well
        os.unlink(name)
        raise
