"""The wheel holds what the commands need, and works in an empty folder away from the checkout."""

import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

NEEDED = [
    "senticompare/bundled/suites/quickstart.yaml",
    "senticompare/bundled/templates/run.ipynb",
    "senticompare/bundled/templates/dashboard.ipynb",
    "senticompare/bundled/templates/dashboard_page/index.html.j2",
    "senticompare/bundled/templates/summary.ipynb",
    "senticompare/bundled/reviews/test.jsonl",
    "senticompare/py.typed",
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The built wheel, unpacked into a folder of its own (its dependencies are those of this environment)."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as z:
        z.extractall(folder / "site")
    return folder


def test_wheel_holds_what_travels(installed):
    for name in NEEDED:
        assert (installed / "site" / name).is_file(), name


def test_wheel_runs_in_an_empty_folder(installed, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import senticompare; assert sys.argv[1] in senticompare.__file__;"
        "from senticompare.cli.main import run_command; sys.exit(run_command(['benchmark', '--suite', 'quickstart', '--dry-run']))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(installed / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.count("new") == 8, done.stderr
    assert not list(tmp_path.glob("reports"))


def test_help_imports_nothing_heavy():
    code = "import sys; from senticompare.cli.main import run_command; run_command(['--help']); print('loaded:', *sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(out.strip().splitlines()[-1].split())
    assert "Commands" in out and not {"torch", "transformers", "pandas", "sklearn", "papermill", "numpy"} & loaded
