"""Damaged models are told in one line, or made good: tuned ones that are kept, checkpoints, and trees that XGBoost would not survive."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from senticompare.base.errors import InputError
from senticompare.classify.boosted_trees import XGBoostHead
from senticompare.classify.checkpoint import load_classifier, save_classifier
from senticompare.classify.classifier import train_classifier
from senticompare.cli.main import run_command
from senticompare.data.splits import load_splits
from senticompare.spec.run_spec import make_spec

SMALL = {
    "train_size": 48,
    "val_size": 24,
    "test_size": 24,
    "max_length": 32,
    "epochs": 1,
    "batch_size": 8,
    "evals_per_epoch": 1,
    "learning_rate": 0.01,
}
TEXTS = ["a fine film", "it broke after one day and nobody ever answered", "meh"]


def flip(path, rng, bits=1):
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    replace(path, bytes(data))


def replace(path, data):
    """New bytes in a new file: the old one may be shared by a hard link."""
    path.unlink()
    path.write_bytes(data)


def weights(path, change):
    found = {n: change(w.copy()) for n, w in load_file(path).items()}
    path.unlink()
    save_file(found, path, {"format": "pt"})


TUNED = {
    "weights cut": lambda d: replace(d / "model.safetensors", (d / "model.safetensors").read_bytes()[:5000]),
    "weights NaN": lambda d: weights(d / "model.safetensors", lambda w: w * np.float32("nan")),
    "weights zeroed at the end": lambda d: replace(
        d / "model.safetensors", (d / "model.safetensors").read_bytes()[:-4096] + bytes(4096)
    ),
    "weights deleted": lambda d: (d / "model.safetensors").unlink(),
    "configuration deleted": lambda d: (d / "config.json").unlink(),
    "configuration changed": lambda d: replace(d / "config.json", (d / "config.json").read_bytes() + b" "),
    "record empty": lambda d: replace(d / "training.json", b""),
    "record []": lambda d: replace(d / "training.json", b"[]"),
    "record {}": lambda d: replace(d / "training.json", b"{}"),
    "record deleted": lambda d: (d / "training.json").unlink(),
    "record's figure changed": lambda d: replace(
        d / "training.json", (d / "training.json").read_bytes().replace(b'"epochs": 1.0', b'"epochs": 3.0')
    ),
    "record of an earlier version": lambda d: replace(
        d / "training.json", b'{"epochs": 1.0, "best_val_f1_macro": 0.9, "train_time_s": 1.0}'
    ),
}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A home with a tuned model in it, and the run it belongs to."""
    home = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))
        spec = make_spec({**SMALL, "model": "tiny:distilbert-base", "method": "full", "device": "cpu"})
        splits = load_splits(spec)
        first = train_classifier(spec, splits, {"data": "test"})
        yield home, spec, splits, first.predict_proba(TEXTS)


@pytest.mark.parametrize("name", TUNED)
def test_a_damaged_tuned_model_is_trained_again(tuned, tmp_path, monkeypatch, capfd, name):
    home, spec, splits, expected = tuned
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    folder = next(p for p in (tmp_path / "home" / "tuned").iterdir() if p.is_dir())
    TUNED[name](folder)
    capfd.readouterr()
    again = train_classifier(spec, splits, {"data": "test"})
    said = capfd.readouterr().err
    assert (
        said.count("\n") == 1 and str(folder) in said and "trained again" in said and f"{folder.name}.damaged" in said
    ), said
    assert not again.training["reused"] and np.array_equal(again.predict_proba(TEXTS), expected)
    assert folder.with_name(f"{folder.name}.damaged").is_dir()
    once_more = train_classifier(spec, splits, {"data": "test"})
    assert (
        once_more.training["reused"]
        and capfd.readouterr().err == ""
        and np.array_equal(once_more.predict_proba(TEXTS), expected)
    )


def test_the_record_is_what_it_was(tuned):
    _, spec, splits, _ = tuned
    record = train_classifier(spec, splits, {"data": "test"}).training
    assert record["reused"] and record["epochs"] == 1 and not {"files", "digest"} & set(record)


def test_a_damaged_trial_of_a_search_is_trained_again(tmp_path, capsys):
    from senticompare.finetune.hyperparameter_search import search
    from senticompare.finetune.tuned_models import keep_record

    asked = []

    def pretend(spec, splits, folder, watch):
        asked.append(spec.learning_rate)
        if len(asked) == 3:
            raise KeyboardInterrupt
        folder.mkdir(parents=True)
        record = {"best_val_f1_macro": 0.5, "train_time_s": 1.0}
        keep_record(folder, record)
        return record

    spec = make_spec({"method": "lora", "tune": 3})
    with pytest.raises(KeyboardInterrupt):
        search(pretend, spec, None, tmp_path / "tuned")
    (tmp_path / "tuned.trial0" / "training.json").write_text("{}")
    assert len(search(pretend, spec, None, tmp_path / "tuned")["trials"]) == 3
    assert (
        asked[3] == asked[0]
        and asked[4] == asked[2]
        and len(asked) == 5
        and capsys.readouterr().err.count("trained again") == 1
    )


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Checkpoints of several kinds, by name."""
    home = tmp_path_factory.mktemp("checkpoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))

        def made(**values):
            spec = make_spec(
                {
                    **({} if values["method"] in ("baseline", "frozen") else SMALL),
                    "train_size": 60,
                    "val_size": 24,
                    "test_size": 24,
                    **values,
                }
            )
            return train_classifier(spec, load_splits(spec), {"data": "test"})

        kinds = {
            "majority": made(model="majority", method="baseline"),
            "words": made(model="tfidf", method="baseline", head="xgboost"),
            "lora": made(model="tiny:distilbert-base", method="lora", head="linear"),
        }
        yield {name: save_classifier(c, str(home / name)) for name, c in kinds.items()}


@pytest.mark.parametrize("kind", ["majority", "words", "lora"])
def test_any_bit_of_a_checkpoint(checkpoints, tmp_path, kind):
    """Whatever bit is turned, in weights, words, class names or shares: one line, or the right answer."""
    expected = load_classifier(checkpoints[kind], "cpu").predict_proba(TEXTS)
    names = [p.relative_to(checkpoints[kind]) for p in sorted(checkpoints[kind].rglob("*")) if p.is_file()]
    for n, name in enumerate(names * 2):
        folder = tmp_path / str(n)
        shutil.copytree(checkpoints[kind], folder)
        flip(folder / name, np.random.default_rng(n))
        with pytest.raises(InputError, match="damaged") as e:
            print(name, load_classifier(folder, "cpu").predict_proba(TEXTS) - expected)
        assert "\n" not in str(e.value) and str(folder) in str(e.value) and "again" in str(e.value)


def test_damaged_trees_end_in_a_line(checkpoints, tmp_path):
    """120 files with a few turned bits, none of which XGBoost gets to see."""
    shutil.copytree(checkpoints["words"], tmp_path / "c")
    whole = (tmp_path / "c" / "xgboost.ubj").read_bytes()
    for n in range(120):
        replace(tmp_path / "c" / "xgboost.ubj", whole)
        flip(tmp_path / "c" / "xgboost.ubj", np.random.default_rng(n), 1 + n % 4)
        for check in (True, False):  # the measuring process does not check the other files
            with pytest.raises(InputError, match=r"xgboost\.ubj is not what was written"):
                load_classifier(tmp_path / "c", "cpu", check=check)


def earlier(folder):
    """Make a checkpoint one of an earlier version, without checksums."""
    about = json.loads((folder / "senticompare.json").read_text())
    (folder / "senticompare.json").write_text(
        json.dumps({"format": 1, **{k: about[k] for k in ("classes", "spec", "base") if k in about}})
    )


def test_trees_without_a_checksum_are_tried_in_a_process_of_their_own(checkpoints, tmp_path):
    shutil.copytree(checkpoints["words"], tmp_path / "c")
    earlier(tmp_path / "c")
    expected = load_classifier(checkpoints["words"], "cpu").predict_proba(TEXTS)
    assert np.array_equal(load_classifier(str(tmp_path / "c"), "cpu").predict_proba(TEXTS), expected)
    whole = (tmp_path / "c" / "xgboost.ubj").read_bytes()
    start = whole.index(b"left_children")
    harmful = bytearray(whole)
    harmful[start + 20 : start + 400] = b"\x7f" * 380
    replace(tmp_path / "c" / "xgboost.ubj", bytes(harmful))
    script = "import sys; from senticompare.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "predict", "--checkpoint", str(tmp_path / "c"), "fine"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "xgboost.ubj cannot be read" in done.stderr, done
    read = "import sys, xgboost, numpy as n; b = xgboost.Booster(model_file=sys.argv[1]); b.inplace_predict(n.ones((9, b.num_features())))"
    alone = subprocess.run(
        [sys.executable, "-c", read, str(tmp_path / "c" / "xgboost.ubj")], capture_output=True, check=False
    )
    assert alone.returncode != 0, "or this test shows nothing"


def test_a_head_on_its_own(checkpoints, tmp_path):
    shutil.copy(checkpoints["words"] / "xgboost.ubj", tmp_path)
    assert XGBoostHead.load(tmp_path).model.num_features() > 0
    (tmp_path / "xgboost.ubj").write_bytes(b"{L")
    with pytest.raises(ValueError, match="cannot be read"):
        XGBoostHead.load(tmp_path)


def test_the_cure_in_the_message_works(tmp_path, capfd, monkeypatch):
    """'train it again' into the same folder, although its description is damaged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    command = [
        "train",
        "--model",
        "tfidf",
        "--dataset",
        "reviews",
        "--method",
        "baseline",
        "--train-size",
        "60",
        "--output-dir",
        "ck",
    ]
    assert run_command(command) == 0
    (tmp_path / "ck" / "senticompare.json").write_text("{")
    assert run_command(["predict", "--checkpoint", "ck", "fine"]) == 2 and "train it again" in capfd.readouterr().err
    assert run_command(command) == 0 and run_command(["predict", "--checkpoint", "ck", "fine"]) == 0


def test_a_cache_of_another_training_is_not_used(tuned, tmp_path, monkeypatch):
    """Vectors belong to weights, not to the settings that they were trained with."""
    home, spec, splits, _ = tuned
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    hybrid = make_spec({**SMALL, "model": spec.model, "method": "full", "head": "linear", "device": "cpu"})
    first = train_classifier(hybrid, splits, {"data": "test"})
    folder = next(p for p in (tmp_path / "home" / "tuned").iterdir() if p.is_dir())
    from senticompare.finetune.tuned_models import keep_record, read_record

    record = read_record(folder)
    weights(folder / "model.safetensors", lambda w: w * 1.5)
    keep_record(folder, record)
    other = train_classifier(hybrid, splits, {"data": "test"})
    assert first.encoder.key != other.encoder.key and len(os.listdir(tmp_path / "home" / "embeddings")) == 2


def test_what_a_killed_training_left_beside_a_finished_model_goes(tuned, tmp_path, monkeypatch):
    home, spec, splits, _ = tuned
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    folder = next(p for p in (tmp_path / "home" / "tuned").iterdir() if p.is_dir())
    for kind in ("trial0", "trial1.unfinished", "unfinished"):
        folder.with_name(f"{folder.name}.{kind}").mkdir()
    assert train_classifier(spec, splits, {"data": "test"}).training["reused"]
    assert [p for p in folder.parent.iterdir() if p.is_dir()] == [folder]
