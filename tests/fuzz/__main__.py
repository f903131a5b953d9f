"""
Fuzz one target, keep what it has learnt, or say which lines its corpus reaches.

    python -m tests.fuzz h1 --runs 100000     fuzz; ends with the input that broke something
    python -m tests.fuzz h1 --keep FOLDER     put a folder's inputs into the corpus, and shrink it
    python -m tests.fuzz --lines              which lines of the parsers the corpus does not reach

In:  `make fuzz`; a developer.
Out: libFuzzer's report; a broken input is left as `build/fuzz/NAME/crash-…`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from tests.fuzz.corpus import add, read

BUILD = Path("build/fuzz")
LONGEST = 4096


def fuzz(name: str, runs: int, seed: int) -> None:
    """Run libFuzzer; it ends this process."""
    import atheris

    with atheris.instrument_imports(include=["hostedge"]):
        target = import_module("tests.fuzz.targets.known").TARGETS[name]
    folder = BUILD / name
    learnt, begun = folder / "learnt", folder / "seeds"
    for each in (learnt, begun):
        each.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate((*target.seeds(), *read(name))):
        (begun / f"{number}").write_bytes(data)
    words = folder / "words"
    words.write_text("".join(f'"{escaped(word)}"\n' for word in target.words))
    options = [
        *(f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", f"-dict={words}"),
        *(
            "-timeout=20",
            "-rss_limit_mb=2048",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
        ),
    ]
    atheris.Setup([sys.argv[0], *options, str(learnt), str(begun)], target.check)
    atheris.Fuzz()


def escaped(word: bytes) -> str:
    """Write a token as libFuzzer's dictionaries do."""
    return "".join(f"\\x{each:02x}" for each in word)


def keep(name: str, folder: Path) -> None:
    """Put the inputs of a folder into the corpus, if they reach a line that the rest does not."""
    target = import_module("tests.fuzz.targets.known").TARGETS[name]
    found = sorted((path.read_bytes() for path in folder.iterdir()), key=len)
    print(f"{name}: {add(target, found)} inputs in the corpus")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("name", nargs="?", help="h1, h2, client_hello, proxy_protocol")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder of inputs")
    parser.add_argument("--lines", action="store_true")
    options = parser.parse_args(arguments)
    if options.lines:
        from tests.fuzz.reached import report

        return report()
    if options.name is None:
        parser.error("a target's name, or --lines")
    if options.keep:
        keep(options.name, options.keep)
    else:
        fuzz(options.name, options.runs, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
