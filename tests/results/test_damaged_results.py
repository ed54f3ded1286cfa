"""Reports that somebody edited, cut off or mixed up: one line that names the file, or a whole answer; never a traceback, never a NaN."""

import json
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from senticompare.base.errors import InputError
from senticompare.base.files import bundled
from senticompare.cli.main import run_command
from senticompare.cli.printing import ranking_rows
from senticompare.comparison.answer import answer
from senticompare.comparison.leaderboard import leaderboard
from senticompare.comparison.recommend import recommend
from senticompare.report.paper import paper
from senticompare.results.files import read_results
from senticompare.results.predictions import read_predictions
from senticompare.results.prices import with_prices
from senticompare.results.side_tables import read_tables

PUBLISHED = bundled("suites").parent / "reports" / "published" / "quickstart"
pytestmark = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published reports are not part of an installed package"
)


@pytest.fixture
def reports(tmp_path):
    """Three published runs, in a folder of their own."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for run in ("tfidf--baseline--linear", "all-MiniLM-L6-v2--frozen--linear", "all-MiniLM-L6-v2--full--classifier"):
        for path in PUBLISHED.glob(f"{run}--*"):
            if path.suffix in (".json", ".parquet"):
                shutil.copy(path, folder)
    return folder


def everything_shown(folder: Path) -> str:
    """What compare, recommend and the paper say of a folder."""
    results = read_results(folder)
    predictions = read_predictions(folder, results)
    board = leaderboard(results, predictions)
    chosen = recommend(results, predictions, {"max_latency_p95_ms": 50.0, "max_size_mb": 500.0})
    return "\n".join(
        [
            json.dumps(ranking_rows(board), allow_nan=False),
            *answer(board, predictions),
            chosen.why,
            *chosen.others.values(),
            paper(results, predictions, "x"),
        ]
    )


CELLS = [
    c["source"]
    for c in json.loads((bundled("templates") / "summary.ipynb").read_text())["cells"]
    if c["cell_type"] == "code"
]


def summary_shown(folder: Path, monkeypatch) -> str:
    """What the summary notebook shows of a folder: its code, run here."""
    import IPython.display

    shown = []
    monkeypatch.setattr(
        IPython.display, "display", lambda *things, **_: shown.extend(str(getattr(t, "data", t)) for t in things)
    )
    names = {"__name__": "summary"}
    for cell in CELLS:
        source = "".join(cell)
        exec(compile(source.replace("reports_dir = None", f"reports_dir = {str(folder)!r}"), "summary", "exec"), names)
    return "\n".join(shown)


WRONG = (None, "x", -1, 2.5, True, [], {}, [[]], 10**20, "fast", ["x", None])


def places(value, path=()):
    """Every place in a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


@pytest.mark.parametrize("seed", range(4))
def test_an_edited_result_is_named_or_shown_whole(reports, seed, monkeypatch):
    rng = random.Random(seed)
    path = sorted(reports.glob("*.json"))[seed % 3]
    whole = path.read_text()
    refused = 0
    for _ in range(30):
        value = json.loads(whole)
        *parents, last = place = rng.choice(
            [p for p in places(value) if p[0] not in ("provenance", "slices", "gates")]
            if rng.random() < 0.8
            else list(places(value))
        )
        inside = value
        for key in parents:
            inside = inside[key]
        if rng.random() < 0.2 and isinstance(inside, dict):
            del inside[last]
        else:
            inside[last] = rng.choice(WRONG)
        path.write_text(json.dumps(value))
        try:
            shown = everything_shown(reports) + summary_shown(reports, monkeypatch)
        except InputError as e:
            refused += 1
            assert path.name in str(e) or path.stem in str(e) or "different examples" in str(e), (place, str(e))
            assert "\n" not in str(e) and len(str(e)) < 500, place
        else:
            assert "nan" not in shown.lower() and ">None<" not in shown, place
    assert refused > 5


@pytest.mark.parametrize("command", ["compare", "recommend", "report", "dashboard"])
@pytest.mark.parametrize("content", ["", '{"run_id": ', "[]", "[" * 100_000, '{"accuracy": NaN}', b"\xff\xfe\x00"])
def test_a_damaged_result_is_never_left_out_in_silence(reports, capfd, command, content):
    path = next(reports.glob("*--full--*.json"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert run_command([command, "--reports", str(reports)]) == 2
    err = capfd.readouterr().err.splitlines()
    assert len(err) == 1 and path.name in err[0] and "damaged result" in err[0], err


def rewritten(change):
    def write(path):
        change(pd.read_parquet(path)).to_parquet(path)

    return write


TABLES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:500]),
    "a row less": rewritten(lambda f: f.iloc[:-1]),
    "all right": rewritten(lambda f: f.assign(prediction=f["label"])),
    "another class": rewritten(lambda f: f.assign(prediction=7)),
    "below nothing": rewritten(lambda f: f.assign(label=-1)),
    "words": rewritten(lambda f: f.assign(prediction="positive")),
    "halves": rewritten(lambda f: f.assign(prediction=0.5)),
    "no number": rewritten(lambda f: f.assign(prob_0=float("nan"))),
    "above one": rewritten(lambda f: f.assign(prob_0=1.5)),
    "no column": rewritten(lambda f: f.drop(columns="label")),
    "no ids": rewritten(lambda f: f.assign(example_id=None)),
    "no probabilities": rewritten(lambda f: f[["example_id", "label", "prediction"]]),
}


@pytest.mark.parametrize("name", TABLES)
def test_damaged_predictions_are_named(reports, name):
    path = next(reports.glob("*--full--*.predictions.parquet"))
    TABLES[name](path)
    with pytest.raises(InputError, match="damaged predictions") as e:
        everything_shown(reports)
    assert path.name in str(e.value)


def test_a_damaged_neighbour_is_told_before_anything_runs(reports, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("name: reports\nruns: [{model: majority, method: baseline}]\n")
    neighbour = next(reports.glob("*--full--*.json"))
    neighbour.write_text("{")
    assert run_command(["benchmark", "--suite", "own.yaml", "--reports", "."]) == 2
    assert neighbour.name in capfd.readouterr().err and not list(reports.glob("majority*"))


def test_a_damaged_result_is_run_again(reports):
    from senticompare.run.plan import make_plan
    from senticompare.spec.suites import load_suite

    path = next(reports.glob("tfidf*.json"))
    for name in (path.name.replace(".json", ".ipynb"), path.name):  # the plan wants the notebook, too
        shutil.copy(PUBLISHED / name, reports)
    specs = [s for s in load_suite("quickstart").specs if s.run_id == path.stem]
    before = make_plan(specs, reports)[0].state
    path.write_text(path.read_text()[:500])
    assert before != "new" and make_plan(specs, reports)[0].state == "new"


def test_two_files_of_one_name_are_not_one_dataset(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, words in (("a", ("good", "bad")), ("b", ("fine", "poor"))):
        (tmp_path / folder).mkdir()
        rows = [f"{words[i % 2]} thing number {i},{i % 2}" for i in range(30)]
        (tmp_path / folder / "mine.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    command = ["benchmark", "--methods", "baseline", "--heads", "linear", "--dataset"]
    assert run_command([*command, "a/mine.csv"]) == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "reports/mine").glob("*.json")}
    capfd.readouterr()
    assert run_command([*command, "b/mine.csv"]) == 2
    assert "b/mine.csv has the same name and other content" in capfd.readouterr().err
    assert {p.name: p.read_bytes() for p in (tmp_path / "reports/mine").glob("*.json")} == before
    (tmp_path / "a/mine.csv").write_text(
        (tmp_path / "b/mine.csv").read_text()
    )  # the same file, edited: nothing is replaced unasked
    assert run_command([*command, "a/mine.csv", "--dry-run"]) == 0
    assert capfd.readouterr().out.count("replaces") >= 2
    assert run_command([*command, "a/mine.csv"]) == 2 and "--replace" in capfd.readouterr().err


@pytest.mark.parametrize(
    "parameters", ['{"title": 7}', '{"claims": "x"}', "[]", '"x"', '{"note": ["<b>"]}', '{"claims": [{"model": "x"}]}']
)
def test_a_summary_with_odd_parameters(reports, capfd, parameters):
    (reports / "summary.ipynb").write_text(f'{{"metadata": {{"papermill": {{"parameters": {parameters}}}}}}}')
    status = run_command(["report", "--reports", str(reports), "--format", "json"])
    err = capfd.readouterr().err
    assert status in (0, 2) and "Traceback" not in err and (status == 0 or "summary.ipynb" in err), err


def edited(folder: Path, run: str, change) -> Path:
    path = next(folder.glob(f"{run}*.json"))
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("name", ["f1_macro", "mcc"])
def test_every_tested_figure_is_that_of_the_predictions(reports, name):
    edited(reports, "tfidf", lambda r: r["quality"].update({name: 0.9321}))
    with pytest.raises(InputError, match=f"{name} .*the result states 0.9321"):
        everything_shown(reports)


def test_predictions_are_checked_wherever_their_result_stands(reports):
    result, table = next(reports.glob("tfidf*.json")), next(reports.glob("tfidf*.predictions.parquet"))
    rewritten(lambda f: f.assign(prediction=f["label"]))(table)
    result.rename(reports / "renamed.json")
    with pytest.raises(InputError, match="damaged predictions"):
        everything_shown(reports)


def test_predictions_without_a_result_and_twins_are_named(reports, tmp_path):
    result, table = next(reports.glob("tfidf*.json")), next(reports.glob("tfidf*.predictions.parquet"))
    shutil.copytree(reports, tmp_path / "twin")
    result.unlink()
    with pytest.raises(InputError, match="predictions without their result"):
        read_results(reports)
    twin = tmp_path / "twin"
    (twin / "inside").mkdir()
    shutil.copy(twin / table.name, twin / "inside")
    with pytest.raises(InputError, match="stand twice"):
        everything_shown(twin)
    (twin / "inside" / table.name).unlink()
    shutil.copy(twin / result.name, twin / result.name.replace("--s1", "--s2"))
    with pytest.raises(InputError, match="one of the files must go"):
        read_results(twin)


def test_linked_folders_are_read_once(reports, tmp_path):
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "linked").symlink_to(reports)
    (reports / "around").symlink_to(tmp_path / "all")
    assert len(read_results(tmp_path / "all")) == 3


def test_an_edited_summary_is_made_again(reports, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    command = ["report", "--reports", str(reports), "--format", "md"]
    assert run_command(command) == 0
    right, made = (reports / "leaderboard.md").read_text(), (reports / "summary.html").stat().st_mtime_ns
    assert (
        run_command(command) == 0 and (reports / "summary.html").stat().st_mtime_ns == made
    )  # nothing changed: nothing is made
    for name, content in (("leaderboard.json", '[{"accuracy": 0.999}]'), ("summary.html", "")):
        (reports / name).write_text(content)
        assert run_command(command) == 0, capfd.readouterr().err
        assert (reports / "leaderboard.md").read_text() == right and (reports / "summary.html").stat().st_size > 100_000


def test_names_are_text_everywhere(reports, monkeypatch):
    hostile = "models/<img src=x onerror=alert(8)>|**b**\u202e"
    for path in reports.glob("*--full--*.json"):
        path.write_text(path.read_text().replace('"model": "all-MiniLM-L6-v2"', f'"model": {json.dumps(hostile)}'))
    results = read_results(reports)
    predictions = read_predictions(reports, results)
    text = paper(results, predictions, "rep<script>alert(3)</script>")
    for shown in (text, summary_shown(reports, monkeypatch)):
        assert "onerror" in shown
        for live in (
            "<img",
            "\u202e",
            "<script>alert",
            "onerror=alert(8)>|**b**\\u202e · full (",
        ):  # the last: in a sentence, where Markdown would read it
            assert live not in shown, shown[shown.index(live) - 200 :][:400]


def test_the_title_of_a_suite_is_text():
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    from senticompare.base.text import markdown_text

    shown = markdown2html_mistune(f"## {markdown_text('<script>alert(1)</script> **b** [a](javascript:alert(1))')}")
    assert (
        "<script" not in shown and "<strong" not in shown and "<a " not in shown.replace('<a class="anchor-link"', "")
    )


def test_two_datasets_with_one_test_are_told_apart(reports):
    """One name of a run on two datasets: what each was trained on must stand with it."""
    for path in [*reports.glob("*--full--*.json"), *reports.glob("*--full--*.parquet")]:
        other = reports / path.name.replace("--reviews--", "--others--")
        other.write_bytes(path.read_bytes())
    edited(
        reports,
        "*--others",
        lambda r: (
            r.update(run_id=r["run_id"].replace("--reviews--", "--others--")),
            r["spec"].update(dataset="others"),
        ),
    )
    results = read_results(reports)
    board = leaderboard(results, read_predictions(reports, results))
    labels = [row["run"] for row in ranking_rows(board)]
    assert len(set(labels)) == len(labels) == 4 and all("reviews" in n or "others" in n for n in labels)


def test_a_recommendation_claims_no_test_that_was_not_made(reports):
    results = read_results(reports)
    predictions = read_predictions(reports, results)
    alone = recommend(results, predictions, {"max_size_mb": 50.0})
    assert alone.run_id.startswith("tfidf") and "the only one that fits" in alone.why
    nothing = recommend(results, predictions, {"max_cost_per_1k": 1.0})
    assert nothing.run_id is None and nothing.nearest is None
    failed = [{**r, "status": "failed", "error": "x"} for r in results]
    assert "no run was completed" in recommend(failed, {}, {}).why


def test_the_power_sentence_keeps_to_the_exact_test():
    from scipy.stats import binomtest

    from senticompare.statistics.power import detectable_difference, examples_to_separate, fewest_disagreements

    for alpha in (0.05, 0.01, 0.05 / 28):
        n = fewest_disagreements(alpha)
        assert binomtest(0, n).pvalue <= alpha < binomtest(0, n - 1).pvalue
    assert detectable_difference(5, 1.0) == float("inf") and examples_to_separate(1.0, 1.0) == 6
    assert detectable_difference(1000, 0.002) == float("inf")


@pytest.mark.parametrize(
    "run, change",
    [
        ("tfidf", lambda r: r["speed"].update(machine="x")),
        ("tfidf", lambda r: r["provenance"].update(inputs=[1])),
        ("tfidf", lambda r: r["provenance"]["hardware"].update(threads=10**20)),
        ("tfidf", lambda r: r["spec"].update(model="\ud800")),
        ("tfidf", lambda r: r["data"].update(classes=["a", "a", "b"])),
        ("tfidf", lambda r: r["quality"].update(accuracy_ci95=[0.9, 0.1])),
    ],
)
def test_what_used_to_break_a_reader(reports, run, change):
    path = edited(reports, run, change)
    with pytest.raises(InputError, match="damaged") as e:
        everything_shown(reports)
    assert path.stem in str(e.value)


def test_a_key_that_stands_twice_is_an_error(tmp_path):
    from senticompare.base.yaml_files import read_yaml

    (tmp_path / "x.yaml").write_text("runs: 1\nother: {a: 1}\nruns: 2\n")
    with pytest.raises(InputError, match=r"x\.yaml.*line 3: the key 'runs' stands twice"):
        read_yaml(tmp_path / "x.yaml")
    (tmp_path / "x.yaml").write_text("base: &b {a: 1, c: 2}\nmore: {<<: *b, a: 3}\n")
    assert read_yaml(tmp_path / "x.yaml")["more"] == {"a": 3, "c": 2}


def test_sizes_of_older_results_are_judged(reports):
    """The leaderboard knew the size of a result that measured the checkpoint alone; the limits did not."""
    for path in reports.glob("tfidf*.json"):
        value = json.loads(path.read_text())
        value["memory"].pop("deployed_mb", None)
        path.write_text(json.dumps(value))
    results = read_results(reports)
    assert recommend(results, read_predictions(reports, results), {"max_size_mb": 50.0}).run_id.startswith("tfidf")


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "mcc"])
def test_narrow_integers_rank_alike(reports, metric):
    results = read_results(reports)
    before = leaderboard(results, read_predictions(reports, results), metric)
    for path, kind in zip(
        sorted(reports.glob("*.predictions.parquet")), ["uint8", "int8", "uint64", "int16"] * 9, strict=False
    ):
        pd.read_parquet(path).astype({"label": kind, "prediction": kind}).to_parquet(path)
    assert leaderboard(results, read_predictions(reports, results), metric) == before
    assert {str(f["label"].dtype) for f in read_predictions(reports, results).values()} == {"int64"}


def test_other_examples_with_the_same_data(reports, capfd):
    path = sorted(reports.glob("*.predictions.parquet"))[2]
    frame = pd.read_parquet(path)
    frame.loc[3, "example_id"] = "f" * 32
    frame.to_parquet(path)
    assert run_command(["compare", "--reports", str(reports)]) == 2
    assert path.name in (err := capfd.readouterr().err) and "same data" in err and err.count("\n") == 1


def test_a_bit_of_an_example_id(reports, capfd):
    path = sorted(reports.glob("*.predictions.parquet"))[1]
    first = pd.read_parquet(path)["example_id"][0].encode()
    content = bytearray(path.read_bytes())
    content[content.find(first)] ^= 0x80
    path.write_bytes(content)
    assert run_command(["compare", "--reports", str(reports)]) == 2
    assert path.name in (err := capfd.readouterr().err) and err.count("\n") == 1 and "damaged predictions" in err


def test_sizes_are_lost(reports, capfd):
    path = sorted(reports.glob("tfidf*.json"))[0]
    result = json.loads(path.read_text())
    result["data"]["sizes"] = None
    path.write_text(json.dumps(result))
    assert run_command(["compare", "--reports", str(reports)]) == 2
    assert path.stem in (err := capfd.readouterr().err) and err.count("\n") == 1


WRONG_TABLES = {
    "no reason": lambda t: t["rows"][0].pop("why_not"), "huge": lambda t: t["rows"][0].update(latency_p50_ms=10**400),
    "infinite": lambda t: t["rows"][0].update(latency_p50_ms=float("inf")), "negative": lambda t: t["rows"][0].update(peak_rss_mb=-5),
    "share": lambda t: t["rows"][0].update(accuracy=7), "truth": lambda t: t["rows"][0].update(latency_p50_ms=True),
    "moved": lambda t: t["rows"][0].update(packed_moved="x"), "texts": lambda t: t.pop("texts"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_table_of_measurements_is_damaged(name, tmp_path):
    table = json.loads(
        next((bundled("suites").parent / "reports/published/sst2-minilm").glob("*.runtimes.json")).read_text()
    )
    path = tmp_path / "x.runtimes.json"
    path.write_text(json.dumps(table))
    assert read_tables(tmp_path, "runtimes") == [table]
    WRONG_TABLES[name](table)
    path.write_text(json.dumps(table))
    with pytest.raises(InputError, match=r"x\.runtimes\.json: damaged table"):
        read_tables(tmp_path, "runtimes")


def test_prices_given_later_are_used(reports, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["recommend", "--reports", str(reports), "--max-cost-per-1k", "1"]
    assert run_command(command) == 1
    (tmp_path / "prices.yaml").write_text("machines: [{match: EPYC, hourly_usd: 0.1}]\n")
    capfd.readouterr()
    assert run_command(command) == 0
    assert "USD per million texts" in capfd.readouterr().out
    priced = with_prices(read_results(reports))
    board = leaderboard(priced, read_predictions(reports, priced), "score", {"cost": 1.0})
    assert [r["score"] for r in board] == sorted((r["score"] for r in board), reverse=True) and board[0][
        "method"
    ] == "baseline"  # the cheapest first
    assert not any("no price" in why for r in priced for why in r["not_measured"].values())
