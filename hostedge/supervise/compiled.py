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
_MFD_NOEXEC_SEAL = 0x8  # read, never executed; some machines refuse all other ones
_NO_SOURCE = bytes(12)  # flags, time and size of a source that is not looked at


@cache
def launcher_code() -> int:
    """
    Raises:
        OSError: the source cannot be read, or no descriptor is left.
    """
    code = compile(Path(SOURCE).read_bytes(), SOURCE, "exec", dont_inherit=True)
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        file = os.memfd_create("launcher", flags | _MFD_NOEXEC_SEAL)
    except OSError:
        # before Linux 6.3
        file = os.memfd_create("launcher", flags)
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(MAGIC_NUMBER + _NO_SOURCE + marshal.dumps(code))
    # what runs as the superuser is nobody's to change, not even by a descriptor that got away
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file
