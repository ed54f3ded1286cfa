"""Every way of tuning trains, is saved, and answers the same when a fresh process reads it back."""

import importlib.util

import numpy as np
import pytest

from senticompare.classify.checkpoint import save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.data.splits import load_splits
from senticompare.measure.gates import PARITY_TOLERANCE
from senticompare.measure.probe import run_probe
from senticompare.models.registry import find_model
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 48,
    "val_size": 24,
    "test_size": 24,
    "max_length": 32,
    "epochs": 1,
    "batch_size": 8,
    "evals_per_epoch": 1,
}


@pytest.mark.parametrize(
    "method, head",
    [("full", "classifier"), ("full", "xgboost"), ("lora", "classifier"), ("qlora", "classifier"), ("qlora", "linear")],
)
def test_trained_saved_reloaded(tmp_path, monkeypatch, method, head):
    if method == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed (extra 'quant')")
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec({**SMALL, "method": method, "head": head})
    splits = load_splits(spec)
    trained = train_classifier(spec, splits, {"data": "test"})
    texts = list(splits.test["text"])
    folder = save_classifier(trained, tmp_path / "checkpoint")
    answer = run_probe(folder, texts, texts, "cpu", budget_s=0.1)
    assert np.abs(np.array(answer["parity"]) - trained.predict_proba(texts)).max() <= PARITY_TOLERANCE
    assert not list(folder.rglob("*.bin")) and not list(folder.rglob("*.pkl")) and not list(folder.rglob("*.pt"))
    share = trained.training["trainable_percent"]
    assert share == 100 if method == "full" else share < 1


def test_same_seed_same_model(tmp_path, monkeypatch):
    spec = make_spec({**SMALL, "method": "lora"})
    splits = load_splits(spec)
    answers = []
    for name in ("a", "b"):
        monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / name))
        answers.append(train_classifier(spec, splits, {"data": "test"}).predict_proba(list(splits.test["text"])))
    assert np.array_equal(*answers)


def test_local_folder_is_the_model(tmp_path):
    """A model saved to a folder is read from there, with its pooling, and gives the registry model's vectors."""
    import shutil

    from senticompare.classify.embeddings import embed_texts, load_embedder
    from senticompare.models.registry import model_source

    card = find_model("all-MiniLM-L6-v2")
    shutil.copytree(model_source(card)[0], tmp_path / "mine")
    mine = find_model(str(tmp_path / "mine"))
    assert mine.pooling == "mean" and mine.kind == "encoder"
    texts = ["a fine film", "broken after a day"]
    assert (
        np.abs(
            embed_texts(load_embedder(mine, 32, "cpu"), texts) - embed_texts(load_embedder(card, 32, "cpu"), texts)
        ).max()
        < 1e-6
    )
