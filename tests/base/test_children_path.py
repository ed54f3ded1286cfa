"""Kernels and measuring processes import nothing from the folder they are started in, and read no settings of the user."""

import os
import subprocess
import sys

from senticompare.base.child_processes import child_environment, kernel_command, python_apart
from senticompare.results.files import read_results

TRAPS = ("numpy", "tokenizers", "ipykernel_launcher", "senticompare", "sitecustomize", "statistics", "signal", "pandas")


def set_traps(folder):
    for name in TRAPS:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'caught')!r}, 'a').write({name!r} + '\\n')\nraise SystemExit(7)\n"
        )


def test_a_benchmark_beside_a_users_modules(tmp_path):
    """Start-up files of IPython and of Python would be run by an ordinary kernel as well."""
    set_traps(tmp_path)
    startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    caught = f"open({str(tmp_path / 'caught')!r}, 'a').write('startup')"
    (startup / "00.py").write_text(caught)
    (tmp_path / "start.py").write_text(caught)
    rows = [f"review number {i} is {'good and fine' if i % 2 else 'bad and broken'},{i % 2}" for i in range(80)]
    (tmp_path / "own.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    code = "import sys; sys.path[:] = [p for p in sys.path if p]; from senticompare.cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "benchmark",
        "--models",
        "tfidf",
        "--methods",
        "baseline",
        "--heads",
        "linear",
        "--dataset",
        "own.csv",
    ]
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "PYTHONSTARTUP": str(tmp_path / "start.py")}
    environment.pop("IPYTHONDIR", None)
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert not (tmp_path / "caught").exists(), (tmp_path / "caught").read_text()
    assert done.returncode == 0, done.stderr
    assert [r["status"] for r in read_results(tmp_path / "reports" / "own")] == ["completed"]


def test_without_the_flag_of_later_pythons(tmp_path):
    """Python 3.10 knows no PYTHONSAFEPATH: the command line alone has to keep the folder out."""
    set_traps(tmp_path)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    command = python_apart(
        "import statistics, os, senticompare.base.files; print(sys.argv[1:], statistics.mean([1, 3]), os.listdir() != [])",
        "a b",
    )
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["['a", "b']", "2", "True"]), done.stderr
    assert not (tmp_path / "caught").exists()


def test_what_a_child_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "x.py")
    monkeypatch.setenv("SENTICOMPARE_PROGRESS", "p.json")
    told = child_environment(tmp_path, OMP_NUM_THREADS="1")
    assert (
        told["IPYTHONDIR"].startswith(str(tmp_path))
        and told["JUPYTER_CONFIG_DIR"].startswith(str(tmp_path))
        and told["OMP_NUM_THREADS"] == "1"
    )
    assert not {"PYTHONSTARTUP", "SENTICOMPARE_PROGRESS"} & set(told)
    assert "{connection_file}" in kernel_command() and "-m" not in kernel_command()


def test_nothing_is_left_of_a_killed_run(tmp_path, monkeypatch):
    """What a process leaves in the scratch folder when it is killed is swept by the next one; what a living one uses stays."""
    from senticompare.base.atomic_folders import working_folder
    from senticompare.base.workspace import workspace

    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    code = "import os; from senticompare.base.workspace import workspace; from senticompare.base.atomic_folders import working_folder\n"
    code += "with working_folder(workspace().scratch, 'run'): os.kill(os.getpid(), 9)"
    assert subprocess.run(python_apart(code), check=False).returncode == -9
    left = set(workspace().scratch.iterdir())
    assert left
    with working_folder(workspace().scratch, "mine") as mine, working_folder(workspace().scratch, "other"):
        assert mine.is_dir() and not left & set(workspace().scratch.iterdir())
    assert not list(workspace().scratch.iterdir())


def test_two_processes_that_want_one_twin(tmp_path):
    code = "from senticompare.models.tiny_models import twin_folder; print(sorted(p.name for p in twin_folder('roberta-base').iterdir()))"
    environment = {**os.environ, "SENTICOMPARE_HOME": str(tmp_path)}
    both = [
        subprocess.Popen(python_apart(code), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0] and told[0][0] == told[1][0] and "tokenizer.json" in told[0][0], told
    half = tmp_path / "twins" / "roberta-base"
    (half / "tokenizer.json").unlink()  # what an older version could leave
    done = subprocess.run(python_apart(code), env=environment, capture_output=True, text=True, check=False)
    assert "tokenizer.json" in done.stdout, done.stderr
