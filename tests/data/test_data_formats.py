"""Every source and format that data reads gives the same rows; big files are sampled without being held."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from conftest import real_data

from senticompare.data.splits import load_splits
from senticompare.spec.run_spec import make_spec

TEXTS = [f"review number {i} is {'good' if i % 2 else 'bad'}, said “{i}” people" for i in range(60)]
FRAME = pd.DataFrame({"text": TEXTS, "label": [i % 2 for i in range(60)]})


def write(folder, name):
    path = folder / name
    if name.endswith(".csv"):
        FRAME.to_csv(path, index=False)
    elif name.endswith(".tsv"):
        FRAME.to_csv(path, index=False, sep="\t")
    elif name.endswith(".jsonl"):
        FRAME.to_json(path, orient="records", lines=True, force_ascii=False)
    elif name.endswith(".parquet"):
        FRAME.to_parquet(path, index=False)
    elif name == "disk":
        from datasets import Dataset

        Dataset.from_pandas(FRAME).save_to_disk(str(path))
    return path


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.jsonl", "r.parquet", "disk"])
def test_formats_agree(tmp_path, name):
    reference = load_splits(make_spec({"dataset": str(write(tmp_path, "reference.csv"))}))
    splits = load_splits(make_spec({"dataset": str(write(tmp_path, name))}))
    assert splits.fingerprint == reference.fingerprint and splits.classes == ("negative", "positive")


def test_aclimdb_folder(tmp_path):
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(20):
                (tmp_path / part / label / f"{i}.txt").write_text(f"{part} {label} film {i}<br />fine")
    splits = load_splits(make_spec({"dataset": str(tmp_path)}))
    assert len(splits.test) == 40 and len(splits.train) + len(splits.validation) == 40
    assert set(splits.test.loc[splits.test["label"] == 1, "text"].str.split().str[1]) == {"pos"}


def test_official_splits_and_validation_as_test(tmp_path):
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    FRAME.assign(text=FRAME["text"] + " later").to_csv(tmp_path / "dev.csv", index=False)
    splits = load_splits(make_spec({"dataset": str(tmp_path)}))
    assert splits.origin["test"].endswith("dev.csv") and len(splits.test) == 60
    assert len(splits.train) + len(splits.validation) == 60


def test_leaks_are_dropped_from_train_and_counted(tmp_path):
    FRAME.to_csv(tmp_path / "train.csv", index=False)
    FRAME.head(10).assign(text=FRAME["text"].head(10).str.upper() + "!!").to_csv(tmp_path / "test.csv", index=False)
    splits = load_splits(make_spec({"dataset": str(tmp_path)}))
    assert splits.dropped == {"text also in a later split": 10} and len(splits.train) + len(splits.validation) == 50


def test_words_stars_and_columns(tmp_path):
    path = tmp_path / "own.tsv"
    pd.DataFrame({"review": TEXTS, "stars": [1 + i % 5 for i in range(60)]}).to_csv(path, index=False, sep="\t")
    spec = {"dataset": str(path), "text_column": "review", "label_column": "stars"}
    assert load_splits(make_spec({**spec, "stars": 3})).classes == ("negative", "neutral", "positive")
    two = load_splits(make_spec({**spec, "stars": 2}))
    assert two.classes == ("negative", "positive") and two.dropped == {"three stars (no class)": 12}
    assert len(load_splits(make_spec({**spec, "stars": 5})).classes) == 5


def test_a_large_file_is_sampled_in_bounded_memory(tmp_path):
    """10,000 rows out of a million (200 MB) with less memory than the file alone would take."""
    path = tmp_path / "large.csv"
    with path.open("w") as f:
        f.write("text,label\n")
        for i in range(1_000_000):
            f.write(f"review {i} {'word ' * 38},{i % 2}\n")
    size_mb = path.stat().st_size / 1e6
    code = """
import sys
from senticompare.spec.run_spec import make_spec
from senticompare.data.splits import load_splits
from senticompare.measure.memory import peak_rss_mb

base = peak_rss_mb()
splits = load_splits(make_spec({"dataset": sys.argv[1], "train_size": 10000, "val_size": 500, "test_size": 500}))
print(len(splits.train), peak_rss_mb() - base)
"""
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(out[0]) == 10_000 and float(out[1]) < size_mb / 2


def test_real_sst2_uses_validation_as_test_and_drops_the_two_leaks():
    splits = load_splits(make_spec({"dataset": str(real_data("sst2"))}))
    assert len(splits.test) == 872 and len(splits.validation) == 2000
    assert (
        splits.dropped["text also in a later split"] >= 2 and len(splits.train) + sum(splits.dropped.values()) == 65_349
    )
    train = "\n".join(splits.train["text"])
    phrases = [t for t in splits.validation["text"] if len(t.split()) >= 5]
    assert sum(t in train for t in phrases) < 0.01 * len(phrases)  # a slice drawn row by row: nine of ten


def test_real_imdb_drops_the_texts_that_stand_in_test():
    splits = load_splits(make_spec({"dataset": str(real_data("imdb"))}))
    assert (
        len(splits.test) == 25_000 and splits.dropped["text also in a later split"] >= 120
    )  # 123 test texts, a little fewer rows of train
    assert "<br" not in "".join(splits.test["text"].head(500))


def test_hostile_texts_survive_as_text(tmp_path):
    hostile = [
        "<script>alert(1)</script>",
        "=HYPERLINK('x')",
        "\u202eright to left",
        "🙂" * 50,
        "x" * 1_000_000,
        '"; DROP TABLE',
        "{{7*7}}",
    ]
    rows = [{"text": f"{t} {i}", "label": i % 2} for i, t in enumerate(hostile * 6)]
    (tmp_path / "h.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    splits = load_splits(make_spec({"dataset": str(tmp_path / "h.jsonl")}))
    assert sum(map(len, splits.parts().values())) == len(rows)
