"""A finished result that was made with other settings is never replaced unasked, and never by a run that fails."""

import json

import pytest

from senticompare.base.errors import InputError
from senticompare.cli.main import run_command
from senticompare.run import execute
from senticompare.run.plan import make_plan
from senticompare.spec.run_spec import make_spec

NAME = "tfidf--baseline--linear--reviews--s1"
SMALL = {"model": "tfidf", "method": "baseline", "val_size": 30, "test_size": 60}


def command(reports, size, *more):
    sizes = ["--train-size", str(size), "--val-size", "30", "--test-size", "60"]
    return [
        "benchmark",
        "--models",
        "tfidf",
        "--methods",
        "baseline",
        "--heads",
        "linear",
        *sizes,
        "--reports",
        str(reports),
        *more,
    ]


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A reports folder with one finished run on 100 rows."""
    folder = tmp_path_factory.mktemp("replacement")
    plan = make_plan([make_spec({**SMALL, "train_size": 100})], str(folder / "reviews"))
    assert [r["status"] for r in execute.run_plan(plan, str(folder / "reviews"))] == ["completed"]
    return folder


def contents(reports):
    return {p.name: p.read_bytes() for p in (reports / "reviews").iterdir()}


def test_benchmark_refuses_in_one_line(reports, capfd):
    before = contents(reports)
    assert run_command(command(reports, 60)) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert (
        len(lines) == 1
        and NAME in lines[0]
        and "train_size 100 -> 60" in lines[0]
        and "--replace" in lines[0]
        and "--reports" in lines[0]
    ), lines
    assert contents(reports) == before


def test_dry_run_says_what_would_be_replaced(reports, capfd):
    assert run_command(command(reports, 60, "--dry-run")) == 0
    told = capfd.readouterr()
    assert "replaces: train_size 100 -> 60" in told.out and "again" not in told.out and "--replace" in told.err


def test_a_variant_stands_beside(reports, capfd):
    assert run_command(command(reports, 60, "--set", "variant=few", "--dry-run")) == 0
    assert "baseline.few" in capfd.readouterr().out


def test_another_content_counts_too(tmp_path, reports):
    plan = make_plan([make_spec({**SMALL, "train_size": 100})], reports / "reviews")
    assert plan[0].state == "finished"
    path = reports / "reviews" / f"{NAME}.json"
    whole = path.read_text()
    result = json.loads(whole)
    path.write_text(
        json.dumps(
            {
                **result,
                "spec_hash": "0" * 16,
                "provenance": {**result["provenance"], "inputs": {"data": "other", "model": "tfidf"}},
            }
        )
    )
    try:
        changed = make_plan([make_spec({**SMALL, "train_size": 100})], reports / "reviews")
        assert changed[0].replaces == "the content of the data"
        with pytest.raises(InputError, match="--replace"):
            execute.run_plan(changed, reports / "reviews")
    finally:
        path.write_text(whole)


def test_a_failed_or_incomplete_run_is_done_again(reports):
    predictions = reports / "reviews" / f"{NAME}.predictions.parquet"
    predictions.rename(predictions.with_suffix(".aside"))
    try:
        plan = make_plan([make_spec({**SMALL, "train_size": 60})], reports / "reviews")
        assert (plan[0].state, plan[0].replaces) == ("again", "")
    finally:
        predictions.with_suffix(".aside").rename(predictions)


def test_only_a_finished_run_replaces(reports, monkeypatch):
    before = contents(reports)
    plan = make_plan([make_spec({**SMALL, "train_size": 60})], reports / "reviews")

    def fail(*_, **__):
        raise RuntimeError("the kernel died")

    with monkeypatch.context() as patched:
        patched.setattr(execute, "_execute", fail)
        assert [r["status"] for r in execute.run_plan(plan, reports / "reviews", replace=True)] == ["failed"]
    assert contents(reports) == before
    assert [r["status"] for r in execute.run_plan(plan, reports / "reviews", replace=True)] == ["completed"]
    assert json.loads((reports / "reviews" / f"{NAME}.json").read_text())["spec"]["train_size"] == 60
    assert sorted(contents(reports)) == sorted(before)
