"""Suites and prices are read as YAML 1.2 has it: what 1.1 reads otherwise is refused, and aliases cannot be made into a bomb."""

import time
from itertools import pairwise

import pytest

from senticompare.base.errors import InputError
from senticompare.base.yaml_files import read_yaml
from senticompare.cli.main import run_command
from senticompare.spec.suites import load_suite

UNCLEAR = ["010", "1:30", "0x1F", "0o17", "1_000", "-007", "12:30:45", "0b11", "1:30.5"]


@pytest.mark.parametrize("value", UNCLEAR)
def test_numbers_that_readers_differ_on_are_refused_with_their_line(tmp_path, value):
    (tmp_path / "s.yaml").write_text(f"title: a suite\nruns:\n  - method: lora\n    seed: {value}\n")
    with pytest.raises(InputError, match=r"s\.yaml.*line 4") as e:
        load_suite(tmp_path / "s.yaml")
    assert value in str(e.value) and "\n" not in str(e.value)


def test_plain_words_are_words_and_quotes_make_them_of_numbers(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "model: no\non: 'off'\nid: '010'\nrate: 2e-5\nsmall: .5\nflag: True\nnone: ~\nday: 2026-11-01\nbig: 1000\nzero: 0\n"
    )
    found = read_yaml(tmp_path / "x.yaml")
    assert found.pop("day").year == 2026
    assert found == {
        "model": "no",
        "on": "off",
        "id": "010",
        "rate": 2e-5,
        "small": 0.5,
        "flag": True,
        "none": None,
        "big": 1000,
        "zero": 0,
    }


WORDS = {
    "skip_bad_rows: yes": "'yes' is not true or false",
    "seed: on": "'on' is not a whole number",
    "lora_r: 8.0": "8.0 is not a whole number",
}


@pytest.mark.parametrize("line, said", WORDS.items())
def test_a_word_where_something_else_is_wanted(tmp_path, line, said):
    (tmp_path / "s.yaml").write_text(f"runs:\n  - {{method: lora, {line}}}\n")
    with pytest.raises(InputError, match=said):
        load_suite(tmp_path / "s.yaml")


def bomb(kind):
    layers = "abcdefghij"
    if kind == "lists":
        return "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in pairwise(layers)
        )
    if kind == "merges":
        return "a: &a {x: 1}\n" + "".join(
            f"{b}: &{b} {{<<: [{','.join([f'*{a}'] * 10)}]}}\n" for a, b in pairwise(layers)
        )
    return "a: &a [*a]\n" if kind == "itself" else "a: &a {b: *a}\n"


@pytest.mark.parametrize("kind", ["lists", "merges", "itself", "a mapping in itself"])
@pytest.mark.parametrize(
    "file, command", [("s.yaml", ["--suite", "s.yaml"]), ("prices.yaml", ["--methods", "baseline", "--dry-run"])]
)
def test_bombs_are_refused_at_once(tmp_path, capfd, monkeypatch, kind, file, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text(bomb(kind))
    started = time.process_time()
    assert run_command(["benchmark", *command]) == 2 and time.process_time() - started < 10
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and file in lines[0] and "100,000 values" in lines[0], lines


def test_honest_aliases_and_merges_work(tmp_path):
    (tmp_path / "s.yaml").write_text("defaults: &d {test_size: 60}\nruns:\n  - {<<: *d, method: lora, seed: [1, 2]}\n")
    assert [s.test_size for s in load_suite(tmp_path / "s.yaml").specs] == [60, 60]


def test_prices_are_read_by_the_same_reader(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.yaml").write_text("machines:\n  - {match: x, hourly_usd: 1:30}\n")
    assert run_command(["benchmark", "--methods", "baseline", "--dry-run"]) == 2
    assert "prices.yaml" in (err := capfd.readouterr().err) and "line 2: 1:30" in err
