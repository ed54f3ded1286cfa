"""Each gate, on a real classifier that is broken on purpose: the right gate refuses it, and the sound one passes all."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import senticompare.classify.batching
from senticompare.classify.checkpoint import save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.data.splits import load_splits
from senticompare.measure.gates import check_gates, failed_gates
from senticompare.measure.probe import _alone_and_together, run_probe
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 96,
    "val_size": 24,
    "test_size": 40,
    "max_length": 40,
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.01,
    "truncation_limit": 1.0,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tuned tiny model, its splits, and a function that checks a checkpoint of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(tmp_path_factory.mktemp("home")))
        spec = make_spec({**SMALL, "model": "tiny:qwen2.5-1.5b", "method": "lora"})
        splits = load_splits(spec)
        yield train_classifier(spec, splits, {"data": "test"}), splits


def gates_of(classifier, splits, folder, **changed):
    texts = list(splits.test["text"])
    proba = classifier.predict_proba(texts)
    answer = {**run_probe(folder, texts, texts, "cpu", budget_s=0.1), **changed}
    return check_gates(splits, proba, answer, 0.2, 1.0, classifier.training["head_change"])


def test_a_sound_run_passes(trained, tmp_path):
    classifier, splits = trained
    gates = gates_of(classifier, splits, save_classifier(classifier, tmp_path / "sound"))
    assert failed_gates(gates) == [] and {"padding_invariance", "head_moved", "truncation", "reload_parity"} <= set(
        gates
    )


def test_a_lost_head_is_refused(trained, tmp_path):
    """The head's weights in the checkpoint are those of another start: what peft #602 did silently."""
    from safetensors.torch import load_file, save_file

    classifier, splits = trained
    folder = save_classifier(classifier, tmp_path / "lost")
    path = folder / "model" / "adapter_model.safetensors"
    weights = load_file(path)
    heads = [n for n in weights if "score" in n]
    assert heads
    rng = np.random.default_rng(0)
    path.unlink()  # the file may be shared with the cache by a hard link
    save_file(
        {n: w.new_tensor(rng.normal(0, 0.02, w.shape)) if n in heads else w for n, w in weights.items()},
        path,
        {"format": "pt"},
    )
    assert "reload_parity" in failed_gates(gates_of(classifier, splits, folder))


@pytest.mark.parametrize("alias", ["distilbert-base", "qwen3-4b"])  # absolute positions; the last token as the vector
def test_a_swapped_padding_side_is_refused(alias, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec(
        {
            "train_size": 60,
            "val_size": 24,
            "test_size": 24,
            "max_length": 40,
            "model": f"tiny:{alias}",
            "method": "frozen",
        }
    )
    splits = load_splits(spec)
    texts = list(splits.test["text"])
    classifier = train_classifier(spec, splits, {"data": "test"})
    proba = classifier.predict_proba(texts)
    sound = {"parity": proba, **_alone_and_together(classifier.predict_proba, texts)}
    right = senticompare.classify.batching.padded_inputs

    def left(ids, pad_id, device):
        return {k: v.flip(1) for k, v in right([i[::-1] for i in ids], pad_id, device).items()}

    monkeypatch.setattr(senticompare.classify.batching, "padded_inputs", left)
    swapped = {"parity": proba, **_alone_and_together(classifier.predict_proba, texts)}
    assert "padding_invariance" not in failed_gates(check_gates(splits, proba, sound, truncation_limit=1.0))
    assert failed_gates(check_gates(splits, proba, swapped, truncation_limit=1.0)) == ["padding_invariance"]


def test_a_leaked_test_row_is_refused(trained, tmp_path):
    classifier, splits = trained
    row = splits.test.iloc[[0]].assign(text=lambda f: f["text"].str.upper() + " ")
    leaky = replace(splits, train=pd.concat([splits.train, row], ignore_index=True))
    assert failed_gates(gates_of(classifier, leaky, save_classifier(classifier, tmp_path / "leak"))) == [
        "train_test_leak"
    ]


def test_a_collapsed_model_is_refused(tmp_path, monkeypatch):
    """A rate so high that every answer becomes the same."""
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec({**SMALL, "model": "tiny:distilbert-base", "method": "full", "learning_rate": 1.0, "epochs": 1})
    splits = load_splits(spec)
    classifier = train_classifier(spec, splits, {"data": "test"})
    assert failed_gates(gates_of(classifier, splits, save_classifier(classifier, tmp_path / "collapsed"))) == [
        "not_collapsed"
    ]


def test_a_head_that_was_not_trained_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec({**SMALL, "model": "tiny:roberta-base", "method": "full", "learning_rate": 1e-8, "epochs": 1})
    splits = load_splits(spec)
    classifier = train_classifier(spec, splits, {"data": "test"})
    assert "head_moved" in failed_gates(gates_of(classifier, splits, save_classifier(classifier, tmp_path / "still")))
