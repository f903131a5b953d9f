"""
The launcher as compiled code in a file without a name.

In:  `supervise.process`, for each launch.
Out: a descriptor that Python can run by its path in /proc; made once, kept for good.

To compile it anew for each start would be a fifth of the start. A `.pyc` beside the source need
not be there, and may be another version's after an upgrade; this one is always this keeper's.
"""

from __future__ import annotations

import fcntl
import marshal
import os
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path

from hostedge.supervise import launcher

SOURCE = launcher.__file__
_NO_SOURCE = bytes(12)  # flags, time and size of a source that is not looked at


@cache
def launcher_code() -> int:
    """
    Raises:
        OSError: the source cannot be read, or no descriptor is left.
    """
    code = compile(Path(SOURCE).read_bytes(), SOURCE, "exec", dont_inherit=True)
    file = os.memfd_create("launcher", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(MAGIC_NUMBER + _NO_SOURCE + marshal.dumps(code))
    # what runs as the superuser is nobody's to change, not even by a descriptor that got away
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file
