"""
`hostedge export` and `backup`: what the route store holds.

In:  `cli.main`.
Out: a site file, a copy of the store.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.errors import ConfigError
from hostedge.settings import read_settings


def export(options: Namespace) -> int:
    """Print accounts as YAML documents that `apply` reads, or as JSON, one a line."""
    query = f"?account={quote(options.account, safe='')}" if options.account else ""
    with ApiClient(read_settings(Path(options.settings))) as client:
        for document in client.lines(f"/v1/export{query}"):
            if options.json:
                print(as_json(document))
            else:
                write_document(document, sys.stdout)
    return 0


def write_document(document: Any, stream: Any, start: bool = True, width: int = 80) -> None:
    """One YAML document, its keys in their order, texts of several lines readable."""
    import yaml

    class Dumper(yaml.CSafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)

    Dumper.add_representer(str, text)
    yaml.dump(
        document,
        stream,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=start,
        width=width,
    )


def backup(options: Namespace) -> int:
    """Write the copy beside its place, then put it there: a file is whole or the old one."""
    part = f"{options.file}.part"
    try:
        # private keys lie in it
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(part, flags, 0o600)
    except OSError as error:
        raise ConfigError(part, f"cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            with ApiClient(read_settings(Path(options.settings))) as client:
                size = client.copy("/v1/backup", file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, options.file)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError):
            raise ConfigError(options.file, f"cannot be written: {error.strerror}") from None
        raise
    if options.json:
        print(json.dumps({"file": options.file, "bytes": size}))
    else:
        print(f"{options.file}: {size} bytes, whole.")
    return 0
