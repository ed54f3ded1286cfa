"""What European spreadsheets write is read when the user says how, and hinted at when not."""

import pytest
from own_file import own_rows, write_own

from senticompare.base.errors import InputError
from senticompare.cli.main import run_command
from senticompare.data.columns import pick_column
from senticompare.data.sources import find_tables
from senticompare.data.splits import load_splits
from senticompare.data.tables import open_table
from senticompare.spec.identity import spec_hash
from senticompare.spec.run_spec import make_spec

COLUMNS = {"text_column": "review_body", "label_column": "sentiment", "skip_bad_rows": True}


def plain_rows():
    return [[i, text.replace("🙂", ""), label, date] for i, text, label, date in own_rows()]


def fingerprint(path, **given):
    return load_splits(make_spec({"dataset": path, **COLUMNS, **given})).fingerprint


@pytest.mark.parametrize(
    "name, separator, encoding, given",
    [
        ("excel.csv", ";", "cp1252", {"separator": ";", "encoding": "windows-1252"}),
        ("tabs.csv", "\t", "utf-8", {"separator": "tab"}),
        ("pipes.CSV", "|", "utf-8-sig", {"separator": "|"}),
        ("commas.tsv", ",", "utf-8", {"separator": ","}),
        ("wide.csv", ",", "utf-16", {"encoding": "utf-16"}),
        ("wide.tsv", "\t", "utf-16-le", {"encoding": "utf-16-le"}),
    ],
)
def test_one_file_in_many_forms(tmp_path, name, separator, encoding, given):
    rows = plain_rows()
    expected = fingerprint(write_own(tmp_path / "plain.csv", rows))
    assert fingerprint(write_own(tmp_path / name, rows, separator, encoding), **given) == expected


@pytest.mark.parametrize(
    "separator, encoding, given, expected",
    [
        (";", "utf-8", [], "--separator ';'"),
        ("\t", "utf-8", [], "--separator tab"),
        (",", "utf-8", ["--separator", ";"], "--separator ','"),
        (",", "cp1252", [], "line 2, byte 0xf6); read it with --encoding cp1252"),
        (",", "utf-16", [], "UTF-16, as its first bytes show; read it with --encoding utf-16"),
        (",", "utf-16-le", [], "--encoding utf-16-le"),
        (",", "utf-8", ["--encoding", "cp1259"], "did you mean 'cp125"),
        (",", "utf-8", ["--separator", "comma"], "one sign"),
        (",", "cp1252", ["--encoding", "ascii"], "not ascii (line 2, byte 0xf6)"),
    ],
)
def test_hints_name_the_options(tmp_path, capfd, separator, encoding, given, expected):
    path = write_own(tmp_path / "own.csv", plain_rows(), separator, encoding)
    assert run_command(["inspect", "--dataset", str(path), "--text-column", "review_body", *given]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and expected in lines[0], lines


def test_every_command_that_reads_takes_both(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path / "excel.csv", plain_rows(), ";", "cp1252")
    given = ["--dataset", "excel.csv", "--text-column", "review_body", "--separator", ";", "--encoding", "cp1252"]
    assert (
        run_command(
            ["train", "--model", "tfidf", "--method", "baseline", *given, "--skip-bad-rows", "--output-dir", "c"]
        )
        == 0
    ), capfd.readouterr().err
    assert run_command(["benchmark", "--methods", "baseline", *given, "--skip-bad-rows", "--dry-run"]) == 0, (
        capfd.readouterr().err
    )
    assert run_command(["evaluate", "--checkpoint", "c", *given]) == 0, capfd.readouterr().err
    asked = ["predict", "--checkpoint", "c", "--file", "excel.csv", *given[2:]]
    assert run_command([*asked, "--json"]) == 0, capfd.readouterr().err


def test_spellings_are_one_run_and_silence_is_none():
    inputs = {"data": "x", "model": "y"}
    silent, tab, same, utf8 = (
        spec_hash(make_spec({"dataset": "x.csv", **given}), inputs)
        for given in (
            {},
            {"separator": "tab", "encoding": "cp1252"},
            {"separator": "\\t", "encoding": "Windows-1252"},
            {"encoding": "UTF-8"},
        )
    )
    assert silent == utf8 != tab == same


def test_what_has_no_separator_refuses_one(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a", "label": 1}\n')
    for dataset, given in ((tmp_path / "x.jsonl", (";", None)), ("reviews", (None, "cp1252")), ("imdb", (";", None))):
        with pytest.raises(InputError, match=r"option (separator|encoding).*leave it out"):
            find_tables(dataset, *given)


def test_columns_are_found_but_for_case_and_blanks_and_shown_with_them(tmp_path):
    table = open_table(write_own(tmp_path / "own.csv", plain_rows()[:3]))
    assert (
        pick_column(table, "sentiment", (), "--label-column")
        == pick_column(table, None, ("label", "sentiment"), "--label-column")
        == "Sentiment "
    )
    with pytest.raises(
        InputError,
        match=r"no column 'Sentimant'; did you mean 'Sentiment '.*columns are 'id', 'review_body', 'Sentiment ', 'date'",
    ):
        pick_column(table, "Sentimant", (), "--label-column")
    (tmp_path / "two.csv").write_text("Text,text \na,b\n")
    with pytest.raises(InputError, match="2 columns are called 'TEXT'"):
        pick_column(open_table(tmp_path / "two.csv"), "TEXT", (), "--text-column")


def test_two_files_of_one_part_are_not_chosen_from(tmp_path):
    for name in ("train.csv", "train.tsv", "test.csv"):
        (tmp_path / name).write_text("text,label\na,1\n")
    with pytest.raises(InputError, match=r"train\.csv and train\.tsv are both its train part"):
        find_tables(tmp_path)
