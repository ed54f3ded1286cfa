"""`evaluate` judges the whole of somebody else's file, and says what became of the rows that it does not judge."""

import json

import pytest
from own_file import HEADER, own_rows, write_own

from senticompare.cli.main import run_command

KNOWN = ["--text-column", "review_body", "--label-column", "sentiment", "--skip-bad-rows"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of the messy file, TF-IDF; (folder of the file, checkpoint)."""
    folder = tmp_path_factory.mktemp("foreign")
    write_own(folder / "reviews.csv")
    made = [
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
    assert run_command(made) == 0
    return folder


def judged(capsys, trained, dataset, *more, status=0):
    found = run_command(
        ["evaluate", "--checkpoint", str(trained / "c"), "--dataset", str(dataset), *map(str, more), "--json"]
    )
    out, err = capsys.readouterr()
    assert found == status, err
    return (json.loads(out) if out else None), err


def write(path, rows, header="text,label"):
    path.write_text(header + "\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_a_foreign_file_is_the_test_whole(trained, tmp_path, capsys):
    rows = [
        f"foreign {word} number {i},{label}"
        for i in range(200)
        for word, label in (("great", "positive"), ("awful", "negative"), ("okay", "neutral"))
    ]
    path = write(tmp_path / "other.csv", [*rows, ",positive", "no label,"])
    found, err = judged(capsys, trained, path, "--skip-bad-rows")
    assert (
        found["rows"] == 602
        and found["judged"] == 600
        and found["dropped"] == {"empty text": 1, "missing label": 1}
        and found["seen_left_out"] == 0
    )
    assert (
        sum(map(sum, found["confusion"])) == 600
        and "600 of 602 rows are judged; left out: 1 × empty text, 1 × missing label" in err
    )
    some, err = judged(capsys, trained, path, "--skip-bad-rows", "--test-size", "60")
    assert (
        some["judged"] == 60
        and some["rows"] == 602
        and some["dropped"]["not drawn (--test-size)"] == 540
        and "val-size" not in err
    )
    assert [sum(row) for row in some["confusion"]] == [20, 20, 20]
    _, err = judged(capsys, trained, path, "--skip-bad-rows", "--test-size", "601", status=2)
    assert "600 usable rows for test, 601 asked: ask for fewer with --test-size" in err and "val" not in err.replace(
        "evaluate", ""
    )


def test_stars_drop_the_middle_and_say_so(trained, tmp_path, capsys):
    path = write(tmp_path / "stars.csv", [f"bought thing number {i},{1 + i % 5}" for i in range(100)], "text,stars")
    found, err = judged(capsys, trained, path, "--stars", "2", "--label-column", "stars")
    assert found["judged"] == 80 and found["dropped"] == {"three stars (no class)": 20} and "20 × three stars" in err
    assert (
        found["absent_classes"] == ["neutral"]
        and judged(capsys, trained, path, "--stars", "3", "--label-column", "stars")[0]["judged"] == 100
    )


def test_a_folder_without_train_is_the_test_and_one_with_a_test_split_keeps_it(trained, tmp_path, capsys):
    rows = [f"folder text {i} is {w},{w}" for i in range(15) for w in ("positive", "negative", "neutral")]
    write(tmp_path / "test.csv", rows)
    assert judged(capsys, trained, tmp_path)[0]["judged"] == 45
    write(tmp_path / "train.csv", [f"more {row}" for row in rows])
    assert judged(capsys, trained, tmp_path)[0]["judged"] == 45
    (tmp_path / "test.csv").unlink()
    assert judged(capsys, trained, tmp_path)[0]["judged"] == 45
    assert judged(capsys, trained, "reviews")[0]["judged"] == 300


def test_its_own_file_is_judged_on_the_split_it_kept(trained, capsys):
    result = json.loads((trained / "c" / "result.json").read_text())
    for more in ([], KNOWN):
        found, _ = judged(capsys, trained, trained / "reviews.csv", *more)
        assert found["accuracy"] == result["quality"]["accuracy"] and found["judged"] == result["data"]["sizes"]["test"]
        assert (
            found["rows"]
            == len(own_rows())
            == found["judged"] + found["seen_left_out"] + sum(found["dropped"].values())
        )
        assert found["seen_left_out"] >= result["data"]["sizes"]["train"] + result["data"]["sizes"]["validation"]
    few, _ = judged(capsys, trained, trained / "reviews.csv", "--test-size", "40")
    assert few["judged"] == 40 and few["rows"] == len(own_rows())


def test_what_it_has_seen_is_left_out_of_a_foreign_file(trained, tmp_path, capsys):
    new = [[i, f"a new text, number {i}, that was great", "positive", ""] for i in range(50)]
    path = write_own(tmp_path / "mixed.csv", [*own_rows()[:300], *new])
    found, err = judged(capsys, trained, path, *KNOWN)
    assert (
        found["rows"] == 350 == found["judged"] + found["seen_left_out"]
        and found["seen_left_out"] > 150
        and "trained or chosen on" in err
    )


def test_unknown_history_is_not_zero(trained, tmp_path, capsys):
    import shutil

    shutil.copytree(trained / "c", tmp_path / "c")
    about = json.loads((tmp_path / "c" / "result.json").read_text())
    about["data"]["fingerprint"] = "0" * 16
    (tmp_path / "c" / "result.json").write_text(json.dumps(about))
    path = write(tmp_path / "x.csv", ["good,positive", "bad,negative"])
    found, err = judged(capsys, tmp_path, path)
    assert (
        found["seen_left_out"] is None
        and "not here" in found["not_measured"]["seen_left_out"]
        and "could not be left out" in err
    )


@pytest.mark.parametrize("labels", [["positive"], ["positive", "negative"], ["POS", "Neu"], ["neutral "]])
def test_a_file_with_some_of_the_classes(trained, tmp_path, capsys, labels):
    path = write(tmp_path / "some.csv", [f"some text {i},{label}" for i in range(20) for label in labels])
    found, err = judged(capsys, trained, path)
    assert (
        found["judged"] == 20 * len(labels)
        and len(found["absent_classes"]) == 3 - len(labels)
        and "macro figures" in err
    )
    named = {label.strip().lower()[:3] for label in labels}
    assert {
        name[:3] for name, figures in found["per_class"].items() if figures["support"]
    } == named and "Warning" not in err
    assert (found["mcc"] is None) == (len(labels) == 1)


WRONG = {
    "numbers that could mean two things": (
        ["a,0", "b,1"],
        ["labels 0, 1 do not say", "names of the classes", "--stars"],
    ),
    "other classes": (["a,cats", "b,dogs"], ["'cats', 'dogs'", "negative, neutral, positive"]),
    "one more class": (["a,positive", "b,negative", "c,mixed"], ["row 3", "no class 'mixed'", "--skip-bad-rows"]),
    "a missing label": (["a,positive", "b,"], ["row 2", "missing label"]),
    "nothing": ([], ["no usable rows"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_judged_is_one_line(trained, tmp_path, capsys, name):
    rows, expected = WRONG[name]
    found, err = judged(capsys, trained, write(tmp_path / "wrong.csv", rows), status=2)
    assert found is None and all(part in err.splitlines()[-1] for part in ("wrong.csv", *expected)), err


def test_numbers_as_many_as_classes_go_by_their_order(trained, tmp_path, capsys):
    rows = [f"numbered {word} {i},{n}" for i in range(10) for n, word in ((1, "awful"), (2, "okay"), (3, "great"))]
    found, _ = judged(capsys, trained, write(tmp_path / "numbers.csv", rows))
    assert found["judged"] == 30 and found["accuracy"] > 0.9


def test_a_foreign_class_is_left_out_and_counted(trained, tmp_path, capsys):
    found, err = judged(
        capsys,
        trained,
        write(tmp_path / "more.csv", ["a,positive", "b,negative", "c,mixed", "d,mixed"]),
        "--skip-bad-rows",
    )
    assert (
        found["dropped"] == {"no class of the checkpoint": 2}
        and found["judged"] == 2
        and "2 × no class of the checkpoint" in err
    )


def test_the_columns_are_those_of_the_file(trained, tmp_path, capsys):
    assert HEADER[2] == "Sentiment "
    _, err = judged(
        capsys, trained, write_own(tmp_path / "again.csv", own_rows()[:20]), "--text-column", "review", status=2
    )
    assert "no column 'review'" in err and "'Sentiment '" in err
