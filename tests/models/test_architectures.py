"""Every architecture in every way of tuning, on its tiny twin: read back by a fresh process it answers the same, padded left or right, alone or in a batch."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from senticompare.base.errors import InputError
from senticompare.classify.checkpoint import save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.data.splits import load_splits
from senticompare.models.architectures import ARCHITECTURES
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 32,
    "val_size": 16,
    "test_size": 24,
    "max_length": 48,
    "epochs": 1,
    "batch_size": 8,
    "evals_per_epoch": 1,
    "learning_rate": 0.01,
}
METHODS = ("frozen", "full", "lora", "qlora", "ia3")
MORE = [(a, m) for a in ("roberta-base", "qwen2.5-1.5b") for m in ("dora", "rslora", "bitfit")]
NO_BIASES = ("phi-3-mini", "gemma-2-2b", "tinyllama-1.1b", "qwen3-4b", "smollm2-1.7b")
CASES = [(a, m) for a in ARCHITECTURES for m in METHODS] + MORE
ASK = """
import json, sys
from senticompare.classify.checkpoint import load_classifier
from pathlib import Path
request = json.loads(Path(sys.argv[1]).read_text())
answers = {name: load_classifier(Path(folder), "cpu").predict_proba(request["texts"]).tolist() for name, folder in request["folders"].items()}
Path(sys.argv[2]).write_text(json.dumps(answers))
"""


def spec_of(alias, method):
    rate = (
        {}
        if method != "frozen"
        else {"learning_rate": None, "epochs": None, "batch_size": None, "evals_per_epoch": None}
    )
    return make_spec({**SMALL, **rate, "model": f"tiny:{alias}", "method": method})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """All cases trained here and read back by one fresh process: {case: (probabilities before, after, training record)}."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))
        splits = load_splits(spec_of("roberta-base", "full"))
        texts = list(splits.test["text"])
        before, records, folders = {}, {}, {}
        for alias, method in CASES:
            if method == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
                continue
            name = f"{alias} {method}"
            c = train_classifier(spec_of(alias, method), splits, {"data": "test"})
            before[name], records[name] = c.predict_proba(texts), c.training
            folders[name] = str(save_classifier(c, home / name.replace(" ", "-")))
        request, answer = home / "request.json", home / "answer.json"
        request.write_text(json.dumps({"folders": folders, "texts": texts}))
        subprocess.run([sys.executable, "-c", ASK, str(request), str(answer)], check=True)
    after = json.loads(answer.read_text())
    return {name: (before[name], np.array(after[name]), records[name]) for name in before}


@pytest.mark.parametrize("alias, method", CASES)
def test_reloaded_answers_the_same(trained, alias, method):
    if f"{alias} {method}" not in trained:
        pytest.skip("bitsandbytes is not installed (extra 'quant')")
    before, after, record = trained[f"{alias} {method}"]
    assert np.abs(before - after).max() < 1e-4
    assert np.ptp(before, axis=0).max() > 1e-3, "the same answer to every text"
    if method not in ("frozen", "full"):
        assert 0 < record["trainable_percent"] < 60  # a twin's head is large beside its body


@pytest.mark.parametrize("alias", [a for a in NO_BIASES])
def test_bitfit_needs_biases(alias, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = spec_of(alias, "bitfit")
    with pytest.raises(InputError, match="no bias terms"):
        train_classifier(spec, load_splits(spec), {"data": "test"})


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("alias", list(ARCHITECTURES))
def test_neighbours_and_padding_do_not_matter(alias, quantized):
    """The same logits alone, in a batch of eight, padded right and padded left."""
    import torch

    from senticompare.models.loading import load_for_classification, load_tokenizer
    from senticompare.models.registry import find_model

    card = find_model(f"tiny:{alias}")
    torch.manual_seed(0)
    if quantized and importlib.util.find_spec("bitsandbytes") is None:
        pytest.skip("bitsandbytes is not installed (extra 'quant')")
    model, _ = load_for_classification(card, ("negative", "neutral", "positive"), quantized)
    tokenizer = load_tokenizer(card)
    texts = [t[:150] for t in load_splits(spec_of(alias, "frozen")).test["text"][:8]]
    found = {}
    with torch.inference_mode():
        for side in ("right", "left") if ARCHITECTURES[alias].family.decoder else ("right",):
            tokenizer.padding_side = side
            batch = tokenizer(
                texts, padding=True, truncation=True, max_length=48, return_tensors="pt", return_token_type_ids=False
            )
            found[side] = model.eval()(**batch).logits
        alone = [
            tokenizer([t], truncation=True, max_length=48, return_tensors="pt", return_token_type_ids=False)
            for t in texts
        ]
        found["alone"] = torch.cat([model(**one).logits for one in alone])
    assert np.ptp(found["alone"].numpy(), axis=0).max() > 1e-3
    for logits in found.values():
        assert torch.allclose(logits, found["alone"], atol=1e-5)


def test_a_hub_model_that_is_not_registered_says_itself_what_it_is(tmp_path):
    """Read from the Hub's local cache, as after a download; without network and without the model, a bare card."""
    cache = tmp_path / "hub"
    models = {
        "one/writes": {"architectures": ["GPT2LMHeadModel", "XForCausalLM"], "max_position_embeddings": 64},
        "two/pooled": {"architectures": ["BertModel"]},
    }
    for name, config in models.items():
        folder = cache / f"models--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text("a" * 40)
        (folder / "snapshots" / ("a" * 40) / "1_Pooling").mkdir(parents=True)
        (folder / "snapshots" / ("a" * 40) / "config.json").write_text(json.dumps(config))
    pooled = cache / "models--two--pooled/snapshots" / ("a" * 40) / "1_Pooling/config.json"
    pooled.write_text(json.dumps({"pooling_mode_cls_token": True}))
    ask = """
import json
from senticompare.models.registry import find_model

cards = [find_model(name) for name in ("one/writes", "two/pooled", "three/unknown")]
print(json.dumps([[c.kind, c.pooling, c.context_length, c.hub_id, c.folder] for c in cards]))
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [
        ["decoder", "last", 64, "one/writes", ""],
        ["encoder", "cls", None, "two/pooled", ""],
        ["encoder", "mean", None, "three/unknown", ""],
    ]
