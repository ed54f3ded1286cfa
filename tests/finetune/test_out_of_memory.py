"""Memory that runs out in training: the real allocator's error, a smaller batch, the same optimiser steps."""

import torch
from safetensors.torch import load_file

from senticompare.data.splits import load_splits
from senticompare.finetune import trainer as training
from senticompare.spec.run_spec import make_spec

GREEDY = 1 << 50  # bytes that no machine has


def starved(most):
    "A model-maker whose models ask for too much memory when a batch holds more than `most` texts."
    real = training.trainable_model

    def make(*args):
        model = real(*args)

        def ask(_module, _args, inputs):
            if model.training and inputs["input_ids"].shape[0] > most:
                torch.empty(GREEDY, dtype=torch.uint8)

        model.register_forward_pre_hook(ask, with_kwargs=True)
        return model

    return make


def test_smaller_batches_of_the_same_effective_size(tmp_path, monkeypatch):
    spec = make_spec({"model": "tiny:distilbert-base", "method": "full", "train_size": 64, "val_size": 32, "test_size": 32, "epochs": 1, "batch_size": 16,
                      "device": "cpu"})  # fmt: skip
    splits = load_splits(spec)
    monkeypatch.setattr(training, "trainable_model", starved(4))
    starving = training.fine_tune(spec, splits, tmp_path / "starving")
    monkeypatch.undo()
    assert (starving["batch_size"], starving["gradient_accumulation"]) == (4, 4)
    by_hand = training.fine_tune(
        make_spec({**vars(spec), "batch_size": 4, "gradient_accumulation": 4}), splits, tmp_path / "by_hand"
    )
    assert starving["history"] == by_hand["history"] and not list(tmp_path.glob("*.unfinished"))
    a, b = (load_file(tmp_path / name / "model.safetensors") for name in ("starving", "by_hand"))
    assert all(torch.equal(a[k], b[k]) for k in b)
