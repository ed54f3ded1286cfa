"""End to end: suites through papermill, skipped when finished, intact after kill -9, honest about failures."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from senticompare.results.files import read_results
from senticompare.results.schema import SHAPE

SMALL = {"train_size": 100, "val_size": 40, "test_size": 90}
SUITE = {
    "defaults": SMALL,
    "runs": [
        {"model": "majority", "method": "baseline"},
        {"model": "tfidf", "method": "baseline", "head": ["linear", "xgboost"]},
        {"method": "frozen", "head": ["linear", "xgboost"], "max_length": 64, "truncation_limit": 1.0},
    ],
}
# Measured afresh in each run, so they differ from run to run by nature.
MEASURED = (
    "ttft_mean_ms",
    "latency_median_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "throughput_samples_per_sec",
    "throughput_tokens_per_sec",
    "memory_allocated_mb",
    "training_time_hours",
    "timing_steady",
    "score",  # weighs times
)
KILLS = int(os.environ.get("SENTICOMPARE_KILLS") or 1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "small.yaml").write_text(yaml.safe_dump(SUITE))
    done = start(folder).communicate(timeout=600)
    assert (folder / "reports/small/leaderboard.json").exists(), done
    return folder


def start(folder: Path, *more: str) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        "from senticompare.cli.main import main; main()",
        "benchmark",
        "--suite",
        "small.yaml",
        *more,
    ]
    env = {**os.environ, "SENTICOMPARE_HOME": str(folder / "home")}
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job would ignore Ctrl-C
    return subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen
    )


def board(folder: Path) -> list[dict]:
    rows = json.loads((folder / "reports/small/leaderboard.json").read_text())
    return [{k: v for k, v in r.items() if k not in MEASURED} for r in rows]


def test_files_of_a_run(undisturbed):
    reports = undisturbed / "reports/small"
    for result in read_results(reports):
        name = result["run_id"]
        assert result["status"] == "completed" and all(g["passed"] for g in result["gates"].values())
        assert (reports / f"{name}.ipynb").exists() and (reports / f"{name}.predictions.parquet").exists()
        for block, names in SHAPE.items():
            for field in names:
                assert field in result[block]
                assert (result[block][field] is None) == (f"{block}.{field}" in result["not_measured"]), (block, field)
    assert {p.name for p in reports.glob("*.html")} == {
        "summary.html",
        *(f"{r['run_id']}.html" for r in read_results(reports)),
    }
    assert (undisturbed / "reports/plotly.min.js").exists()


def test_again_recomputes_nothing(undisturbed):
    reports = undisturbed / "reports/small"
    before = {p.name: p.stat().st_mtime_ns for p in reports.iterdir()}
    out, err = start(undisturbed).communicate(timeout=120)
    assert "5 finished already" in err and "tie group" in out
    assert {p.name: p.stat().st_mtime_ns for p in reports.iterdir()} == before


def test_dry_run_writes_nothing(undisturbed, tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SUITE))
    out, _ = start(tmp_path, "--dry-run").communicate(timeout=120)
    assert out.count("new") == 5 and not (tmp_path / "reports").exists()


@pytest.mark.parametrize("kill", range(KILLS))
def test_kill_9_loses_at_most_the_run_in_progress(undisturbed, tmp_path, kill):
    """Kill the whole suite at a random moment, run it again: what was finished is untouched, the leaderboard is the undisturbed one's."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SUITE))
    process = start(tmp_path)
    time.sleep(random.Random(kill).uniform(1, 30))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reports = tmp_path / "reports/small"
    finished = {p.name: p.read_bytes() for p in reports.glob("*--*.json")} if reports.exists() else {}
    assert all(json.loads(b)["status"] == "completed" for b in finished.values())
    _, err = start(tmp_path).communicate(timeout=600)
    assert "Traceback" not in err, err
    assert {n: (reports / n).read_bytes() for n in finished} == finished
    assert board(tmp_path) == board(undisturbed)
    print(f"killed with {len(finished)} of 5 runs finished")


def test_a_failed_run_does_not_stop_the_others(tmp_path):
    """A folder that looks like a model but has no weights: its run fails, the others are finished and kept, the status is 1."""
    model = tmp_path / "broken-model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "bert"}))
    runs = [{"model": str(model), "method": "frozen"}, {"model": "tfidf", "method": "baseline"}]
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({"defaults": SMALL, "runs": runs}))
    process = start(tmp_path)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    results = {r["run_id"].split("--")[0]: r for r in read_results(tmp_path / "reports/small")}
    assert results["broken-model"]["status"] == "failed" and "broken-model" in results["broken-model"]["error"]
    assert results["tfidf"]["status"] == "completed" and "failed" in out


def test_papermill_alone_and_its_unknown_parameter(tmp_path):
    import papermill

    from senticompare.run.execute import template

    out = tmp_path / "out.ipynb"
    given = {"model": "tfidf", "method": "baseline", "test_size": 60, "reports_dir": str(tmp_path)}
    papermill.execute_notebook(str(template("run")), str(out), given, progress_bar=False)
    assert read_results(tmp_path)[0]["status"] == "completed"
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'method'"):
        papermill.execute_notebook(str(template("run")), str(out), {**given, "methd": "lora"}, progress_bar=False)


def test_two_workers_give_the_same_leaderboard(undisturbed, tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SUITE))
    _, err = start(tmp_path, "--workers", "2").communicate(timeout=600)
    assert [(r["run_id"], r["accuracy"]) for r in board(tmp_path)] == [
        (r["run_id"], r["accuracy"]) for r in board(undisturbed)
    ], err


def test_interrupt_keeps_what_is_finished(tmp_path):
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SUITE))
    process = start(tmp_path)
    while not list(tmp_path.glob("reports/small/*--*.json")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "error: interrupted" in err and "Traceback" not in err
    assert all(r["status"] == "completed" for r in read_results(tmp_path / "reports/small"))
