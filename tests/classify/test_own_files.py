"""A checkpoint never costs anybody a file: what is not its own is refused before training, and the old one lives until the new one is whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import senticompare.classify.checkpoint
from senticompare.cli.main import run_command

WORDS = ["--method", "baseline"]
ROWS = [
    "text,label",
    *(f"{word} number {i} of them,{label}" for i in range(40) for word, label in (("fine", "good"), ("broken", "bad"))),
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with a dataset."""
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    work = tmp_path / "work"
    work.mkdir()
    (work / "d.csv").write_text("\n".join(ROWS))
    monkeypatch.chdir(work)
    return work


def train(output, *more, model="majority", dataset="d.csv"):
    return run_command(
        ["train", "--model", model, "--dataset", str(dataset), "--output-dir", str(output), *(more or WORDS)]
    )


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def refused(capfd, monkeypatch):
    """Run a training that must be refused in one line, before it begins, and leave everything as it was."""
    import senticompare.results.assemble

    def run(words, watched, *arguments, **options):
        before = files(watched)
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(senticompare.results.assemble, "train_classifier", None)  # would be called
            assert train(*arguments, **options) == 2
        said = capfd.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and all(w in said for w in words), said
        assert files(watched) == before

    return run


def test_an_earlier_checkpoint_is_replaced(place):
    assert train("ck") == 0
    (place / "ck" / "result.json").write_text("{}")
    (place / "ck" / ".result.json.abc.tmp").write_text("cut off")  # by a process that was killed
    assert train("ck", *WORDS, "--head", "xgboost", model="tfidf") == 0
    assert set(files(place / "ck")) == {
        "senticompare.json",
        "result.json",
        "tfidf.json",
        "tfidf.safetensors",
        "xgboost.ubj",
    }
    assert sorted(p.name for p in place.iterdir()) == ["ck", "d.csv"]


def test_own_files_beside_a_checkpoint(place, refused):
    assert train("ck") == 0
    (place / "ck" / "notes.txt").write_text("mine")
    refused(["notes.txt", "ck"], place, "ck")
    (place / "ck" / "notes.txt").unlink()
    for name in ("sub", "sub/notes", "model"):
        (place / "ck" / name).mkdir()
        refused([name], place, "ck")
    shutil.rmtree(place / "ck" / "sub")
    (place / "ck" / "model").rmdir()
    (place / "ck" / "away").symlink_to(place)
    refused(["away"], place, "ck")


def test_a_checkpoint_of_an_earlier_version(place, refused, capfd):
    """It lists no files: its own are known by their names."""
    assert train("ck", *WORDS, model="tfidf") == 0
    about = json.loads((place / "ck" / "senticompare.json").read_text())
    (place / "ck" / "senticompare.json").write_text(
        json.dumps({"format": 1, "classes": about["classes"], "spec": about["spec"]})
    )
    assert run_command(["predict", "--checkpoint", "ck", "fine"]) == 0, capfd.readouterr().err
    (place / "ck" / "notes.json").write_text("{}")
    refused(["notes.json"], place, "ck", *WORDS)
    (place / "ck" / "notes.json").unlink()
    assert train("ck") == 0 and set(files(place / "ck")) == {"majority.json", "result.json", "senticompare.json"}


def test_the_dataset(place, refused):
    assert train("ck") == 0
    shutil.copy("d.csv", place / "ck" / "data.csv")
    refused(["data.csv"], place, "ck", dataset="ck/data.csv")
    (place / "link.csv").symlink_to(place / "ck" / "data.csv")
    refused(["data.csv"], place, "ck", dataset="link.csv")
    (place / "fold").mkdir()
    shutil.copy("d.csv", place / "fold" / "train.csv")
    shutil.copy("d.csv", place / "fold" / "test.csv")
    for output in ("fold", "fold/ck", "fold/a/b"):
        refused(["fold"], place, output, dataset="fold")
    refused(["d.csv"], place, "d.csv")
    refused(["d.csv"], place, "d.csv/ck")


def test_the_base_model(place, refused):
    from senticompare.models.loading import load_tokenizer
    from senticompare.models.registry import find_model, model_source

    twin = find_model("tiny:distilbert-base")
    shutil.copytree(model_source(twin)[0], "base")
    load_tokenizer(twin).save_pretrained("base")
    frozen = ["--method", "frozen"]
    refused(["base"], place, "base", *frozen, model="base")
    refused(["model", "base"], place, "base/new", *frozen, model="base")
    assert train("ck", "--method", "full", "--epochs", "1", "--train-size", "40", model="base") == 0
    assert run_command(["export", "--checkpoint", "ck", "--to", "safetensors", "--output", "exported"]) == 0
    refused(["exported"], place, "exported", *frozen, model="exported")
    refused(["exported", "export"], place, "exported", *WORDS)
    refused(["model"], place, "ck", *frozen, model="ck/model")


def test_from_inside(place, refused, monkeypatch):
    assert train("ck") == 0
    refused(["."], place, ".", *WORDS)
    monkeypatch.chdir(place / "ck")
    refused(["the folder you are in"], place, ".", *WORDS, dataset="../d.csv")
    (place / "ck" / "sub").mkdir()
    monkeypatch.chdir(place / "ck" / "sub")
    refused([".."], place, "..", *WORDS, dataset="../../d.csv")
    assert (place / "ck" / "senticompare.json").exists()


def test_links_and_places_that_cannot_be_written(place, refused):
    assert train("ck") == 0
    for target in ("ck", "nowhere", "d.csv"):
        (place / "link").symlink_to(target)
        refused(["link", "is a link"], place, "link")
        (place / "link").unlink()
    (place / "file").write_text("x")
    refused(["file"], place, "file/ck")
    refused(["file"], place, "file")
    (place / "filled").mkdir()
    (place / "filled" / "notes.txt").write_text("mine")
    refused(["filled", "is no checkpoint"], place, "filled")
    if os.getuid():
        (place / "shut").mkdir(mode=0o500)
        refused(["shut"], place, "shut/ck")


def test_train_all(place, capfd, monkeypatch):
    import senticompare.results.assemble

    monkeypatch.setattr(senticompare.results.assemble, "train_classifier", None)
    many = [
        "train-all",
        "--dataset",
        "d.csv",
        "--models",
        "tiny:distilbert-base,tiny:roberta-base",
        "--method",
        "frozen",
        "--output-dir",
    ]
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    filled = place / "out" / "tiny-roberta-base--frozen--linear--d--s1"
    filled.mkdir(parents=True)
    (filled / "notes.txt").write_text("mine")
    before = files(place)
    for output, word in (("link", "is a link"), ("out", filled.name)):
        assert run_command([*many, output]) == 2
        said = capfd.readouterr().err
        assert said.count("\n") == 1 and word in said
    assert files(place) == before


def test_a_failed_replacement_leaves_the_old_one(place, monkeypatch, capfd):
    assert train("ck") == 0
    before = files(place)

    def fails(*_):
        raise OSError(28, "No space left on device", "weights")

    monkeypatch.setattr(senticompare.classify.checkpoint, "describe", fails)
    assert train("ck") == 2 and "No space left" in capfd.readouterr().err and files(place) == before
    monkeypatch.undo()


KILLED = """
import os, sys
import senticompare.base.atomic_folders as f
step, place, exchange = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "exchange"
calls = []
def maybe(do):
    def wrapped(*a, **k):
        calls.append(1)
        if len(calls) > step: os.kill(os.getpid(), 9)
        return do(*a, **k)
    return wrapped
if not exchange: f._exchange = lambda a, b: False
else: f._exchange = maybe(f._exchange)
os.rename, f.settle, f.write_text, f.shutil.rmtree = maybe(os.rename), maybe(f.settle), maybe(f.write_text), maybe(f.shutil.rmtree)
from senticompare.classify.checkpoint import save_classifier
from senticompare.classify.classifier import Classifier
from senticompare.spec.run_spec import make_spec
from senticompare.classify.heads import HEADS
import senticompare.classify.checkpoint as c
c.settle = f.settle
save_classifier(Classifier(make_spec({"model": "majority", "method": "baseline"}), ("bad", "good"), head=HEADS["majority"]([0.25, 0.75])), place)
"""


@pytest.mark.parametrize("way", ["exchange", "two steps"])
def test_killed_at_any_moment_either_is_there(tmp_path, way):
    from senticompare.classify.checkpoint import load_classifier, save_classifier
    from senticompare.classify.classifier import Classifier
    from senticompare.classify.heads import HEADS
    from senticompare.spec.run_spec import make_spec

    old = Classifier(
        make_spec({"model": "majority", "method": "baseline"}), ("bad", "good"), head=HEADS["majority"]([0.5, 0.5])
    )
    seen = []
    for step in range(14):
        place = tmp_path / str(step) / "ck"
        save_classifier(old, place)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(step), str(place), way], capture_output=True, text=True, check=False
        )
        share = float(load_classifier(str(place), "cpu").predict_proba(["x"])[0, 1])
        seen.append((done.returncode, share))
        assert share in (0.5, 0.75), done.stderr
        save_classifier(old, place)
        assert [p.name for p in place.parent.iterdir()] == ["ck"], "what the killed process left is swept"
        if done.returncode == 0:
            break
    assert seen[0] == (-9, 0.5) and seen[-1] == (0, 0.75) and {0.5, 0.75} == {s for code, s in seen if code == -9}, seen


def test_a_living_process_keeps_its_folder(tmp_path):
    from senticompare.base.atomic_folders import sweep, working_folder

    wait = "import sys; from senticompare.base.atomic_folders import working_folder\nwith working_folder(sys.argv[1], 'run') as w: print(w, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", wait, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        theirs = Path(other.stdout.readline().strip())
        with working_folder(tmp_path, "mine") as mine:
            assert theirs.is_dir() and mine.is_dir() and sweep(tmp_path) == []
        other.kill()
        other.wait()
        assert theirs.is_dir() and sweep(tmp_path) == [theirs] and list(tmp_path.iterdir()) == []


def test_a_text_is_a_path(place, capfd):
    """Every public entry takes the name of a folder as a text; none calls a sound checkpoint damaged."""
    from senticompare.classify import checkpoint
    from senticompare.classify.classifier import train_classifier
    from senticompare.finetune.tuned_models import load_tuned
    from senticompare.spec.run_spec import make_spec

    assert train("ck", "--method", "full", "--epochs", "1", "--train-size", "40", model="tiny:distilbert-base") == 0, (
        capfd.readouterr().err
    )
    loaded = checkpoint.load_classifier("ck", "cpu")
    spec, classes = checkpoint.read_checkpoint("ck")
    assert classes == loaded.classes == ("bad", "good") and len(checkpoint.trained_on("ck")) > 4
    assert checkpoint.folder_size_mb("ck") > 0 and checkpoint.deployed_size_mb("ck", spec) > 0
    assert load_tuned(spec, "ck/model", classes).num_labels == 2
    assert loaded.features is not None and loaded.predict_proba(["fine"], cache=str(place / "cache")).shape == (1, 2)
    words = train_classifier(
        spec := make_spec({"model": "majority", "method": "baseline", "dataset": "d.csv"}), _splits(spec), {}
    )
    assert (
        checkpoint.save_classifier(words, "words") == Path("words")
        and (place / "words" / "senticompare.json").is_file()
    )


def _splits(spec):
    from senticompare.data.splits import load_splits

    return load_splits(spec)
