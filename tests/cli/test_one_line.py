"""Whatever goes wrong is one line and the contract's status: streams that are closed, locales, limits, disks, signals, names."""

import errno
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from senticompare.base.errors import InputError
from senticompare.base.files import atomic_path, bundled
from senticompare.base.runtime import launched
from senticompare.cli import app, listing, main, printing
from senticompare.cli.main import run_command
from senticompare.results.files import read_results

PUBLISHED = bundled("suites").parent / "reports" / "published" / "quickstart"
MAIN = [
    sys.executable,
    "-c",
    "import sys; sys.path[:] = [p for p in sys.path if p]; from senticompare.cli.main import main; main()",
]


def shell(line, folder, **environment):
    """A command line of a POSIX shell, with $SC for the command."""
    script = line.replace("$SC", shlex.join(MAIN))
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")
    }  # of kernels; OpenBLAS waits for memory for ever with them
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def one_line(err, *parts):
    lines = err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in err, err
    for part in parts:
        assert part in lines[0], lines[0]


def test_closed_streams(tmp_path):
    assert shell("$SC methods >&-", tmp_path).returncode == 0
    assert shell("$SC benchmark --suite quikstart 2>&-", tmp_path).returncode == 2
    assert shell("$SC methods <&- >&- 2>&-", tmp_path).returncode == 0


def test_a_reader_that_leaves(tmp_path):
    done = shell("set -o pipefail; $SC models --json | head -1", tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "[\n")


def test_names_outside_ascii_in_an_ascii_locale(tmp_path):
    """Both the reports folder and the dataset; the C locale without Python's help reads their bytes as broken characters."""
    rows = [f"review number {i} is {'good and fine' if i % 2 else 'bad and broken'},{i % 2}" for i in range(80)]
    (tmp_path / "données.csv").write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    given = "benchmark --models tfidf --methods baseline --heads linear --dataset données.csv --reports r10é"
    done = shell(f"$SC {given}", tmp_path, LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert [r["status"] for r in read_results(tmp_path / "r10é")] == ["completed"]


def test_a_machine_at_its_limits(tmp_path, capfd):
    """Few open files, for real; too little memory by its errors, since OpenBLAS may wait for memory for ever where there is none."""
    done = shell(f"ulimit -n 24; $SC compare --reports {shlex.quote(str(PUBLISHED))}", tmp_path)
    if done.returncode:
        assert done.returncode == 2
        one_line(done.stderr)
    for error in (MemoryError(), ImportError("libscipy_openblas.so: failed to map segment from shared object")):
        assert main._failed(error) == 2
        one_line(capfd.readouterr().err, type(error).__name__, "ulimit -v")


def test_interrupts_amid_imports(tmp_path):
    """Wherever in its first second; a library that is just being imported makes an ImportError of it."""
    listen = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    for wait in (0.35, 0.5, 0.7):
        command = [
            *MAIN[:2],
            MAIN[2].replace("main()", "print('ready', flush=True); main()"),
            "compare",
            "--reports",
            str(PUBLISHED),
        ]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen
        ) as process:
            process.stdout.readline()
            time.sleep(wait - 0.3)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        if process.returncode:  # 0: it was done before
            assert process.returncode == 130, err
            one_line(err, "interrupted")


def test_any_exception_while_interrupted_counts_as_interrupted(monkeypatch, capfd):
    monkeypatch.setitem(app._state, "interrupted", True)
    assert main._failed(ImportError("initialization failed")) == 130
    one_line(capfd.readouterr().err, "interrupted")


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE"])
def test_numbers_of_processes(name, monkeypatch):
    monkeypatch.setenv(name, "x")
    with pytest.raises(InputError, match=f"{name}: 'x' is not a number"):
        launched()


def test_a_full_disk_names_the_file(tmp_path):
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "result.json"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "result.json")


def test_a_file_too_large_names_the_file(tmp_path):
    """A limit of the shell instead of a full disk: the write fails in the same way."""

    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    whole = "import sys; sys.path[:] = [p for p in sys.path if p]\nfrom senticompare.cli.main import _failed\nfrom senticompare.base.files import write_text\ntry:\n"
    whole += "    write_text('big.json', 'x' * 9000)\nexcept OSError as e:\n    sys.exit(_failed(e))\n"
    done = subprocess.run(
        [sys.executable, "-c", whole], cwd=tmp_path, capture_output=True, text=True, preexec_fn=small, check=False
    )
    assert done.returncode == 2
    one_line(done.stderr, "big.json", "File too large")


def test_a_summary_that_cannot_be_written(tmp_path, capfd, monkeypatch):
    """Whoever is root writes anywhere, so the kernel's own error stands for the read-only folder."""
    from papermill.exceptions import PapermillExecutionError

    from senticompare.run import summary

    def fail(*_, **__):
        raise PapermillExecutionError(
            1, 1, "", "PermissionError", "[Errno 30] Read-only file system: 'rom/d/leaderboard.csv'", ["a traceback"]
        )

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(summary, "_execute", fail)
    for path in PUBLISHED.glob("tfidf--baseline--linear--*"):
        shutil.copy(path, tmp_path)
    assert run_command(["report", "--reports", "."]) == 2
    one_line(capfd.readouterr().err, "Read-only file system", "leaderboard.csv")


def test_what_nobody_expected(capfd, monkeypatch):
    def fail(*_):
        raise KeyError("lost")

    monkeypatch.setattr(listing, "suite_names", fail)
    assert run_command(["suites"]) == 1
    one_line(capfd.readouterr().err, "KeyError", "lost", "--verbose")
    with pytest.raises(KeyError):
        run_command(["--verbose", "suites"])
    monkeypatch.setitem(app._state, "verbose", False)


def test_errors_do_not_steer_a_terminal(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command(["compare", "--reports", "\x1b[31mred\x07"]) == 2
    err = capfd.readouterr().err
    one_line(err, "\\x1b[31mred\\x07")
    assert "\x1b" not in err and "\x07" not in err
    printing.print_rows([{"\x1b[31ma": 1}], title="\x1b]0;title\x07")
    assert not {"\x1b", "\x07"} & set(capfd.readouterr().out)


def test_long_lines_lose_their_middle(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "/".join(["deep"] * 1200) + "/reviews.csv"
    assert run_command(["benchmark", "--dataset", name]) == 2
    err = capfd.readouterr().err
    one_line(err, "reviews.csv", "File name too long")
    assert len(err) < 600


def test_usage_errors_name_the_command(capfd):
    assert run_command(["benchmark", "--nonsense"]) == 2
    one_line(capfd.readouterr().err, "see 'senticompare benchmark --help'")


@pytest.mark.parametrize(
    "arguments", [["generation", "--model", "~nobodyxx"], ["benchmark", "--models", "~nobodyxx/y"]]
)
def test_nobodys_home(arguments, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command(arguments) == 2
    one_line(capfd.readouterr().err, "~nobodyxx")


def test_nobodys_home_for_the_caches(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTICOMPARE_HOME", "~nobodyxx/h")
    assert run_command(["benchmark", "--methods", "baseline"]) == 2
    one_line(capfd.readouterr().err, "~nobodyxx")


def test_a_claim_names_its_file(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("runs: [{method: frozen}]\nclaims: [{model: [], method: frozen, claim: 1}]\n")
    assert run_command(["benchmark", "--suite", "own.yaml"]) == 2
    one_line(capfd.readouterr().err, "own.yaml", "claim")
