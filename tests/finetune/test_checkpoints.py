"""What is read back is what was saved, or it is refused: lost weights, another base model, another export; and a resumed training remembers."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from senticompare.base.errors import InputError
from senticompare.classify.checkpoint import load_classifier, save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.data.splits import load_splits
from senticompare.deploy.export import export_classifier
from senticompare.deploy.exported_model import load_export
from senticompare.finetune.adapters import trainable_model
from senticompare.finetune.trainer import _trainer, fine_tune
from senticompare.models.registry import find_model
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 48,
    "val_size": 24,
    "test_size": 24,
    "max_length": 32,
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 0.01,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A function from settings to a trained checkpoint's folder."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))

        def make(**settings):
            spec = make_spec({**SMALL, **settings})
            inputs = {"data": "test", "model": settings["model"]}
            name = "-".join(str(v).replace("/", "_").replace(":", "_") for v in settings.values())
            return save_classifier(train_classifier(spec, load_splits(spec), inputs), home / name)

        yield make


def lose(file, part):
    """Take the weights whose name holds `part` out of a file; the file may be shared by a hard link."""
    weights = load_file(file)
    file.unlink()
    save_file({n: w for n, w in weights.items() if part not in n}, file, {"format": "pt"})
    assert len(load_file(file)) < len(weights)


@pytest.mark.parametrize(
    ("method", "head", "file", "part"),
    [
        ("full", None, "model", "classifier"),
        ("full", "linear", "model", "layer.1"),
        ("lora", None, "adapter_model", "layer.1"),
        ("ia3", None, "adapter_model", "classifier"),
    ],
)
def test_a_lost_weight_is_refused(trained, tmp_path, method, head, file, part):
    settings = {"model": "tiny:distilbert-base", "method": method, **({"head": head} if head else {})}
    folder = tmp_path / "copy"
    shutil.copytree(trained(**settings), folder)
    assert load_classifier(folder, "cpu").predict_proba(["fine"]).shape == (1, 3)
    lose(folder / "model" / f"{file}.safetensors", part)
    with pytest.raises(InputError, match="copy: damaged"):
        load_classifier(folder, "cpu")


@pytest.mark.parametrize(("method", "head"), [("lora", "classifier"), ("frozen", "linear")])
def test_another_base_model_is_refused(trained, tmp_path, monkeypatch, method, head):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    base = tmp_path / "base"
    twin = find_model("tiny:distilbert-base")
    from senticompare.models.loading import load_tokenizer
    from senticompare.models.registry import model_source

    shutil.copytree(model_source(twin)[0], base)
    load_tokenizer(twin).save_pretrained(base)
    settings = {"lora": {"target_modules": "q_lin,v_lin"}}.get(method, {})
    folder = trained(model=str(base), method=method, head=head, **settings)
    assert load_classifier(folder, "cpu").predict_proba(["fine"]).shape == (1, 3)
    weights = load_file(base / "model.safetensors")
    save_file({n: w * 1.5 for n, w in weights.items()}, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"base model .* have changed"):
        load_classifier(folder, "cpu")


def test_a_roberta_hybrid_is_exported(trained, tmp_path):
    """Its backbone is saved without a pooler, which transformers would expect."""
    checkpoint = trained(model="tiny:roberta-base", method="full", head="linear")
    export_classifier(checkpoint, tmp_path / "out", "safetensors")
    texts = ["a fine film", "it broke after a day " * 20]
    ours, theirs = (
        load_classifier(checkpoint, "cpu").predict_proba(texts),
        load_export(tmp_path / "out").predict_proba(texts),
    )
    assert np.abs(ours - theirs).max() < 1e-5


def test_the_cards_own_lines_answer_as_we_do(trained, tmp_path):
    """Long texts, too: the card's pipeline has to cut them where the run did."""
    checkpoint, out = trained(model="tiny:distilbert-base", method="full"), tmp_path / "out"
    export_classifier(checkpoint, out, "safetensors")
    code = (
        (out / "README.md").read_text().split("```python\n")[1].split("```")[0].replace("path/to/this/folder", str(out))
    )
    space = {}
    exec(code, space)
    text = "it broke after one day and nobody ever answered " * 40
    chances = load_classifier(checkpoint, "cpu").predict_proba([text])[0]
    assert max(one["score"] for one in space["classify"]([text])[0]) == pytest.approx(float(chances.max()), abs=1e-5)


def test_a_head_for_other_classes_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    five = trainable_model(make_spec({"method": "full", "model": "tiny:distilbert-base"}).resolved(), tuple("abcde"))
    five.save_pretrained(tmp_path / "five")
    three = trainable_model(make_spec({"method": "full", "model": str(tmp_path / "five")}).resolved(), tuple("xyz"))
    assert three.classifier.out_features == 3 and three.config.id2label[0] == "x"


def test_a_resumed_training_remembers(tmp_path, monkeypatch):
    """How long nothing has become better, how far the best head has moved, and which batch fits."""
    from transformers import EarlyStoppingCallback, TrainerCallback

    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec(
        {**SMALL, "model": "tiny:distilbert-base", "method": "full", "epochs": 2, "evals_per_epoch": 3, "patience": 50}
    ).resolved()
    splits, work = load_splits(spec), tmp_path / "out.unfinished"

    class Interrupted(Exception):
        pass

    def stop(history, steps):
        if sum("val_f1_macro" in h for h in history) >= 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        fine_tune(spec, splits, tmp_path / "out", stop)
    states = sorted(work.glob("checkpoint-*/trainer_state.json"), key=lambda p: int(p.parent.name.rsplit("-", 1)[1]))
    state = json.loads(states[-1].read_text())
    state["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"]["early_stopping_patience_counter"] = 7
    states[-1].write_text(json.dumps(state))
    trainer = _trainer(spec, splits, work, None)
    seen = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            ours = next(c for c in trainer.callback_handler.callbacks if isinstance(c, EarlyStoppingCallback))
            seen.update(counter=ours.early_stopping_patience_counter, moved=trainer.average.moved)
            raise Interrupted

    trainer.add_callback(Look())
    with pytest.raises(Interrupted):
        trainer.train(resume_from_checkpoint=str(states[-1].parent))
    assert seen["counter"] == 7 and seen["moved"] > 0


@pytest.mark.parametrize(
    ("model", "method"), [("distilbert-base", "full"), ("roberta-base", "lora"), ("qwen2.5-1.5b", "lora")]
)
def test_gradient_checkpointing_changes_no_figure(tmp_path, monkeypatch, model, method):
    """What is computed again in the backward pass meets the same masks of dropout."""
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    spec = make_spec({**SMALL, "model": f"tiny:{model}", "method": method, "precision": "float32"})
    splits = load_splits(spec)
    plain, again = (
        fine_tune(replace(spec, gradient_checkpointing=g), splits, tmp_path / str(g))["history"] for g in (False, True)
    )
    assert [h.get("loss") for h in again] == pytest.approx([h.get("loss") for h in plain], abs=1e-5)
    assert [h["grad_norm"] for h in again if "grad_norm" in h] == pytest.approx(
        [h["grad_norm"] for h in plain if "grad_norm" in h], rel=1e-3
    )
