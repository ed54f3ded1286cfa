"""Whoever waits for a plan hears of each run when it starts, while it is at work and when it is done; the time left is told only on a basis."""

import json
import os
import time
from dataclasses import replace

import pytest

from senticompare.base.files import bundled
from senticompare.base.progress_channel import Progress, read_progress, report_progress
from senticompare.cli import benchmark, progress
from senticompare.data.splits import load_splits
from senticompare.results.blocks import complete, new_result
from senticompare.run import execute, time_left
from senticompare.run.plan import Planned, make_plan, run_inputs
from senticompare.spec.run_spec import make_spec

SIZES = {"train": 60, "validation": 30, "test": 60}


def planned(seed=1, method="lora", **more):
    return Planned(make_spec({"method": method, "seed": seed, **more}), {}, "new", sizes=SIZES)


def result_of(p, seconds=20.0, trained=10.0):
    result = {**complete(new_result(p.spec, {}), "a test"), "status": "completed"}
    result["data"]["sizes"], result["quality"]["accuracy"] = SIZES, 0.5
    result["training"] |= {"train_time_s": trained}
    result["provenance"]["duration_s"] = seconds
    return result


def test_cheap_runs_say_nothing_about_a_training():
    """The mean of four baselines was projected onto LoRA once: 159 s told, more than seven minutes taken."""
    base = Planned(make_spec({"model": "tfidf", "method": "baseline"}), {}, "new", sizes=SIZES)
    clock = time_left.Clock([base, planned()], 1)
    clock.start(base)
    clock.end(base, result_of(base, 5.0, 0.0))
    assert time_left.seconds_left(clock, {}) is None


def test_training_scales_with_rows_and_epochs():
    known = [time_left.took(result_of(planned()))]
    assert time_left.expected_seconds(planned(2), known) == pytest.approx(20)
    twice = replace(planned(2, epochs=6.0))
    assert time_left.expected_seconds(twice, known) == pytest.approx(10 + 2 * 10)
    assert time_left.expected_seconds(planned(2, max_length=64), known) is None
    assert time_left.expected_seconds(replace(planned(2), reuses=["the trained model"]), known) is None
    assert (
        time_left.expected_seconds(replace(planned(2), sizes={"train": 6000, "validation": 30, "test": 60}), known)
        is None
    )


def test_times_of_earlier_runs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    record = tmp_path / "checkpoints" / "one" / "result.json"
    record.parent.mkdir(parents=True)
    record.write_text("[")
    assert time_left.kept_times() == []
    published = next(
        (bundled("suites").parent / "reports" / "published" / "quickstart").glob("*--lora--classifier--*.json")
    )
    record.write_bytes(published.read_bytes())
    assert [t.training_s for t in time_left.kept_times()] == [
        json.loads(published.read_text())["training"]["train_time_s"]
    ]


def test_events_of_a_plan(tmp_path, monkeypatch):
    def slow(p, reports, progress):
        progress.write_text(json.dumps({"stage": "training", "done": 3, "of": 9}))
        time.sleep(1.3)
        return result_of(p)

    monkeypatch.setattr(execute, "run_one", slow)
    events = []
    plan = [planned(s) for s in (1, 2)]
    monkeypatch.setattr(execute, "check_ready", lambda plan: None)
    results = execute.run_plan(plan, str(tmp_path / "reports"), report=events.append)
    assert len(results) == 2 and [e.kind for e in events if e.kind != "inside"] == ["started", "finished"] * 2
    inside = [e for e in events if e.kind == "inside"]
    assert inside and all(e.progress == Progress("training", 3, 9) for e in inside)
    assert events[-1].left_s == 0 and events[-1].done == events[-1].total == 2


def test_an_error_in_a_run_ends_the_plan(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "x.json")

    monkeypatch.setattr(execute, "run_one", full)
    monkeypatch.setattr(execute, "check_ready", lambda plan: None)
    with pytest.raises(OSError, match=r"x\.json"):
        execute.run_plan([planned()], tmp_path / "reports")


def test_lines_where_there_is_no_terminal(capfd, monkeypatch):
    """One when a run starts, at most one each half minute, one at its end; no time left without a basis."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress._progress(1) as report:
        report(execute.Event("started", planned(), 0, 1))
        for second in range(1, 65):
            now[0] = second
            report(execute.Event("inside", planned(), 0, 1, second, progress=Progress("training", second, 100)))
        report(execute.Event("finished", planned(), 1, 1, 65, result_of(planned()), left_s=200.0))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4 and all(line.startswith("[1/1] all-MiniLM-L6-v2--lora") for line in lines)
    assert lines[0].endswith("started") and "training 30 of 100" in lines[1] and "training 60 of 100" in lines[2]
    assert (
        "completed, accuracy 0.500" in lines[3]
        and "about 3 min left" in lines[3]
        and not any("left" in line for line in lines[:3])
    )


def test_bars_on_a_terminal():
    import io

    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TextColumn

    out = io.StringIO()
    with Bars(
        TextColumn("{task.description} {task.fields[words]}"), console=Console(file=out, force_terminal=True, width=160)
    ) as bars:
        report = progress._Bars(bars, 2)
        report(execute.Event("started", planned(), 0, 2))
        report(execute.Event("inside", planned(), 0, 2, 3, progress=Progress("training", 7, 100), left_s=50.0))
        bars.refresh()
        report(execute.Event("finished", planned(), 1, 2, 65, result_of(planned())))
    shown = out.getvalue()
    assert "training 7 of 100" in shown and "0 of 2 (about 50 s left)" in shown and "completed, accuracy 0.500" in shown


def test_training_and_embedding_tell_their_steps(tmp_path, monkeypatch):
    from senticompare.classify.classifier import train_classifier

    path = tmp_path / "progress.json"
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SENTICOMPARE_PROGRESS", str(path))
    seen = []
    monkeypatch.setattr("senticompare.classify.batching.report_progress", lambda *told: seen.append(told))
    spec = make_spec(
        {
            "model": "tiny:all-MiniLM-L6-v2",
            "method": "full",
            "head": "linear",
            "train_size": 40,
            "val_size": 20,
            "epochs": 1.0,
        }
    )
    train_classifier(spec, load_splits(spec), run_inputs(spec), lambda history, total: None)
    assert read_progress(path).stage == "training" and read_progress(path).of == 2
    assert seen and all(stage == "embedding" and done <= of for stage, done, of in seen)


def test_telling_is_free_and_never_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv("SENTICOMPARE_PROGRESS", raising=False)
    report_progress("training", 1, 2)
    monkeypatch.setenv("SENTICOMPARE_PROGRESS", str(tmp_path / "nowhere" / "p.json"))
    report_progress("another stage", 1, 2)
    path = tmp_path / "p.json"
    for text in ("", "[]", '{"stage": 1}', '{"stage": "x", "done": -1}', "[" * 100_000):
        path.write_text(text)
        assert read_progress(path) is None
    os.unlink(path)


def test_a_benchmark_ends_with_what_to_do_next(capfd, monkeypatch, tmp_path):
    board = [{"dataset": "reviews"}]
    monkeypatch.setattr(benchmark, "ranking_notes", lambda rows: ["Unsteady timings: m."])
    benchmark._say_next(board, tmp_path / "my reports")
    told = capfd.readouterr()
    assert (
        "senticompare recommend --reports '" in told.out
        and "Unsteady timings" in told.err
        and make_plan([], tmp_path) == []
    )
