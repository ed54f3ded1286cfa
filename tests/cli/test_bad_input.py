"""Every kind of wrong input: one line on standard error that names the thing, exit status 2, nothing written."""

import errno
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from senticompare.cli.main import run_command

GOOD = [f"review number {i} is {'good and fine' if i % 2 else 'bad and broken'}" for i in range(40)]


def _csv(rows, header="text,label"):
    return header + "\n" + "\n".join(rows) + "\n"


GOOD_ROWS = [f"{t},{i % 2}" for i, t in enumerate(GOOD)]
JSONL = "".join(json.dumps({"text": t, "label": i % 2}) + "\n" for i, t in enumerate(GOOD))
FILES = {
    "wrong-column.csv": (_csv(GOOD_ROWS, "words,label"), ["none of text", "'words', 'label'", "--text-column"]),
    "empty-text.csv": (_csv([*GOOD_ROWS, ",1"]), ["row 41", "empty text"]),
    "blank-text.csv": (_csv([*GOOD_ROWS, "<br />,1"]), ["row 41", "empty text"]),
    "missing-label.csv": (_csv([*GOOD_ROWS[:3], "no label here,", *GOOD_ROWS[3:]]), ["row 4", "missing label"]),
    "one-class.csv": (_csv([f"{t},1" for t in GOOD]), ["1 class", "--label-column"]),
    "many-classes.csv": (_csv([f"{t},{i}" for i, t in enumerate(GOOD)]), ["40 classes", "2 to 5"]),
    "short-form.csv": (
        _csv([f"{t},{'pos' if i % 2 else 'neg'}" for i, t in enumerate(GOOD)] + ["one more,negative"]),
        ["'neg'", "one class"],
    ),
    "mixed-labels.csv": (_csv([*GOOD_ROWS, "a text,positive"]), ["words and numbers mixed"]),
    "fraction-label.csv": (_csv([*GOOD_ROWS, "a text,0.5"]), ["row 41", "0.5", "not a class"]),
    "not-utf8.csv": (
        _csv(GOOD_ROWS).encode() + "caf\xe9,1\n".encode("latin-1"),
        ["not UTF-8", "line 42", "--encoding cp1252"],
    ),
    "utf16.csv": (_csv(GOOD_ROWS).encode("utf-16"), ["not UTF-8 but UTF-16", "--encoding utf-16"]),
    "empty.csv": ("", ["empty"]),
    "header-only.csv": ("text,label\n", ["no usable rows"]),
    "broken.jsonl": (JSONL + '{"text": "half', ["line 41", "broken JSON"]),
    "not-an-object.jsonl": (JSONL + "[1, 2]\n", ["line 41", "not a JSON object"]),
    "not-text.jsonl": (JSONL + json.dumps({"text": 5, "label": 1}) + "\n", ["row 41", "int, not text"]),
    "null-text.jsonl": (JSONL + json.dumps({"text": None, "label": 1}) + "\n", ["row 41", "not text"]),
    "zero-bytes.parquet": (b"", ["not a Parquet file", "0 bytes"]),
    "not.parquet": (b"this is not parquet", ["not a Parquet file"]),
    "notes.txt": ("hello", ["unknown format '.txt'"]),
    "list-label.jsonl": (JSONL + json.dumps({"text": "a", "label": [1]}) + "\n", ["row 41", "not a word or a number"]),
    "huge-label.csv": (_csv([*GOOD_ROWS, "a text," + "9" * 400]), ["row 41", "not a class"]),
    "deep.jsonl": (JSONL + "[" * 200_000 + "\n", ["line 41", "broken JSON"]),
    "too-many-cells.csv": (_csv([*GOOD_ROWS, "one, two, three,1"]), ["row 41", "more cells than columns"]),
    "semicolons.csv": (
        _csv([r.replace(",", ";") for r in GOOD_ROWS], "text;label"),
        ["separated by ';'", "--separator ';'"],
    ),
    "twice.csv": (_csv([f"{r},x" for r in GOOD_ROWS], "text,label,text"), ["2 columns are called 'text'"]),
    "ragged.csv": (_csv([*GOOD_ROWS, "only one cell"]), ["row 41", "missing label"]),
}


def check(capfd, arguments, expected, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    status = run_command(arguments)
    err = capfd.readouterr().err
    lines = [line for line in err.splitlines() if line.strip()]
    assert status == 2, (status, err)
    assert lines[-1].startswith("error: ") and "Traceback" not in err, err
    assert len(lines) == 1, err
    for part in expected:
        assert part in lines[-1], lines[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == before, "something was written"


@pytest.mark.parametrize("name", FILES)
def test_bad_file(name, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, expected = FILES[name]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    check(capfd, ["benchmark", "--dataset", f"./{name}"], [name, *expected], tmp_path)


OPTIONS = {
    "model": (["benchmark", "--models", "all-minilm-l6"], ["unknown model", "did you mean 'all-MiniLM-L6-v2'"]),
    "dataset": (["benchmark", "--dataset", "imbd"], ["unknown dataset", "did you mean 'imdb'"]),
    "method": (["benchmark", "--methods", "lorra"], ["unknown method", "did you mean"]),
    "missing file": (["benchmark", "--dataset", "nowhere/reviews.csv"], ["nowhere/reviews.csv", "does not exist"]),
    "missing folder": (["benchmark", "--dataset", "no/such/folder"], ["no/such/folder", "does not exist"]),
    "named column": (
        ["benchmark", "--text-column", "txt"],
        ["no column 'txt'", "did you mean 'text'?", "columns are 'text', 'label'"],
    ),
    "suite": (["benchmark", "--suite", "quikstart"], ["unknown suite", "did you mean 'quickstart'"]),
    "suite file": (["benchmark", "--suite", "nothing.yaml"], ["nothing.yaml", "does not exist"]),
    "seed": (["benchmark", "--seeds", "1,two"], ["--seeds", "whole numbers"]),
    "seeds beside a suite": (
        ["benchmark", "--suite", "quickstart", "--seeds", "1,2"],
        ["--seeds", "a suite states its own"],
    ),
    "heads that do not exist": (["benchmark", "--methods", "baseline", "--heads", "foo"], ["--heads", "unknown head"]),
    "value type": (["benchmark", "--epochs", "three"], ["--epochs", "valid number"]),
    "value range": (["benchmark", "--max-length", "1"], ["max_length", "outside"]),
    "setting without effect": (
        ["benchmark", "--methods", "frozen", "--set", "lora_r=4"],
        ["lora_r", "nothing here uses it"],
    ),
    "setting with an option of its own": (["benchmark", "--set", "seed=3"], ["--set", "seed has an option of its own"]),
    "setting as a time": (
        ["benchmark", "--methods", "lora", "--set", "lora_r=1:30"],
        ["lora_r", "'1:30' is not a number"],
    ),
    "setting as a date": (
        ["benchmark", "--methods", "lora", "--set", "lora_r=2026-02-30"],
        ["lora_r", "is not a number"],
    ),
    "setting too long": (
        ["benchmark", "--methods", "lora", "--set", "lora_r=" + "9" * 5000],
        ["lora_r", "is not a number"],
    ),
    "setting too deep": (
        ["benchmark", "--methods", "lora", "--set", "lora_r=" + "[" * 3000],
        ["lora_r", "is not a number"],
    ),
    "setting empty": (["benchmark", "--methods", "lora", "--set", "lora_r="], ["lora_r", "'' is not a number"]),
    "device of another command": (["--device", "foo", "prices"], ["--device", "'foo'"]),
    "weights twice": (["compare", "--weights", "accuracy=1,accuracy=2"], ["--weights", "accuracy is given twice"]),
    "weights beside a metric": (
        ["compare", "--weights", "accuracy=1", "--metric", "mcc"],
        ["--weights", "--metric mcc"],
    ),
    "no prompt": (["generation", "--model", "tiny:qwen2.5-1.5b", "--prompt-tokens", "²"], ["--prompt-tokens", "²"]),
    "no epochs": (
        ["train", "--model", "tfidf", "--method", "baseline", "--dataset", "reviews", "--epochs", "1"],
        ["epochs", "nothing here uses it"],
    ),
    "train size": (["benchmark", "--train-size", "500"], ["400 usable rows", "500 asked"]),
    "test size": (["benchmark", "--test-size", "500"], ["300 usable rows", "500 asked"]),
    "zero": (["benchmark", "--train-size", "0"], ["train_size", "0 is outside"]),
    "empty dataset": (["benchmark", "--dataset", ""], ["unknown dataset ''"]),
    "empty suite": (["benchmark", "--suite", ""], ["unknown suite ''"]),
    "empty column": (["benchmark", "--text-column", ""], ["no column ''"]),
    "no command": ([], ["give a command"]),
    "no home": (
        ["benchmark", "--dataset", "~nobody-here/x.csv"],
        ["~nobody-here/x.csv", "nobody's home folder", "in full"],
    ),
    "head": (
        ["train", "--model", "tfidf", "--method", "baseline", "--head", "linaer", "--dataset", "reviews"],
        ["head 'linaer'", "linear"],
    ),
    "option": (["benchmark", "--modles", "x"], ["--modles"]),
    "command": (["benchmrk"], ["benchmrk"]),
    "device": (["--device", "tpu", "benchmark"], ["device", "tpu"]),
    "stars": (["benchmark", "--stars", "4"], ["stars", "4"]),
    "engine": (["benchmark", "--engine", "dask"], ["--engine", "dask"]),
    "tracker": (["benchmark", "--track", "mlflwo"], ["--track", "did you mean 'mlflow'"]),
    "no reports to show": (["dashboard", "--reports", "."], ["no results"]),
    "checkpoint": (["predict", "--checkpoint", "nothing", "a text"], ["checkpoint nothing", "senticompare.json"]),
    "nothing to serve": (["runtimes", "--checkpoint", "nothing"], ["checkpoint nothing", "senticompare.json"]),
    "an encoder writes nothing": (["generation", "--model", "all-MiniLM-L6-v2"], ["is no decoder"]),
    "prompt lengths": (
        ["generation", "--model", "tiny:qwen2.5-1.5b", "--prompt-tokens", "16,x"],
        ["--prompt-tokens", "16,x"],
    ),
    "no text": (["predict", "--checkpoint", "nothing"], ["no text"]),
    "a column of no table": (
        ["predict", "--checkpoint", "nothing", "--text-column", "x", "a text"],
        ["--text-column", ".csv"],
    ),
    "metric": (["compare", "--reports", "."], ["no results"]),
    "reports": (["compare", "--reports", "nowhere"], ["nowhere", "does not exist"]),
    "format": (["report", "--format", "pdf"], ["unknown format", "pdf"]),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_option(name, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, expected = OPTIONS[name]
    check(capfd, arguments, expected, tmp_path)


SUITES = {
    "key": ("runs: [{method: frozen}]\ntitel: x\n", ["'titel'", "did you mean 'title'"]),
    "run key": ("runs: [{methud: frozen}]\n", ["'methud'", "did you mean 'method'"]),
    "value": ("runs: [{method: lora, lora_r: eight}]\n", ["lora_r", "'eight'"]),
    "no runs": ("title: x\n", ["'runs'"]),
    "yaml": ("runs: [", ["not readable YAML"]),
    "code": ("runs: !!python/object/apply:os.system ['echo hello']\n", ["not readable YAML"]),
    "twice": ("runs: [{method: frozen}, {method: frozen}]\n", ["two runs", "variant"]),
    "list": ("[1, 2]\n", ["'runs'"]),
    "empty list": ("runs: [{method: frozen, seed: []}]\n", ["option seed", "at least one value"]),
    "deep": ("[" * 20_000, ["not readable YAML"]),
    "claim on nothing": (
        "runs: [{method: frozen}]\nclaims: [{model: x, method: lorra, claim: 1}]\n",
        ["claim", "did you mean 'lora'"],
    ),
    "claim without words": (
        "runs: [{method: frozen}]\nclaims: [{model: x, method: lora, claim: [1]}]\n",
        ["claim", "must be words"],
    ),
    "date": ("runs: [{method: frozen}]\ndefaults: {dataset: 2024-13-45}\n", ["not readable YAML"]),
}


@pytest.mark.parametrize("name", SUITES)
def test_bad_suite(name, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, expected = SUITES[name]
    (tmp_path / "own.yaml").write_text(content)
    check(capfd, ["benchmark", "--suite", "own.yaml"], ["own.yaml", *expected], tmp_path)


def test_unknown_label_in_test_names_file_and_row(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "train.csv").write_text(_csv(GOOD_ROWS))
    (folder / "test.csv").write_text(_csv(["fine by me,1", "what is this,2", "bad thing,0"]))
    check(capfd, ["benchmark", "--dataset", "./own"], ["own/test.csv", "row 2", "unknown label 2"], tmp_path)


def test_skip_bad_rows_counts_them(tmp_path, monkeypatch):
    from senticompare.data.splits import load_splits
    from senticompare.spec.run_spec import make_spec

    (tmp_path / "own.csv").write_text(_csv([*GOOD_ROWS, ",1", "no label,", "<br/>,0"]))
    splits = load_splits(make_spec({"dataset": str(tmp_path / "own.csv"), "skip_bad_rows": True}))
    assert splits.dropped == {"empty text": 2, "missing label": 1}


def test_reports_folder_that_cannot_be_written(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").write_text("a file where a folder should be")
    check(capfd, ["benchmark", "--reports", "reports"], ["reports", "cannot be written", "--reports"], tmp_path)


def test_disk_full_is_one_line(tmp_path, capfd, monkeypatch):
    import senticompare.run.execute as runner

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x.json"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run_one", full)
    status = run_command(["benchmark", "--test-size", "60"])
    err = capfd.readouterr().err
    assert status == 2 and "No space left on device" in err.splitlines()[-1] and "Traceback" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_full_disk_under_standard_output():
    command = [sys.executable, "-c", "from senticompare.cli.main import main; main()", "methods"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error:") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name, content",
    [
        ("senticompare.json", '{"spec": []}'),
        ("senticompare.json", "[" * 100_000),
        ("linear.safetensors", "junk"),
        ("tfidf.json", "{}"),
        ("tfidf.safetensors", ""),
    ],
)
def test_damaged_checkpoint(tmp_path, capfd, monkeypatch, name, content):
    from senticompare.classify.checkpoint import save_classifier
    from senticompare.classify.classifier import train_classifier
    from senticompare.data.splits import load_splits
    from senticompare.spec.run_spec import make_spec

    spec = make_spec({"model": "tfidf", "method": "baseline", "train_size": 60})
    splits = load_splits(spec)
    folder = save_classifier(train_classifier(spec, splits, {}), tmp_path / "checkpoint")
    (folder / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    check(
        capfd,
        ["predict", "--checkpoint", "checkpoint", "a text"],
        ["checkpoint checkpoint", "damaged", "again"],
        tmp_path,
    )


def test_damaged_predictions_and_foreign_json(tmp_path, capfd, monkeypatch):
    import shutil

    from senticompare.base.files import bundled

    published = bundled("suites").parent / "reports" / "published" / "quickstart"
    for path in [*published.glob("tfidf*.json"), *published.glob("tfidf*.parquet")]:
        shutil.copy(path, tmp_path)
    (tmp_path / "foreign.json").write_text('{"run_id": "x", "spec_hash": "y", "status": "completed", "quality": null}')
    (tmp_path / "deep.json").write_text("[" * 200_000)
    monkeypatch.chdir(tmp_path)
    assert run_command(["compare", "--reports", "."]) == 0
    next(tmp_path.glob("*.predictions.parquet")).write_bytes(b"junk")
    capfd.readouterr()
    check(capfd, ["compare", "--reports", "."], [".predictions.parquet", "damaged predictions"], tmp_path)


def test_markup_in_names_is_text(capsys):
    from senticompare.cli.printing import print_rows

    print_rows([{"[bold]n[/]": "[/]"}], title="[/red]")
    assert "[bold]n[/]" in capsys.readouterr().out


PRICES = {
    "no match": "machines: [{hourly_usd: 1}]\n",
    "another machine's": "machines: [{match: Nowhere, hourly_usd: much}]\n",
    "no such day": "machines: [{match: x, hourly_usd: 1, as_of: 2026-02-30}]\n",
    "broken": "machines: [",
}


@pytest.mark.parametrize("name", PRICES)
def test_wrong_prices_are_told_before_anything_runs(name, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prices.yaml").write_text(PRICES[name])
    check(capfd, ["benchmark", "--methods", "baseline"], ["prices.yaml"], tmp_path)


def test_half_a_character_is_replaced(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"text": f"{t} \ud800", "label": "go\udc00od" if i % 2 else "bad"}) for i, t in enumerate(GOOD)]
    (tmp_path / "half.jsonl").write_text("\n".join(rows))
    made = ["train", "--model", "tfidf", "--method", "baseline", "--dataset", "half.jsonl", "--output-dir", "c"]
    assert run_command(made) == 0, capfd.readouterr().err
    for more in ([], ["--json"]):
        assert run_command(["predict", "--checkpoint", "c", "a good \ud800 one", *more]) == 0, capfd.readouterr().err


def test_predict_reads_the_column_of_a_table(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text(
        "\n".join(json.dumps({"text": t, "label": "good" if i % 2 else "bad"}) for i, t in enumerate(GOOD))
    )
    assert (
        run_command(
            ["train", "--model", "tfidf", "--method", "baseline", "--dataset", "train.jsonl", "--output-dir", "c"]
        )
        == 0
    ), capfd.readouterr().err
    texts = ['it "broke", twice', "two\nlines, and a comma", "fine"]
    pd.DataFrame({"stars": [1, 2, 5, 4], "review": [*texts, ""]}).to_csv("t.csv", index=False)
    (tmp_path / "bytes.csv").write_bytes(b"review\nfine\n" + b"caf\xe9\n" * 9000)
    capfd.readouterr()
    assert run_command(["predict", "--checkpoint", "c", *texts, "--json"]) == 0
    alone = json.loads(capfd.readouterr().out)
    assert run_command(["predict", "--checkpoint", "c", "--file", "t.csv", "--json"]) == 0
    of_file = capfd.readouterr()
    assert json.loads(of_file.out) == alone and "1 of 4 rows of t.csv hold no text: left out" in of_file.err
    pd.DataFrame({"stars": [1, 2]}).to_parquet("t.parquet")
    check(
        capfd,
        ["predict", "--checkpoint", "c", "--file", "t.parquet", "--text-column", "stars"],
        ["t.parquet", "row 1", "no text"],
        tmp_path,
    )
    check(capfd, ["predict", "--checkpoint", "c", "--file", "bytes.csv"], ["bytes.csv", "UTF-8"], tmp_path)
    check(capfd, ["predict", "--checkpoint", "c", "--file", "lost.csv"], ["lost.csv", "does not exist"], tmp_path)


@pytest.mark.parametrize("asked", ["abc", "2,2", "0", "-1"])
def test_threads_that_are_no_number(asked, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    check(capfd, ["benchmark", "--methods", "baseline"], ["OMP_NUM_THREADS", repr(asked), "from 1 up"], tmp_path)


def test_a_terminal_is_not_steered(capsys):
    from senticompare.cli.printing import print_rows

    print_rows([{"text": "\x1b[31mred\x1b]0;title\x07\u202eevil"}])
    assert not {"\x1b", "\x07", "\u202e"} & set(capsys.readouterr().out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["benchmark", "--dataset", "imdb", "--methods", "baseline"],
        ["train", "--dataset", "reviews", "--model", "nobody/nothing", "--method", "frozen"],
    ],
)
def test_without_a_network_one_line_and_no_retries(arguments, tmp_path):
    """A host that no name service knows stands for the missing network; the Hub's libraries would retry for half a minute and print each try."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": "https://hub.invalid",
        "HF_HOME": str(tmp_path / "cache"),
        "NO_PROXY": "*",
    }
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy", "HF_HUB_OFFLINE"):
        environment.pop(name, None)
    command = [sys.executable, "-c", "from senticompare.cli.main import main; main()", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1 and "hub.invalid is not found" in lines[0], lines
