"""Wrong numbers that were once shown, or nearly: each must stay impossible."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from senticompare.base.errors import InputError
from senticompare.base.files import bundled
from senticompare.comparison.leaderboard import leaderboard
from senticompare.comparison.published_claims import claim_rows
from senticompare.comparison.recommend import recommend
from senticompare.comparison.ties import paired
from senticompare.data.splits import load_splits
from senticompare.results.files import read_result, read_results
from senticompare.results.predictions import read_predictions
from senticompare.run.summary import summary_words
from senticompare.spec.identity import spec_hash
from senticompare.spec.run_spec import make_spec
from senticompare.spec.suites import check_used

PUBLISHED = bundled("suites").parent / "reports" / "published" / "quickstart"


@pytest.fixture(scope="module")
def priced_run(tmp_path_factory):
    """A run made where a price table names this machine."""
    import papermill

    from senticompare.base.workspace import workspace
    from senticompare.measure.provenance import hardware
    from senticompare.run.execute import template

    folder = tmp_path_factory.mktemp("priced")
    workspace().home.mkdir(parents=True, exist_ok=True)
    prices = workspace().prices
    prices.write_text(
        json.dumps({"machines": [{"match": hardware()["cpu"], "hourly_usd": 3.6, "as_of": "2026-11-01"}]})
    )
    spec = {"model": "tfidf", "method": "baseline", "test_size": 60, "reports_dir": str(folder)}
    papermill.execute_notebook(str(template("run")), str(folder / "out.ipynb"), spec, progress_bar=False)
    prices.unlink()
    return next(read_result(p) for p in folder.glob("*--*.json"))


def test_a_priced_machine_has_costs(priced_run):
    cost, samples = priced_run["cost"], priced_run["speed"]["throughput_samples_s"]
    assert cost["per_1k_queries_usd"] == pytest.approx(
        1000 / samples / 1000, rel=1e-6
    )  # 3.60 dollars an hour are a thousandth of a dollar a second
    assert "3.6 USD an hour" in cost["basis"] and "cost.per_1k_queries_usd" not in priced_run["not_measured"]


def test_raw_timings_agree_with_the_percentiles(priced_run):
    speed = priced_run["speed"]
    low, high = speed["latency_p50_ci95_ms"]
    assert (
        low <= speed["latency_p50_ms"] <= high and sum(r["n"] for r in speed["latency_by_length"]) == speed["latency_n"]
    )


@pytest.mark.parametrize("metric", ["f1_macro", "mcc"])
def test_many_runs_can_still_be_told_apart(metric):
    """A share of random exchanges has a floor, and corrected for 780 pairs that floor alone would be a tie."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    answers = np.stack([np.where(rng.random(600) < (0.97 if i < 20 else 0.6), y, 1 - y) for i in range(40)])
    answers = answers[np.argsort(-(answers == y).mean(1), kind="stable")]
    found = paired(y, answers, metric)
    assert found.groups[0] == 1 and all(g > 1 for g in found.groups[20:]) and found.p[0, -1] < 1e-6


@pytest.mark.parametrize("epochs", [1, 2, 6])
def test_the_reported_movement_is_that_of_the_saved_head(tmp_path, epochs):
    """In a training of a few steps (the first has a rate of 0, the average comes later) an unmoved head may be what is saved: the gate must see it."""
    from safetensors.numpy import load_file

    from senticompare.finetune.adapters import trainable_model
    from senticompare.finetune.trainer import fine_tune

    spec = make_spec(
        {
            "model": "tiny:roberta-base",
            "method": "full",
            "train_size": 12,
            "val_size": 6,
            "test_size": 6,
            "epochs": epochs,
            "max_length": 16,
        }
    )
    splits = load_splits(spec)
    record = fine_tune(spec.resolved(), splits, tmp_path / "model")
    start = {n: p.detach().numpy() for n, p in trainable_model(spec.resolved(), splits.classes).named_parameters()}
    saved = load_file(tmp_path / "model" / "model.safetensors")
    heads = [n for n in saved if n.startswith("classifier") and n.endswith("weight")]
    moved = max(np.linalg.norm(saved[n] - start[n]) / np.linalg.norm(start[n]) for n in heads)
    assert len(heads) == 2 and record["head_change"] == pytest.approx(moved, rel=1e-4, abs=1e-9)


def test_tokens_are_counted_as_the_model_sees_them(tmp_path):
    from senticompare.classify.checkpoint import load_classifier, save_classifier
    from senticompare.classify.classifier import train_classifier
    from senticompare.measure.latency import _token_counts

    spec = make_spec(
        {
            "model": "all-MiniLM-L6-v2",
            "method": "frozen",
            "max_length": 1024,
            "train_size": 20,
            "val_size": 10,
            "test_size": 10,
        }
    )
    classifier = load_classifier(
        save_classifier(train_classifier(spec, load_splits(spec), {"data": "x"}), tmp_path / "c"), "cpu"
    )
    assert _token_counts(classifier, ["word " * 900, "word"]) == [min(512, classifier.encoder.max_length), 3]


def test_a_folder_of_several_suites_is_not_mixed(tmp_path, cli):
    for name in ("one", "two"):
        shutil.copytree(PUBLISHED, tmp_path / "reports" / name, ignore=shutil.ignore_patterns("*.ipynb", "*.html"))
    with pytest.raises(InputError, match="several suites"):
        read_results(tmp_path / "reports")
    for command in (["compare"], ["recommend"], ["report"]):
        done = cli(*command, "--reports", tmp_path / "reports")
        assert done.returncode == 2 and "several suites" in done.stderr and str(Path("reports/one")) in done.stderr, (
            done.stderr
        )


def test_a_changed_result_changes_the_summary_of_its_parent(tmp_path):
    from senticompare.run.summary import results_digest

    shutil.copytree(PUBLISHED, tmp_path / "reports" / "one", ignore=shutil.ignore_patterns("*.ipynb", "*.html"))
    before = results_digest(tmp_path / "reports")
    path = next((tmp_path / "reports/one").glob("*--*.json"))
    path.write_text(path.read_text().replace('"completed"', '"refused"', 1))
    assert results_digest(tmp_path / "reports") != before


def test_energy_counts_packages_once_and_each_counter_runs_over_alone(tmp_path, monkeypatch):
    from senticompare.measure import energy

    for zone, name, now in (
        ("intel-rapl:0", "package-0", 900),
        ("intel-rapl:1", "psys", 5),
        ("intel-rapl:2", "package-1", 100),
    ):
        (tmp_path / zone).mkdir()
        for file, text in (("name", name), ("energy_uj", str(now)), ("max_energy_range_uj", "1000")):
            (tmp_path / zone / file).write_text(text)
    monkeypatch.setattr(energy, "RAPL", tmp_path)
    with energy.energy_meter() as used:
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("50")  # ran over: 150 used
        (tmp_path / "intel-rapl:2" / "energy_uj").write_text("130")
    assert used.joules["RAPL (processor package)"] == pytest.approx(180e-6)


def test_the_spec_of_a_run_is_read_back(priced_run):
    again = make_spec({k: v for k, v in priced_run["spec"].items() if v is not None})
    assert asdict(again.resolved()) == priced_run["spec"]


def test_a_price_does_not_leave_gaps_unexplained(priced_run):
    """'No price was given' stood beside costs that were shown."""
    assert "prices.yaml" not in " ".join(
        why for name, why in priced_run["not_measured"].items() if name.startswith("cost.")
    )


def test_a_checkpoint_is_not_judged_on_what_it_has_seen(tmp_path, cli):
    rows = [
        f"{word} number {i} of its kind,{label}"
        for i in range(100)
        for word, label in (("splendid", "good"), ("dreadful", "bad"))
    ]
    (tmp_path / "mine.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    trained = cli(
        "train",
        "--model",
        "tfidf",
        "--method",
        "baseline",
        "--dataset",
        "mine.csv",
        "--test-size",
        "20",
        "--output-dir",
        "c",
    )
    assert trained.returncode == 0, trained.stderr
    alone, more = (
        cli("evaluate", "--checkpoint", "c", "--dataset", "mine.csv", *given) for given in (("--test-size", "20"), ())
    )
    for judged in (alone, more):
        assert (
            "20 of 200 rows are judged; left out: 180 × trained or chosen on by this checkpoint" in judged.stderr
            and "20 test examples" in judged.stdout
        )


def test_nothing_said_is_not_zero():
    inputs = {"data": "x"}
    none, zero = (
        spec_hash(make_spec({"model": "tfidf", "method": "baseline", "truncation_limit": limit}), inputs)
        for limit in (None, 0.0)
    )
    assert none != zero
    check_used([make_spec({"method": "lora", "lora_dropout": 0.0})], ["lora_dropout"])
    assert make_spec({"learning_rate": "2e-5"}).learning_rate == 2e-5  # YAML reads this as a text


def test_dollars_are_not_held_against_milliseconds():
    results = [r for r in read_results(PUBLISHED) if r["status"] == "completed"]
    answers = read_predictions(PUBLISHED, results)
    tied = {r["run_id"] for r in leaderboard(results, answers) if r["tie_group"] == 1}
    first, *others = sorted((r for r in results if r["run_id"] in tied), key=lambda r: r["speed"]["latency_p50_ms"])
    priced = [
        {**r, "cost": {**r["cost"], "per_1k_queries_usd": None if r is first else 0.0001}} for r in (first, *others)
    ]
    assert recommend(priced, answers, {}).run_id == first["run_id"]


def test_a_claim_is_held_against_its_own_experiment():
    one = read_result(next(PUBLISHED.glob("*--frozen--linear--*.json")))
    other = {**one, "spec": {**one["spec"], "dataset": "sst2", "seed": 2}}
    claim = {"model": one["spec"]["model"], "method": "frozen", "dataset": one["spec"]["dataset"], "claim": "90 %"}
    assert (
        "mean" not in claim_rows([claim], [one, other])[0]["ours"]
        and claim_rows([{**claim, "dataset": "imdb"}], [one])[0]["ours"] == "not run"
    )


def test_a_report_keeps_the_words_of_the_suite(tmp_path):
    shutil.copytree(PUBLISHED, tmp_path / "quickstart")
    words = summary_words(tmp_path / "quickstart")
    assert (
        words["title"] != "quickstart"
        and words["note"]
        and summary_words(tmp_path) == {"title": tmp_path.name, "note": "", "claims": []}
    )


def test_what_was_seen_is_told_by_content_not_by_name(tmp_path, cli):
    """The same file under another name was seen; another file under the same name was not."""
    words = (("splendid", "good"), ("dreadful", "bad"))
    rows = [f"{word} number {i} of its kind,{label}" for i in range(100) for word, label in words]
    others = [f"{word} thing of day {i},{label}" for i in range(100) for word, label in words]
    for folder, name, content in (("", "mine.csv", rows), ("", "copy.csv", rows), ("other", "mine.csv", others)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text("text,label\n" + "\n".join(content) + "\n")
    trained = cli(
        "train",
        "--model",
        "tfidf",
        "--method",
        "baseline",
        "--dataset",
        "mine.csv",
        "--test-size",
        "20",
        "--output-dir",
        "c",
    )
    assert trained.returncode == 0, trained.stderr
    copy, other = (cli("evaluate", "--checkpoint", "c", "--dataset", name) for name in ("copy.csv", "other/mine.csv"))
    assert "20 test examples" in copy.stdout and "left out" in copy.stderr
    assert "left out" not in other.stderr and other.returncode == 0, other.stderr
    (tmp_path / "mine.csv").unlink()
    lost = cli("evaluate", "--checkpoint", "c", "--dataset", "other/mine.csv")
    assert lost.returncode == 0 and "could not be left out" in lost.stderr
