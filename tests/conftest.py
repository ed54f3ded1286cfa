"""Shared pieces of the tests: where the real data is, a runner for the command line, and a home of their own for caches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL_DATA = Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared" / "data")


def real_data(name: str) -> Path:
    """Folder of a real dataset; the test is skipped, with the reason, where it is absent."""
    folder = REAL_DATA / name
    if not folder.exists():
        pytest.skip(f"real data {name!r} is not at {REAL_DATA} (set SENTICOMPARE_TEST_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory):
    os.environ["SENTICOMPARE_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _exports_are_timed_once():
    """An export times itself for a second and a half, which says nothing here: one round is enough."""
    if comparison := sys.modules.get("senticompare.deploy.export_comparison"):
        comparison.BUDGET_S = 0.0


@pytest.fixture
def cli(tmp_path):
    """Run `senticompare …` as a user would: in a process of its own, in an empty folder."""

    def run(*arguments: object, cwd: Path = tmp_path, timeout: float = 600) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", "from senticompare.cli.main import main; main()", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)

    return run


LONGEST = ("test_runs", "test_architectures", "test_dashboard", "test_memory_estimate", "test_together")


def pytest_collection_modifyitems(items):
    """The longest files first, so that two workers end at about the same time."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
