"""What `train` leaves is a complete result, and `export` takes it, for every kind of classifier; files are readable for everybody."""

import importlib.util
import json

import pytest

from senticompare.cli.main import run_command
from senticompare.results.files import read_result
from senticompare.results.schema import SHAPE, what_is_wrong
from senticompare.spec.run_spec import make_spec

SMALL = ["--train-size", "48", "--val-size", "24", "--test-size", "24", "--max-length", "32"]
TUNED = ["--epochs", "1", "--batch-size", "8", "--learning-rate", "0.01", "--set", "evals_per_epoch=1"]
KINDS = {
    "majority": ["--model", "majority", "--method", "baseline"],
    "tfidf linear": ["--model", "tfidf", "--method", "baseline", "--head", "linear"],
    "tfidf xgboost": ["--model", "tfidf", "--method", "baseline", "--head", "xgboost"],
    "frozen linear": ["--model", "tiny:roberta-base", "--method", "frozen", "--head", "linear"],
    "frozen xgboost": ["--model", "tiny:roberta-base", "--method", "frozen", "--head", "xgboost"],
    "full": ["--model", "tiny:distilbert-base", "--method", "full", *TUNED],
    "lora": ["--model", "tiny:distilbert-base", "--method", "lora", *TUNED],
    "qlora": ["--model", "tiny:qwen3-4b", "--method", "qlora", *TUNED],
    "hybrid": ["--model", "tiny:distilbert-base", "--method", "full", "--head", "xgboost", *TUNED],
}


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """One home for all, so that the hybrid finds the model that `full` trained."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def unread(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.stat().st_mode & 0o777 != 0o644)


@pytest.mark.parametrize("kind", KINDS)
def test_train_then_export(tmp_path, capfd, monkeypatch, kind):
    if kind == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed (extra 'quant')")
    monkeypatch.chdir(tmp_path)
    assert run_command(["train", "--dataset", "reviews", *KINDS[kind], *SMALL, "--output-dir", "ck", "--json"]) == 0, (
        capfd.readouterr().err
    )
    row, result = json.loads(capfd.readouterr().out)[0], read_result(tmp_path / "ck" / "result.json")
    assert result and what_is_wrong(result) == "" and result["status"] in ("completed", "refused"), (
        "the same shape as a benchmark's"
    )
    assert round(result["quality"]["accuracy"], 4) == row["test accuracy"] and result["data"]["sizes"] == {
        "train": 48,
        "validation": 24,
        "test": 24,
    }
    missing = [f"{b}.{n}" for b, names in SHAPE.items() for n in names if result[b][n] is None]
    assert (
        set(missing) <= set(result["not_measured"])
        and "speed.latency_p50_ms" in missing
        and result["memory"]["artifact_mb"] > 0
    )
    assert {"reload_parity", "train_test_leak", "validation_is_not_test", "truncation"} <= set(result["gates"])
    assert result["gates"]["reload_parity"]["passed"] and result["run_id"] == make_spec(result["spec"]).run_id
    assert run_command(["export", "--checkpoint", "ck", "--to", "safetensors", "--output", "out"]) == 0, (
        capfd.readouterr().err
    )
    assert f"{result['quality']['accuracy']:.4f}" in (tmp_path / "out" / "README.md").read_text()
    assert unread(tmp_path / "ck") == []
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_run_that_fails_its_gates_says_so(tmp_path, capfd, monkeypatch):
    """Texts that are all cut: benchmark would refuse the run, and `train` keeps the checkpoint, but does not keep quiet."""
    monkeypatch.chdir(tmp_path)
    command = [
        "train",
        "--dataset",
        "reviews",
        *KINDS["frozen linear"],
        *SMALL[:-2],
        "--max-length",
        "6",
        "--output-dir",
        "ck",
    ]
    assert run_command(command) == 0
    said = capfd.readouterr().err
    assert "warning: not to be trusted" in said and "max_length" in said
    assert read_result(tmp_path / "ck" / "result.json")["status"] == "refused"
