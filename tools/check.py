"""Everything `make test` checks; closes with `N passed, N failed`.

clean tree, README in step, then ruff, mypy and the notebooks, two at a time with the processor's threads divided between them, then pytest in the same way.
Most of the time goes into starting Python and importing, which keeps one core busy: two at a time, with half the threads each, take little more than half
as long.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Papermill's templates run as tests with their defaults; a summary needs results to summarise.
SKIPPED = {"index", "dashboard"}
# These take longest, so they start first.
LONGEST = ("checks/published_numbers", "tutorials/first_comparison", "deploy/20_export")
WORKERS = 2
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
THREADS = {"OMP_NUM_THREADS": str(max(1, CORES // WORKERS))}
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
        ["git", "ls-files", "-co", "--exclude-standard", "nbs", "senticompare", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\n")
    return "\n".join(f"{f} {hash((ROOT / f).read_bytes())}" for f in sorted(files) if f and (ROOT / f).is_file())


def checks() -> dict[str, tuple[str, ...]]:
    """Name and command of every check that stands by itself, the longest first."""
    ruff = (str(BIN / "ruff"), "check", ".")
    layout = (str(BIN / "ruff"), "format", "--check", ".")
    notebooks = [
        n.relative_to(ROOT)
        for n in (ROOT / "nbs").rglob("*.ipynb")
        if n.stem not in SKIPPED and ".ipynb_checkpoints" not in n.parts
    ]
    order = sorted(notebooks, key=lambda n: (not str(n).endswith(tuple(f"{name}.ipynb" for name in LONGEST)), n))
    tests = {str(n): (str(BIN / "nbdev-test"), str(n), "--n-workers", "0") for n in order}
    return {"mypy": (str(BIN / "mypy"),), "ruff check": ruff, "ruff format": layout, **tests}


def main() -> int:
    before = tree()
    count("export", stage("clean, format and export", sys.executable, "tools/export.py").returncode == 0)
    unchanged = tree() == before
    print(f"{'ok    ' if unchanged else 'FAILED'} clean and export leave the tree unchanged")
    if not unchanged:
        print(
            subprocess.run(["git", "status", "--short"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
        )
    count("tree", unchanged)
    count("README", stage("README in step", sys.executable, "tools/readme.py", "--check").returncode == 0)
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor(WORKERS) as pool:
        started = {
            name: pool.submit(stage, name, *command, SENTICOMPARE_HOME=home, **THREADS)
            for name, command in checks().items()
        }
    for name, stage_done in started.items():
        count(name, stage_done.result().returncode == 0)
    pytest = (sys.executable, "-m", "pytest", "-rs", "--tb=short", "--durations=12")
    done = stage("pytest", *pytest, "-n", str(WORKERS), "--dist=loadfile", "--no-loadscope-reorder", **THREADS)
    print(done.stdout[-2500:] if done.returncode == 0 else "")
    found = {
        word: int(n)
        for n, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1] if done.stdout else "")
    }
    global passed
    passed += found.get("passed", 0)
    failures.extend(["pytest"] * (found.get("failed", 0) + found.get("error", 0) or int(done.returncode != 0)))
    print(f"{passed} passed, {len(failures)} failed")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
