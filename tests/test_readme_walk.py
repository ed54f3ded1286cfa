"""The commands in the order in which README shows them, for every kind of classifier: train, evaluate, predict, export, and the export used elsewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from senticompare.base.workspace import workspace
from senticompare.cli.main import run_command

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ["a fine film that I would buy again", "it broke after one day and nobody ever answered"]
SMALL = ["--train-size", "60", "--val-size", "30", "--test-size", "30"]
NETWORK = ["--max-length", "32"]
TUNED = [*NETWORK, "--epochs", "1", "--batch-size", "16", "--learning-rate", "0.01"]
KINDS = {
    "majority": ("majority", "baseline", None, []),
    "tfidf-linear": ("tfidf", "baseline", "linear", []),
    "tfidf-xgboost": ("tfidf", "baseline", "xgboost", []),
    "frozen-linear": ("tiny:roberta-base", "frozen", "linear", NETWORK),
    "frozen-xgboost": ("tiny:roberta-base", "frozen", "xgboost", NETWORK),
    "full": ("tiny:roberta-base", "full", None, TUNED),
    "lora": ("tiny:roberta-base", "lora", None, TUNED),
    "qlora": ("tiny:roberta-base", "qlora", None, TUNED),
    "hybrid": ("tiny:roberta-base", "lora", "xgboost", TUNED),
}
WAYS = {
    "safetensors": ["--to", "safetensors"],
    "onnx": ["--to", "onnx"],
    "int8": ["--to", "onnx", "--quantize", "int8"],
}
BASELINES = ("majority", "tfidf-linear", "tfidf-xgboost")


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function from a kind to the checkpoint that `senticompare train` wrote for it."""
    place = tmp_path_factory.mktemp("checkpoints")

    def made(kind: str) -> Path:
        model, method, head, more = KINDS[kind]
        folder = place / kind
        if not folder.exists():
            chosen = ["--head", head] if head else []
            command = [
                "train",
                "--model",
                model,
                "--dataset",
                "reviews",
                "--method",
                method,
                *chosen,
                *SMALL,
                *more,
                "--output-dir",
                str(folder),
            ]
            assert run_command(command) == 0
        return folder

    return made


def said(capsys, *command: object):
    """The JSON that a command prints, which must end well."""
    capsys.readouterr()
    assert run_command([*map(str, command), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def probabilities(answers: list[dict]) -> np.ndarray:
    return np.array([[a[c] for c in ("negative", "neutral", "positive")] for a in answers])


@pytest.mark.parametrize("kind", KINDS)
def test_train_then_evaluate_then_predict(kind, trained, capsys):
    folder = trained(kind)
    judged = said(capsys, "evaluate", "--checkpoint", folder, "--dataset", "reviews")
    assert 0 <= judged["accuracy"] <= 1
    answers = said(capsys, "predict", "--checkpoint", folder, *TEXTS)
    assert np.allclose(probabilities(answers).sum(1), 1, atol=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_train_wrote_is_exported_and_answers_alike(kind, way, trained, tmp_path, capsys):
    folder, out = trained(kind), tmp_path / "out"
    command = ["export", "--checkpoint", str(folder), *WAYS[way], "--output", str(out)]
    if kind in BASELINES and way != "safetensors":
        assert run_command(command) == 2
        told = capsys.readouterr().err.strip().splitlines()
        assert (
            len([line for line in told if line.startswith("error:")]) == 1
            and "safetensors" in told[-1]
            and not out.exists()
        )
        return
    assert run_command(command) == 0
    card = (out / "README.md").read_text(encoding="utf-8")
    assert (
        "Not measured: this checkpoint carries no result" not in card
        and str(folder) not in card
        and str(Path.home()) not in card
    )
    ours, theirs = (said(capsys, "predict", "--checkpoint", place, *TEXTS) for place in (folder, out))
    tolerance = 0.2 if way == "int8" else 2e-4
    assert np.abs(probabilities(ours) - probabilities(theirs)).max() <= tolerance
    assert said(capsys, "evaluate", "--checkpoint", out, "--dataset", "reviews")["accuracy"] >= 0
    assert run_command(command) == 2  # there is something already: nothing is overwritten


def test_an_export_may_follow_a_benchmark_and_a_second_training(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = ["--dataset", "reviews", *SMALL]
    for _ in range(2):  # the second replaces the first one's checkpoint
        assert run_command(["train", "--model", "tfidf", "--method", "baseline", *base, "--output-dir", "ck"]) == 0
    assert run_command(["export", "--checkpoint", "ck", "--to", "safetensors", "--output", "out"]) == 0
    assert (
        run_command(
            [
                "benchmark",
                "--models",
                "tfidf",
                "--methods",
                "baseline",
                "--heads",
                "linear",
                *base,
                "--reports",
                "reports",
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert run_command(["recommend", "--reports", "reports/reviews", "--json"]) in (
        0,
        1,
    )  # 30 texts may separate nothing from the majority class
    recommended = json.loads(capsys.readouterr().out)
    run = recommended["run_id"] or recommended["best_so_far"]
    checkpoint = next(workspace().checkpoints.glob(f"{run}-*"))
    assert recommended["checkpoint"] in (None, str(checkpoint))
    assert run_command(["export", "--checkpoint", str(checkpoint), "--to", "safetensors", "--output", "out2"]) == 0
    assert said(capsys, "predict", "--checkpoint", "out2", *TEXTS)


def snippet_of(out: Path) -> str:
    """The first Python block of an export's card, pointed at the export."""
    card = (out / "README.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(.*?)```", card, re.S).group(1).replace("path/to/this/folder", str(out))


ELSEWHERE = [
    ("frozen-linear", "onnx"),
    ("hybrid", "onnx"),
    ("lora", "int8"),
    ("qlora", "safetensors"),
    ("tfidf-linear", "safetensors"),
]


@pytest.mark.parametrize("kind, way", ELSEWHERE)
def test_the_card_s_lines_run_where_senticompare_is_not_installed(kind, way, trained, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(["export", "--checkpoint", str(trained(kind)), *WAYS[way], "--output", str(out)]) == 0
    code = "import sys; sys.modules['senticompare'] = None\n" + snippet_of(out)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_every_command_of_the_readme_is_one_that_exists():
    import typer

    from senticompare.cli.app import app

    known = typer.main.get_command(app).commands
    lines = re.findall(
        r"^    (?:accelerate launch -m )?senticompare (.+?)(?:\s{2,}#.*)?$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert len(lines) > 8
    for line in lines:
        name, *words = line.replace("\\", " ").split()
        options = {o for p in known[name].params for o in (*p.opts, *p.secondary_opts)}
        assert all(w.split("=")[0] in options for w in words if w.startswith("--")), line
