"""A folder of somebody else's is data: Python code that its files name is never run, whatever stands on standard input."""

import io
import json
import shutil
import subprocess
import sys

import pytest

from senticompare.base.descriptions import describe, description
from senticompare.base.errors import InputError
from senticompare.classify.checkpoint import load_classifier, save_classifier
from senticompare.classify.classifier import train_classifier
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
}
EVIL = """
open({mark!r}, "a").write("ran")
from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertModel, PreTrainedTokenizerFast
class EvilConfig(DistilBertConfig):
    model_type = "evil"
class EvilModel(DistilBertForSequenceClassification):
    config_class = EvilConfig
class EvilBare(DistilBertModel):
    config_class = EvilConfig
class EvilTokenizer(PreTrainedTokenizerFast):
    pass
"""
MAP = {
    "AutoConfig": "evil.EvilConfig",
    "AutoModel": "evil.EvilBare",
    "AutoModelForSequenceClassification": "evil.EvilModel",
    "AutoTokenizer": ["evil.EvilTokenizer", "evil.EvilTokenizer"],
}


def change(path, **values):
    about = json.loads(path.read_text()) if path.exists() else {}
    path.unlink(missing_ok=True)
    path.write_text(json.dumps({**about, **values}))


def own_config(model):
    change(model / "config.json", auto_map=MAP)


def unknown_type(model):
    change(model / "config.json", auto_map=MAP, model_type="evil", architectures=["EvilModel"])


def tokenizer(model):
    change(model / "tokenizer_config.json", auto_map=MAP, tokenizer_class="EvilTokenizer")


def base_of_adapter(model):
    change(model / "adapter_config.json", base_model_name_or_path=str(model), auto_map=MAP,
           auto_mapping={"base_model_class": "EvilModel", "parent_library": "evil"})  # fmt: skip
    unknown_type(model)


WAYS = {"full": (own_config, unknown_type, tokenizer), "lora": (own_config, unknown_type, tokenizer, base_of_adapter)}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A tuned checkpoint by method."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home))

        def made(method):
            spec = make_spec({**SMALL, "model": "tiny:distilbert-base", "method": method})
            return save_classifier(train_classifier(spec, load_splits(spec), {"data": "test"}), home / method)

        yield {method: made(method) for method in WAYS}


def arm(folder, way, mark):
    """Plant the code, and make the folder look whole to its own checksums."""
    about = description(folder)
    model = folder / "model"
    (model / "evil.py").write_text(EVIL.format(mark=str(mark)))
    way(model)
    describe(folder, {k: about[k] for k in about if k not in ("files", "format")})


@pytest.mark.parametrize(
    "method, way", [(m, w) for m, ways in WAYS.items() for w in ways], ids=lambda x: getattr(x, "__name__", x)
)
def test_a_checkpoint_runs_no_code(checkpoints, tmp_path, monkeypatch, capsys, method, way):
    shutil.copytree(checkpoints[method], tmp_path / "c")
    arm(tmp_path / "c", way, tmp_path / "mark")
    monkeypatch.setattr(sys, "stdin", answers := io.StringIO("y\n" * 20))
    monkeypatch.chdir(tmp_path / "c" / "model")
    try:
        assert load_classifier(tmp_path / "c", "cpu").predict_proba(["fine"]).shape == (1, 3)
    except InputError as e:
        assert "\n" not in str(e) and str(tmp_path / "c") in str(e)
    assert not (tmp_path / "mark").exists() and answers.tell() == 0 and capsys.readouterr().out == ""


@pytest.mark.parametrize("way", [own_config, unknown_type, tokenizer], ids=lambda w: w.__name__)
def test_a_base_model_runs_no_code(tmp_path, monkeypatch, capsys, way):
    from senticompare.models.loading import load_backbone, load_for_classification, load_tokenizer
    from senticompare.models.registry import find_model, model_source

    twin = find_model("tiny:distilbert-base")
    shutil.copytree(model_source(twin)[0], tmp_path / "base")
    load_tokenizer(twin).save_pretrained(tmp_path / "base")
    (tmp_path / "base" / "evil.py").write_text(EVIL.format(mark=str(tmp_path / "mark")))
    way(tmp_path / "base")
    monkeypatch.setattr(sys, "stdin", answers := io.StringIO("y\n" * 20))
    card = find_model(str(tmp_path / "base"))
    for read in (load_backbone, load_tokenizer, lambda c: load_for_classification(c, ("a", "b"))):
        try:
            read(card)
        except InputError as e:
            assert "\n" not in str(e)
    assert not (tmp_path / "mark").exists() and answers.tell() == 0 and capsys.readouterr().out == ""


def test_predict_reads_no_answer_from_its_input(checkpoints, tmp_path):
    """The way it was met: texts on standard input, one of them `y`."""
    shutil.copytree(checkpoints["full"], tmp_path / "c")
    arm(tmp_path / "c", unknown_type, tmp_path / "mark")
    command = [
        sys.executable,
        "-c",
        "from senticompare.cli.main import main; main()",
        "predict",
        "--json",
        "--checkpoint",
        str(tmp_path / "c"),
        "fine",
    ]
    done = subprocess.run(command, input="y\ny\n", cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (
        done.returncode == 2
        and done.stdout == ""
        and done.stderr.count("\n") == 1
        and done.stderr.startswith("error: checkpoint ")
    ), done
    assert not (tmp_path / "mark").exists()
