"""`import senticompare as sc`: nothing heavy until it is used, and the same figures as the command line."""

import os
import subprocess
import sys

import pandas as pd
import pytest

import senticompare as sc
from senticompare.base.errors import InputError
from senticompare.base.files import bundled
from senticompare.results.predictions import read_predictions

HEAVY = {"torch", "transformers", "pandas", "numpy", "sklearn", "scipy", "papermill", "plotly", "datasets", "msgspec"}
SMALL = {"train_size": 60, "val_size": 40, "test_size": 60}


@pytest.fixture(scope="module")
def frame():
    """Bundled reviews as a user may have them: other names of the columns, and one that no run reads."""
    read = pd.concat(pd.read_json(bundled("reviews") / f"{p}.jsonl", lines=True) for p in ("train", "test"))
    return read.rename(columns={"text": "review text", "label": "verdict"})[["review text", "verdict"]].assign(n=1)


@pytest.fixture(scope="module")
def board(frame, tmp_path_factory):
    """Three classifiers on a DataFrame."""
    return sc.compare(
        frame,
        models=["majority", "tfidf"],
        text_column="review text",
        label_column="verdict",
        reports=tmp_path_factory.mktemp("reports"),
        quiet=True,
        **SMALL,
    )


def test_the_import_is_light():
    code = "import senticompare as sc, sys; dir(sc); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)
    assert [m for m in loaded if m.startswith("senticompare.")] == []


def test_every_public_name_is_there():
    assert sc.__all__ == sorted(sc.__all__) and set(sc.__all__) <= set(dir(sc))
    assert all(getattr(sc, name).__module__.startswith("senticompare.") for name in sc.__all__)
    with pytest.raises(AttributeError, match="no attribute 'compere'"):
        _ = sc.compere


def test_the_static_face_is_the_lazy_one():
    """What editors see under TYPE_CHECKING is what is imported when it is used."""
    import ast
    from pathlib import Path

    tree = ast.parse(Path(sc.__file__).read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    static = {a.name: n.module for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert static == sc._PLACES and sorted(static) == sc.__all__


def test_three_classifiers_on_a_frame(board):
    assert [r["model_name"] for r in board.rows].count("tfidf") == 2 and len(board.rows) == 3
    table = board.to_frame()
    assert list(table.columns[:4]) == ["rank", "run", "accuracy", "95 % interval"] and "tie group" in table
    assert "<table" in board._repr_html_() and board.answer in repr(board)
    assert len(board.answer.split(". ")) >= 2
    assert board.recommend(max_latency_p95_ms=10_000).others
    with pytest.raises(InputError, match="unknown limit 'max_latency'"):
        board.recommend(max_latency=3)


def test_the_same_figures_as_the_command(frame, board, cli, tmp_path):
    """A CSV file of the same rows, through `senticompare benchmark`: the same rows are drawn and predicted, digit by digit."""
    frame.to_csv(tmp_path / "rows.csv", index=False)
    options = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items()]
    columns = ["--text-column", "review text", "--label-column", "verdict"]
    done = cli(
        "benchmark", "--dataset", "rows.csv", "--methods", "baseline", "--models", "majority,tfidf", *columns, *options
    )
    assert done.returncode == 0, done.stderr
    results = sc.read_results(tmp_path / "reports" / "rows")
    theirs = read_predictions(tmp_path / "reports" / "rows", results)
    name = lambda run: run.split("--")[:3]  # noqa: E731  model, method, head: the datasets are called differently
    pairs = [(a, b) for a in board.predictions for b in theirs if name(a) == name(b)]
    assert len(pairs) == 3
    for mine, other in pairs:
        pd.testing.assert_frame_equal(board.predictions[mine], theirs[other], check_exact=True)


def test_a_file_is_compared_where_it_lies(frame, tmp_path):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    settings = {"text_column": "review text", "label_column": "verdict", "quiet": True, **SMALL}
    board = sc.compare(tmp_path / "rows.csv", models="tfidf", heads="linear", **settings)
    finished = {p: p.stat().st_mtime_ns for p in board.folder.glob("*.json")}
    assert len(board.rows) == 1 and len(finished) == 1
    larger = sc.compare(tmp_path / "rows.csv", models=["majority", "tfidf"], heads="linear", **settings)
    assert larger.folder == board.folder and len(larger.rows) == 2
    assert all(p.stat().st_mtime_ns == then for p, then in finished.items())  # found, not run again
    alone = sc.compare(tmp_path / "rows.csv", models="tfidf", heads="linear", **settings)
    assert [r["run_id"] for r in alone.rows] == [r["run_id"] for r in board.rows]  # not what stands beside it


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"data": 3}, "a int is no data"),
        ({"models": "tfidf", "methods": "lora"}, "argument models: tfidf goes with method baseline"),
        ({"methods": "lorra"}, "argument methods: unknown method 'lorra'"),
        ({"seeds": [1.5]}, "argument seeds"),
        ({"text_column": "txt", "label_column": "verdict"}, "no column 'txt'"),
        ({"trainsize": 3}, "trainsize"),
    ],
)
def test_mistakes_are_one_line(frame, arguments, line):
    with pytest.raises(InputError, match=line) as refused:
        sc.compare(**{"data": frame, "models": "tfidf", **arguments})
    assert "\n" not in str(refused.value) and "--" not in str(refused.value)


def test_the_environment_stays_as_it_was(frame, board):
    """Threads are set for the kernels; the process that asked for them keeps its own."""
    before = dict(os.environ)
    columns = {"text_column": "review text", "label_column": "verdict"}
    sc.compare(frame, models=["majority", "tfidf"], reports=board.folder.parent, quiet=True, **columns, **SMALL)
    assert dict(os.environ) == before
    assert {r["provenance"]["command"] for r in board.results} == {"senticompare.compare"}


def test_train_gives_the_classifier_that_was_ranked(board, frame, tmp_path):
    spec = sc.make_spec({k: v for k, v in board.results[-1]["spec"].items() if v is not None})
    classifier = sc.train(spec, tmp_path / "checkpoint")
    test = sc.load_splits(spec).test
    proba = sc.load_classifier(tmp_path / "checkpoint").predict_proba(list(test["text"]))
    assert (classifier.predict_proba(list(test["text"])).argmax(1) == proba.argmax(1)).all()
    stored = board.predictions[board.results[-1]["run_id"]]
    assert sorted(stored["prediction"]) == sorted(proba.argmax(1))
