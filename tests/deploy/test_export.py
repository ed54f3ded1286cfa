"""Exports answer like the original, in software that has never heard of this package."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from senticompare.base.descriptions import describe, description
from senticompare.base.errors import InputError
from senticompare.classify.checkpoint import load_classifier, save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.data.splits import load_splits
from senticompare.deploy.export import export_classifier
from senticompare.deploy.exported_model import load_export
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 48,
    "val_size": 24,
    "test_size": 24,
    "max_length": 48,
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 0.01,
}
TEXTS = ["a fine film", "it broke after one day and nobody ever answered", "meh", "okay " * 60]
WITHOUT_US = "import sys; sys.modules['senticompare'] = None; import json; texts = json.loads(sys.argv[2]); folder = sys.argv[1]\n"
PIPELINE = (
    WITHOUT_US
    + """
from transformers import pipeline
answers = pipeline("text-classification", folder, device="cpu")(texts, truncation=True, top_k=None)
print("ANSWER", json.dumps([{a["label"]: a["score"] for a in one} for one in answers]))
"""
)
ONNX = (
    WITHOUT_US
    + """
import numpy as np, onnxruntime
from transformers import AutoConfig, AutoTokenizer
batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, truncation=True, return_tensors="np")
logits = onnxruntime.InferenceSession(folder + "/model.onnx").run(None, {k: batch[k].astype("int64") for k in ("input_ids", "attention_mask")})[0]
p = np.exp(logits - logits.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
names = AutoConfig.from_pretrained(folder).id2label
print("ANSWER", json.dumps([{names[i]: float(x) for i, x in enumerate(row)} for row in p]))
"""
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """One block of timings and no calibration: tests/test_export_elsewhere.py looks at those."""
    monkeypatch.setattr("senticompare.deploy.export_comparison.gemm_gflops", lambda **_: 100.0)
    monkeypatch.setattr("senticompare.deploy.export_comparison.BUDGET_S", 0.0)


def elsewhere(script, folder):
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), json.dumps(TEXTS)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.split("ANSWER", 1)[1])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A function from model, method and head to a trained checkpoint's folder."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))

        def made(model, method, head):
            sizes = SMALL if method != "frozen" else {"max_length": 48}
            spec = make_spec({**sizes, "model": model, "method": method, "head": head})
            folder = home / "-".join((model.replace(":", "_"), method, head))
            return (
                folder
                if folder.exists()
                else save_classifier(train_classifier(spec, load_splits(spec), {"data": "test"}), folder)
            )

        yield made


@pytest.mark.parametrize(
    "to, model",
    [
        ("safetensors", "tiny:roberta-base"),
        ("safetensors", "tiny:gemma-2-2b"),
        ("safetensors", "tiny:tinyllama-1.1b"),
        ("onnx", "tiny:distilbert-base"),
        ("onnx", "tiny:gemma-2-2b"),
        ("onnx", "all-MiniLM-L6-v2"),
    ],
)
def test_plain_software_gives_the_same_probabilities(checkpoint, tmp_path, model, to):
    source = checkpoint(model, "lora", "classifier")
    export_classifier(source, tmp_path / "out", to)
    classifier = load_classifier(source, "cpu")
    expected = classifier.predict_proba(TEXTS)
    found = elsewhere(PIPELINE if to == "safetensors" else ONNX, tmp_path / "out")
    assert np.abs(np.array([[one[c] for c in classifier.classes] for one in found]) - expected).max() < 1e-4
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert "README.md" in names and not [n for n in names if n.endswith((".bin", ".pt", ".pkl"))]


@pytest.mark.parametrize(
    "to, method, head",
    [
        ("safetensors", "qlora", "classifier"),
        ("safetensors", "full", "linear"),
        ("safetensors", "frozen", "linear"),
        ("onnx", "ia3", "classifier"),
        ("onnx", "lora", "xgboost"),
    ],
)
def test_read_back(checkpoint, tmp_path, method, head, to):
    source = checkpoint("tiny:qwen3-4b", method, head)
    checked = export_classifier(source, tmp_path / "out", to)
    assert checked["largest_difference"] < 1e-4
    assert (
        np.abs(
            load_export(tmp_path / "out").predict_proba(TEXTS) - load_classifier(source, "cpu").predict_proba(TEXTS)
        ).max()
        < 1e-4
    )


DAMAGE = {
    "weights cut off": ("safetensors", "model.safetensors", lambda b: b[:1000]),
    "no weights": ("safetensors", "model.safetensors", None),
    "no tokenizer": ("safetensors", "tokenizer.json", lambda b: b"{"),
    "broken config": ("safetensors", "config.json", lambda b: b"{"),
    "graph cut off": ("onnx", "model.onnx", lambda b: b[: len(b) // 2]),
    "no graph": ("onnx", "model.onnx", None),
    "no specification": ("safetensors", "senticompare.json", lambda b: b'{"to": "onnx"}'),
    "classes as a word": (
        "safetensors",
        "senticompare.json",
        lambda b: b.replace(b'"classes": [', b'"classes": null, "x": ['),
    ),
}


def test_damaged_exports_are_named(checkpoint, tmp_path):
    source = checkpoint("tiny:roberta-base", "full", "classifier")
    for to in ("safetensors", "onnx"):
        export_classifier(source, tmp_path / to, to)
    for name, (to, file, change) in DAMAGE.items():
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(tmp_path / to, folder)
        (folder / file).unlink() if change is None else (folder / file).write_bytes(
            change((folder / file).read_bytes())
        )
        with pytest.raises(InputError, match=folder.name) as e:
            load_export(folder)
        assert "\n" not in str(e.value), name
    with pytest.raises(InputError, match="is an export already"):
        export_classifier(tmp_path / "onnx", tmp_path / "again", "onnx")


def test_a_missing_weight_is_not_made_up(checkpoint, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "out"
    export_classifier(checkpoint("tiny:roberta-base", "full", "classifier"), folder, "safetensors")
    weights = load_file(folder / "model.safetensors")
    lost = next(n for n in weights if n.startswith("classifier") and n.endswith("weight"))
    save_file({n: w for n, w in weights.items() if n != lost}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"model\.safetensors has .* bytes, not"):
        load_export(folder)
    describe(
        folder, {k: v for k, v in description(folder).items() if k not in ("files", "format")}
    )  # by whoever took it out
    with pytest.raises(InputError, match="1 weights are missing"):
        load_export(folder)


def test_what_cannot_be_exported(checkpoint, tmp_path):
    source = checkpoint("tiny:roberta-base", "lora", "classifier")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="exists already"):
        export_classifier(source, tmp_path / "there", "onnx")
    words = make_spec({"model": "tfidf", "method": "baseline", "train_size": 48, "val_size": 24, "test_size": 24})
    baseline = save_classifier(train_classifier(words, load_splits(words), {"data": "test"}), tmp_path / "words")
    with pytest.raises(InputError, match="no network"):
        export_classifier(baseline, tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))
    assert export_classifier(baseline, tmp_path / "plain", "safetensors")["largest_difference"] == 0
    assert load_export(tmp_path / "plain").predict_proba(TEXTS).shape == (len(TEXTS), 3)
