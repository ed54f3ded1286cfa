"""`predict --output` gives the file back: every row in its place, every column as it was, the prediction beside it."""

import csv
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from own_file import HEADER, own_rows, write_own

from senticompare.cli.main import run_command

KNOWN = ["--text-column", "review_body", "--label-column", "sentiment", "--skip-bad-rows"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    write_own(folder / "reviews.csv")
    command = [
        "train",
        "--model",
        "tfidf",
        "--method",
        "baseline",
        "--dataset",
        str(folder / "reviews.csv"),
        *KNOWN,
        "--output-dir",
        str(folder / "c"),
    ]
    assert run_command(command) == 0
    return folder


@pytest.fixture
def predict(made, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, status=0):
        found = run_command(["predict", "--checkpoint", str(made / "c"), *map(str, arguments)])
        out, err = capfd.readouterr()
        assert found == status, err
        return out, err

    return run


def read_csv(path, separator=",", encoding="utf-8"):
    with open(path, encoding=encoding, newline="") as f:
        return list(csv.reader(f, delimiter=separator))


def test_all_rows_and_columns_come_back(made, predict):
    out, err = predict("--file", made / "reviews.csv", "--text-column", "review_body", "--output", "out.csv")
    rows = read_csv("out.csv")
    assert rows[0] == [*HEADER, "prediction", *(f"probability of {c}" for c in ("negative", "neutral", "positive"))]
    assert [row[:4] for row in rows[1:]] == [list(map(str, row)) for row in own_rows()]
    empty = [row for row in rows[1:] if row[4] == ""]
    assert len(empty) == 12 and all(set(row[4:]) == {""} and row[1] in ("", "<br>") for row in empty)
    assert all(abs(sum(map(float, row[5:])) - 1) < 1e-5 for row in rows[1:] if row[4])
    assert "12 of 686 rows" in err and "their prediction stays empty" in err and "674 of 686 rows answered" in out
    assert os.stat("out.csv").st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("given", [".csv", ".jsonl", ".parquet"])
def test_every_format_into_every_other(predict, given, suffix):
    frame = pd.DataFrame(
        {"n": [3, 1, 2], "text": ["great and happy", "  ", "awful waste\nof time"], "note": ["=1+1", "-", "ü"]}
    )
    write = {".csv": frame.to_csv, ".parquet": frame.to_parquet}.get(
        given, lambda path, index: frame.to_json(path, orient="records", lines=True)
    )
    write(f"in{given}", index=False)
    predict("--file", f"in{given}", "--output", f"out{suffix}")
    read = {
        ".tsv": lambda p: pd.read_csv(p, sep="\t"),
        ".jsonl": lambda p: pd.read_json(p, lines=True),
        ".parquet": pd.read_parquet,
    }.get(suffix, pd.read_csv)
    found = read(f"out{suffix}")
    assert (
        found["n"].astype(int).tolist() == [3, 1, 2]
        and found["note"].tolist() == ["=1+1", "-", "ü"]
        and found["text"][2] == "awful waste\nof time"
    )
    assert (
        found["prediction"][0] == "positive"
        and found["prediction"][2] == "negative"
        and pd.isna(found["prediction"][1])
    )
    assert pd.isna(found["probability of neutral"][1]) and found["probability of positive"][0] > 0.8


def test_a_parquet_file_keeps_its_types(predict):
    frame = pd.DataFrame(
        {"when": pd.to_datetime(["2026-01-01", None]), "tags": [["a", "b"], []], "text": ["great", None]}
    )
    frame.to_parquet("in.parquet")
    predict("--file", "in.parquet", "--output", "out.parquet")
    found = pd.read_parquet("out.parquet")
    assert found["when"].dtype == pd.read_parquet("in.parquet")["when"].dtype and list(found["tags"][0]) == ["a", "b"]
    assert found["prediction"].tolist() == ["positive", None]


def test_no_column_of_the_users_is_replaced(predict):
    pd.DataFrame({"text": ["great"], "Prediction": ["mine"], "probability of positive": ["mine, too"]}).to_csv(
        "in.csv", index=False
    )
    predict("--file", "in.csv", "--output", "out.csv")
    header, row = read_csv("out.csv")
    assert header[:4] == ["text", "Prediction", "probability of positive", "prediction 2"]
    assert header[4:] == ["probability of negative", "probability of neutral", "probability of positive 2"]
    assert row[:4] == ["great", "mine", "mine, too", "positive"]


def test_a_csv_keeps_separator_and_encoding(made, predict):
    rows = [[i, t.replace("🙂", ""), s, d] for i, t, s, d in own_rows()[:30]]
    write_own("excel.csv", rows, ";", "cp1252")
    given = ["--file", "excel.csv", "--text-column", "review_body", "--separator", ";", "--encoding", "cp1252"]
    out, _ = predict(*given, "--output", "out.csv", "--json")
    told = json.loads(out)
    assert (
        told["rows"] == 30 == told["answered"] == sum(told["predictions"].values())
        and told["columns"][0] == "prediction"
    )
    found = read_csv("out.csv", ";", "cp1252")
    assert found[1][1] == rows[0][1] and "schön" in found[1][1] and len(found) == 31
    predict(*given, "--output", "out.tsv")
    assert read_csv("out.tsv", "\t")[1][1] == rows[0][1]


def test_lines_and_words_go_to_files_too(predict, tmp_path):
    (tmp_path / "lines.txt").write_text("great\n\n\u200b\nawful\n")
    predict("--file", "lines.txt", "--output", "deep/out.csv")
    assert [row[:2] for row in read_csv("deep/out.csv")] == [
        ["text", "prediction"],
        ["great", "positive"],
        ["", ""],
        ["\u200b", ""],
        ["awful", "negative"],
    ]
    predict("great", "awful", "--output", "words.jsonl")
    assert [json.loads(line)["prediction"] for line in Path("words.jsonl").read_text().splitlines()] == [
        "positive",
        "negative",
    ]


def test_rows_that_differ_in_their_keys(predict, tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"text": "great", "a": {"b": 1}}\n{"text": "awful\\ud800", "c": NaN}\n{"a": 2}\n'
    )
    predict("--file", "in.jsonl", "--output", "out.csv")
    assert [row[:4] for row in read_csv("out.csv")][1:] == [
        ["great", '{"b": 1}', "", "positive"],
        ["awful\ufffd", "", "nan", "negative"],
        ["", "2", "", ""],
    ]
    predict("--file", "in.jsonl", "--output", "out.jsonl")
    assert [json.loads(line)["prediction"] for line in Path("out.jsonl").read_text().splitlines()] == [
        "positive",
        "negative",
        None,
    ]


def test_what_is_empty_once_cleaned_is_not_answered(predict, tmp_path):
    for text in ("\u200b", "<br>", "  "):
        _, err = predict("great", text, status=2)
        assert err.startswith("error: text 2 is empty") and len(err.splitlines()) == 1
    (tmp_path / "lines.txt").write_text("great\n<br>\n")
    out, err = predict("--file", "lines.txt", "--json")
    assert [row["text"] for row in json.loads(out)] == ["great"] and "1 of 2 rows" in err


REFUSED = {
    "the input": (["--file", "in.csv", "--output", "in.csv"], ["in.csv", "is the file that is read"]),
    "the input by another name": (
        ["--file", "in.csv", "--output", "link.csv"],
        ["link.csv", "is the file that is read"],
    ),
    "a format": (["--file", "in.csv", "--output", "out.xlsx"], ["out.xlsx", ".parquet"]),
    "a folder": (["--file", "in.csv", "--output", "folder.csv"], ["folder.csv", "cannot be written"]),
    "under a file": (["--file", "in.csv", "--output", "in.csv/out.csv"], ["in.csv/out.csv", "cannot be written"]),
    "two sources": (["great", "--file", "in.csv", "--output", "out.csv"], ["--output", "one table"]),
    "columns of one name": (
        ["--file", "twice.csv", "--output", "out.csv"],
        ["twice.csv", "two columns are called 'x'"],
    ),
    "loose cells": (["--file", "loose.csv", "--output", "out.csv"], ["loose.csv, row 1", "more cells than columns"]),
    "a spreadsheet": (["--file", "book.xlsx"], ["book.xlsx", "save it as CSV"]),
    "numbers beyond a column": (["--file", "huge.jsonl", "--output", "out.parquet"], ["huge.jsonl", "write .jsonl"]),
    "kinds of values": (["--file", "kinds.jsonl", "--output", "out.parquet"], ["kinds.jsonl", "write .jsonl"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(predict, tmp_path, name):
    for file, content in (
        ("in.csv", "text\ngreat\n"),
        ("twice.csv", "text,x,x\ngreat,1,2\n"),
        ("loose.csv", "text\ngreat, really\n"),
        ("book.xlsx", "PK"),
    ):
        (tmp_path / file).write_text(content)
    (tmp_path / "kinds.jsonl").write_text('{"text": "great", "a": 1}\n{"text": "awful", "a": [1]}\n')
    (tmp_path / "huge.jsonl").write_text('{"a": 1}\n{"text": "great", "a": 1000000000000000000000000000000}\n')
    (tmp_path / "folder.csv").mkdir()
    os.link("in.csv", "link.csv")
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    arguments, expected = REFUSED[name]
    _, err = predict(*arguments, status=2)
    assert len(err.splitlines()) == 1 and all(part in err for part in expected), err
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_a_full_disk_names_the_file_and_leaves_none(predict, tmp_path, monkeypatch):
    import errno

    import senticompare.results.prediction_files as texts

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "in.csv").write_text("text\ngreat\n")
    monkeypatch.setattr(texts, "_write_as", full)
    _, err = predict("--file", "in.csv", "--output", "out.csv", status=2)
    assert "out.csv" in err and "No space left" in err and sorted(p.name for p in tmp_path.iterdir()) == ["in.csv"]
