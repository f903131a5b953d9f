"""
Run one part of the tests under trial and say in one line how it went.

`python tests/run.py unit` runs all but `tests/live`, two processes side by side; `live` runs
those that need real clients and servers, `apps` those of daemons and of whole nodes that are
upgraded or have many users. In CI a test that skips has failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COUNT = re.compile(
    r"(successes|skips|failures|errors|expectedFailures|unexpectedSuccesses|todos)=(\d+)"
)


# of tests/live: what daemons do takes its time
APPS = (
    *("accounts", "bound", "daemon_life", "daemons", "lifecycle", "process", "seeing"),
    *("upgrade", "waking"),
)


def names(part: str) -> list[str]:
    """What trial is to load."""
    if part in ("live", "apps"):
        files = sorted((ROOT / "tests/live").glob("test_*.py"))
        named = [each.stem for each in files if (each.stem[5:] in APPS) == (part == "apps")]
        return [f"tests.live.{name}" for name in named]
    found = []
    for entry in sorted((ROOT / "tests").iterdir()):
        if entry.is_dir() and (entry / "__init__.py").exists() and entry.name != "live":
            found.append(f"tests.{entry.name}")
        elif entry.name.startswith("test_") and entry.suffix == ".py":
            found.append(f"tests.{entry.stem}")
    return found


def main(part: str) -> int:
    jobs = ["-j2"] if part == "unit" else []
    trial = ["-m", "twisted.trial", f"--temp-directory=_trial_temp_{part}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(
        [sys.executable, *trial, *jobs, *names(part)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    last = ""
    for line in run.stdout or ():
        sys.stdout.write(line)
        last = line if line.startswith(("PASSED", "FAILED")) else last
    status = run.wait()
    counts = {name: int(number) for name, number in COUNT.findall(last)}
    passed, skipped = counts.get("successes", 0), counts.get("skips", 0)
    failed = counts.get("failures", 0) + counts.get("errors", 0)
    failed += counts.get("unexpectedSuccesses", 0)
    if status and not failed:
        failed = 1
    if skipped and os.environ.get("CI"):
        print(f"{skipped} tests have skipped; in CI that is a failure")
        failed += skipped
        skipped = 0
    print(f"{part}: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
