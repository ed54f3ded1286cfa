"""Everything `make test` checks, one stage after the other; closes with `N passed, N failed`.

clean tree, README in step, notebooks as tests, pytest, ruff, mypy. Heavy stages follow each other: two of them at once on two cores are slower than in turn.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Papermill's templates run as tests with their defaults; a summary needs results to summarise.
SKIPPED = {"index", "56_dashboard"}
passed, failures = 0, []


def stage(name: str, *command: str, **env: str) -> subprocess.CompletedProcess:
    started = time.time()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name} ({time.time() - started:.0f} s)", flush=True)
    if done.returncode:
        print((done.stdout + done.stderr)[-6000:], flush=True)
    return done


def count(name: str, good: bool) -> None:
    global passed
    passed += good
    if not good:
        failures.append(name)


def tree() -> str:
    """The state of every tracked and untracked file that clean and export could change."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "nbs", "senticompare", "README.md"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    return "\n".join(f"{f} {hash((ROOT / f).read_bytes())}" for f in sorted(files) if f and (ROOT / f).is_file())


def main() -> int:
    before = tree()
    for tool in ("nbdev-clean", "nbdev-export"):
        count(tool, stage(tool, str(BIN / tool)).returncode == 0)
    unchanged = tree() == before
    print(f"{'ok    ' if unchanged else 'FAILED'} clean and export leave the tree unchanged")
    if not unchanged:
        print(subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=False).stdout)
    count("tree", unchanged)
    count("README", stage("README in step", sys.executable, "tests/readme.py", "--check").returncode == 0)
    count("ruff check", stage("ruff check", str(BIN / "ruff"), "check", "senticompare", "tests", "benchmarks", "setup.py").returncode == 0)
    count("mypy", stage("mypy", str(BIN / "mypy")).returncode == 0)
    with tempfile.TemporaryDirectory() as home:
        for notebook in sorted((ROOT / "nbs").rglob("*.ipynb")):
            if notebook.stem in SKIPPED or ".ipynb_checkpoints" in notebook.parts:
                continue
            name = str(notebook.relative_to(ROOT))
            count(name, stage(name, str(BIN / "nbdev-test"), name, "--n-workers", "0", SENTICOMPARE_HOME=home).returncode == 0)
    done = stage("pytest", sys.executable, "-m", "pytest", "-rs", "--tb=short", "--durations=12")
    print(done.stdout[-2500:] if done.returncode == 0 else "")
    found = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1] if done.stdout else "")}
    global passed
    passed += found.get("passed", 0)
    failures.extend(["pytest"] * (found.get("failed", 0) + found.get("error", 0) or int(done.returncode != 0)))
    print(f"{passed} passed, {len(failures)} failed")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
