"""`inspect` reads every row of a file as people have it, stops at none, and says what a number from it would mean."""

import json

import pytest
from own_file import own_rows, write_own

from senticompare.cli.main import run_command
from senticompare.data.audit import audit_splits
from senticompare.data.splits import load_splits
from senticompare.spec.run_spec import make_spec


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_own(tmp_path_factory.mktemp("own") / "reviews.csv")


def looked(capsys, *arguments):
    status = run_command(["inspect", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return json.loads(out), status, err


def test_all_of_a_messy_file_is_told(file, capsys):
    found, status, err = looked(capsys, "--dataset", file, "--text-column", "review_body")
    assert status == 0 and not err
    assert found["rows"] == len(own_rows()) == 686 and found["usable"] == 668
    told = {u["reason"]: (u["rows"], u["first_row"]) for u in found["unusable"]}
    assert (
        told == {"empty text": (12, 601), "missing label": (6, 613)}
        and "a text without a label" in found["unusable"][1]["example"]
    )
    assert {c: n["rows"] for c, n in found["classes"].items()} == {"negative": 60, "neutral": 30, "positive": 578}
    assert found["majority"] == {"class": "positive", "share": 0.8653}
    assert found["exact_duplicates"] == 68 and found["conflicting_labels"] == 8 and found["words"]["p100"] == 11_200
    assert sum(s["rows"] for s in found["splits"].values()) + sum(found["dropped"].values()) == 686
    assert (
        found["splits"]["test"]["majority"]["class"] == "positive"
        and found["splits"]["test"]["origin"] == f"drawn from {file}"
    )
    assert len(found["examples"]) == 5 and found["examples"][0]["label"] == "positive" and found["why_not"] is None
    skewed, bad, *_ = found["remarks"]
    assert (
        skewed.startswith("87 % of the texts are positive: always answering it would be right that often")
        and "macro-F1" in skewed
    )
    assert bad.startswith("18 of 686 rows")


def test_the_same_on_a_terminal(file, capsys):
    assert (
        run_command(["inspect", "--dataset", str(file), "--text-column", "review_body", "--label-column", "SENTIMENT"])
        == 0
    )
    out = capsys.readouterr().out
    for words in ("empty text", "601", "578", "86.5 %", "11,200", "87 % of the texts are positive", "Sentiment"):
        assert words in out, words


def test_what_cannot_be_trained_on_is_looked_at_all_the_same(tmp_path, capsys):
    path = tmp_path / "texts.csv"
    path.write_text("text,label\n" + "".join(f"one text number {i},{i}\n" for i in range(30)))
    found, status, err = looked(capsys, "--dataset", path)
    assert (
        status == 2
        and "30 classes" in err
        and "30 classes" in found["why_not"]
        and found["usable"] == 30
        and not found["splits"]
    )
    path.write_text("text,label\n" + "".join(f"one text number {i},glad\n" for i in range(30)))
    found, status, _ = looked(capsys, "--dataset", path, "--stars", "3")
    assert status == 2 and found["usable"] == 0 and found["unusable"][0]["rows"] == 30 and found["majority"] is None


def test_a_folder_is_told_part_by_part(tmp_path, capsys):
    for part, n in (("train", 40), ("test", 10)):
        rows = "".join(f"{part} text {i} is {'good' if i % 2 else 'bad'},{i % 2}\n" for i in range(n))
        (tmp_path / f"{part}.csv").write_text(
            "text,label\n" + rows + ("train text 1 is good,1\n,1\n" if part == "test" else "")
        )
    found, status, _ = looked(capsys, "--dataset", tmp_path)
    assert status == 0 and {f["part"]: f["rows"] for f in found["files"]} == {"train": 40, "test": 12}
    assert found["dropped"] == {"empty text": 1, "text also in a later split": 1} and found["unusable"][0][
        "file"
    ].endswith("test.csv")


def test_the_audit_states_the_most_frequent_class(file):
    spec = make_spec({"dataset": file, "text_column": "review_body", "skip_bad_rows": True})
    audit = audit_splits(load_splits(spec))
    top = audit["majority"]["test"]
    assert top["class"] == "positive" and top["share"] == audit["splits"]["test"]["balance"]["positive"] > 0.8


def test_no_usable_rows_says_why(file, capsys):
    given = ["--dataset", str(file), "--text-column", "review_body", "--label-column", "Sentiment", "--skip-bad-rows"]
    assert run_command(["benchmark", *given, "--stars", "3"]) == 2
    said = capsys.readouterr().err
    assert (
        "no usable rows: 668 × label is not a star rating (row 1: label 'Positive ' is not a star rating" in said
        and "12 × empty text (row 601)" in said
    )


def test_the_first_bad_row_is_not_the_only_one(file, capsys):
    assert run_command(["benchmark", "--dataset", str(file), "--text-column", "review_body"]) == 2
    assert (
        "row 601: empty text; 11 more rows like it; also 6 × missing label; mend them or use --skip-bad-rows"
        in capsys.readouterr().err
    )


def test_a_table_in_memory_is_one_line(capsys):
    import pandas as pd

    from senticompare.base.errors import InputError

    table = pd.DataFrame({"text": ["a text that nobody wants to see in an error"] * 50, "label": [0, 1] * 25})
    for call in (lambda: make_spec(table), lambda: make_spec({"dataset": table}), lambda: load_splits(table)):
        with pytest.raises(InputError, match="DataFrame") as e:
            call()
        assert "nobody wants" not in str(e.value) and "\n" not in str(e.value)
