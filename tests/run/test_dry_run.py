"""--dry-run says what is true: what is stored, what is missing on this machine, which rows would be read."""

import json

import pytest

from senticompare.classify.classifier import embedding_cache
from senticompare.classify.embeddings import embed_texts, load_embedder
from senticompare.cli.main import run_command
from senticompare.data.splits import load_splits
from senticompare.finetune import memory_estimate as footprint
from senticompare.models.registry import ModelCard, find_model
from senticompare.run import plan
from senticompare.spec.run_spec import make_spec

TINY = "tiny:all-MiniLM-L6-v2"
SMALL = ["--train-size", "60", "--val-size", "30", "--test-size", "60"]


def row(out, run):
    return next(line for line in out.splitlines() if run in line)


def test_stored_embeddings_are_counted_text_by_text(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["benchmark", "--models", TINY, "--heads", "linear", *SMALL, "--dry-run"]
    (embedding_cache() / "of-another-model").mkdir(parents=True)  # a folder of vectors says nothing about these texts
    assert run_command(given) == 0
    assert "stored" not in capfd.readouterr().out
    splits = load_splits(make_spec({"model": TINY, "train_size": 60, "val_size": 30, "test_size": 60}))
    embed_texts(load_embedder(find_model(TINY)), list(splits.test["text"]), embedding_cache())
    assert run_command(given) == 0
    assert "stored embeddings of 60 of 150 texts" in capfd.readouterr().out
    assert run_command([*given, "--max-length", "16"]) == 0
    assert "stored" not in capfd.readouterr().out
    assert not (tmp_path / "reports").exists()


def test_the_rows_are_shown(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"review number {i} is {'good and fine' if i % 4 else 'bad and broken'},{'pos' if i % 4 else 'neg'}"
        for i in range(80)
    ]
    (tmp_path / "own.csv").write_text("text,label\n" + "\n".join([*rows, ",pos", "no label,", rows[0]]) + "\n")
    assert (
        run_command(["benchmark", "--dataset", "own.csv", "--skip-bad-rows", "--methods", "baseline", "--dry-run"]) == 0
    )
    out = capfd.readouterr().out
    assert "1 × empty text" in out and "1 × missing label" in out and "train" in out and "duplicates" in out
    assert "neg %" in out and "pos %" in out and "25" in out


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_model_that_is_not_here_stops_the_plan_at_once(dry, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "hub_trouble", lambda: "it is not in the local cache, and there is no network")
    monkeypatch.setattr(plan, "weights_place", lambda card: "" if card.alias == "roberta-base" else "cached")
    assert run_command(["benchmark", "--models", "roberta-base", *SMALL, *dry]) == 2
    told = capfd.readouterr()
    assert len(told.err.strip().splitlines()) == 1 and "roberta-base" in told.err and "no network" in told.err
    assert not (tmp_path / "reports").exists() and ("model not here" in told.out) == bool(dry)


def test_a_package_that_is_missing_stops_the_plan_at_once(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(footprint.importlib.util, "find_spec", lambda name: None)
    assert run_command(["benchmark", "--models", TINY, "--methods", "qlora", *SMALL]) == 2
    told = capfd.readouterr().err
    assert "bitsandbytes" in told and "quant" in told and not (tmp_path / "reports").exists()
    assert "qlora" not in footprint.fitting_methods("all-MiniLM-L6-v2")


def test_models_say_whether_they_are_here(capfd):
    assert run_command(["models", "--json"]) == 0
    rows = {r["alias"]: r["weights"] for r in json.loads(capfd.readouterr().out)}
    assert rows["tfidf"] == "none needed" and set(rows.values()) <= {"none needed", "packaged", "cached", "not here"}
    assert (
        footprint.weights_place(ModelCard("own", folder="x")) == "folder"
        and footprint.weights_place(ModelCard("x", "nobody/x")) == ""
    )


def test_part_of_a_name_finds_it(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_command(["benchmark", "--models", "minilm"]) == 2
    assert "did you mean 'all-MiniLM-L6-v2'" in capfd.readouterr().err


def test_runs_that_cannot_vary_are_planned_once(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run_command(
            [
                "benchmark",
                "--models",
                TINY,
                "--methods",
                "frozen,full",
                "--heads",
                "linear",
                "--seeds",
                "1,2",
                *SMALL,
                "--dry-run",
            ]
        )
        == 0
    )
    told = capfd.readouterr()
    assert "frozen · linear does not depend on the seed: run once" in told.err and told.err.count("note") == 1
    assert "frozen--linear--reviews--s2" not in told.out and "full--linear--reviews--s2" in told.out
    (tmp_path / "own.yaml").write_text(f"runs: [{{model: '{TINY}', method: frozen, seed: [1, 2]}}]\n")
    assert run_command(["benchmark", "--suite", "own.yaml", "--dry-run"]) == 0
    told = capfd.readouterr()
    assert "run once" in told.err and "--s2" not in told.out


def test_baselines_may_be_named(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (
        run_command(
            ["benchmark", "--models", "tfidf", "--methods", "baseline", "--heads", "linear", *SMALL, "--dry-run"]
        )
        == 0
    )
    out = capfd.readouterr().out
    assert "tfidf--baseline--linear" in out and "majority--" not in out
    for models, methods, part in (("minilm,tfidf", "baseline", "minilm"), ("tfidf", "lora", "name a model for lora")):
        assert run_command(["benchmark", "--models", models, "--methods", methods]) == 2
        assert part in capfd.readouterr().err


def test_suites_name_the_notebook_of_one_run(capfd):
    assert run_command(["suites"]) == 0
    out = capfd.readouterr().out
    assert "run.ipynb" in out and "smoke run" in out and "train_size None" in out
