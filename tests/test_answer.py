"""The three sentences that open a summary, recomputed from the stored predictions of every published suite with scipy, statsmodels and scikit-learn."""

import itertools
import re
import shutil
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from senticompare.compare import leaderboard
from senticompare.plots import run_label
from senticompare.recommend import answer, recommend
from senticompare.results import read_predictions, read_results
from senticompare.runner import summarize

PUBLISHED = sorted(p.parent for p in Path(__file__).parent.parent.glob("reports/published/*/leaderboard.json"))


def read(folder):
    results = read_results(folder)
    predictions = {n: p.sort_values("example_id") for n, p in read_predictions(folder, results).items()}
    return results, predictions, leaderboard(results, predictions)


def ties(best, accuracy, predictions):
    names = list(accuracy)
    right = {n: (predictions[n]["prediction"] == predictions[n]["label"]).to_numpy() for n in names}
    pairs, p = list(itertools.combinations(names, 2)), []
    for a, b in pairs:
        x, y = right[a], right[b]
        p.append(mcnemar([[(x & y).sum(), (x & ~y).sum()], [(~x & y).sum(), (~x & ~y).sum()]], exact=True).pvalue if (x != y).any() else 1.0)
    corrected = dict(zip(pairs, multipletests(p, method="holm")[1], strict=True))
    return {n for n in names if n != best and corrected.get((best, n), corrected.get((n, best))) >= 0.05}, right


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)
def test_the_three_sentences_are_true(folder):
    results, predictions, board = read(folder)
    sentences = answer(board, predictions)
    done = {r["run_id"]: r for r in results if r["status"] == "completed"}
    accuracy = {n: accuracy_score(predictions[n]["label"], predictions[n]["prediction"]) for n in done}
    best = max(sorted(accuracy), key=lambda n: accuracy[n])
    label = {r["run_id"]: run_label(r) for r in board}
    n = len(predictions[best])
    low, high = proportion_confint(round(accuracy[best] * n), n, method="wilson")
    assert sentences[0].startswith(
        f"Best on these {n:,} test examples: {label[best]} with accuracy {accuracy[best]:.3f} (95 % interval {low:.3f} to {high:.3f});"
    )
    tied, right = ties(best, accuracy, predictions)
    named = {x for x in done if f"{label[x]} ({accuracy[x]:.3f})" in sentences[1]}
    assert named == tied
    if tied:
        fast = min([best, *tied], key=lambda x: done[x]["speed"]["latency_p50_ms"])
        assert f"the fastest of these is {label[fast]} with {done[fast]['speed']['latency_p50_ms']:.2f} ms" in sentences[1]
    share = np.median([(right[best] != right[x]).mean() for x in done if x != best])
    shown = float(re.search(r"shows a difference of (\d\.\d+)", sentences[2]).group(1))
    pairs = len(done) * (len(done) - 1) // 2
    z = norm.ppf(1 - 0.025 / pairs) * sqrt(share) + norm.ppf(0.8) * sqrt(share - shown**2)
    assert abs((z / shown) ** 2 / n - 1) < 0.05  # the printed difference, rounded to three places, needs about this many examples


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)
def test_recommendation_is_among_the_tied_and_has_a_reason_for_every_other_run(folder):
    results, predictions, board = read(folder)
    found = recommend(results, predictions, {})
    first = {r["run_id"] for r in board if r["tie_group"] == 1}
    assert found.run_id in first
    latency = {r["run_id"]: r["speed"]["latency_p50_ms"] for r in results}
    quick = [r["run_id"] for r in board if r["tie_group"] == 1 and latency[r["run_id"]] <= 1.15 * min(latency[n] for n in first)]
    assert found.run_id == quick[0] and set(found.others) == {r["run_id"] for r in results} - {found.run_id}
    none = recommend(results, predictions, {"max_memory_mb": 1.0})
    assert none.run_id is None and none.nearest and all("over 1 MB" in why for why in none.others.values())


@pytest.mark.skipif(len(PUBLISHED) < 2, reason="needs two published suites")
def test_several_datasets_stay_apart_and_are_compared_by_mean_ranks(tmp_path):
    suites = [f for f in PUBLISHED if f.name in ("quickstart", "sst2-minilm")]
    for file in (p for folder in suites for p in folder.glob("*--*") if p.suffix in (".json", ".parquet")):
        shutil.copy(file, tmp_path / file.name)
    board = [r for r in summarize(tmp_path, "both") if r["rank"]]
    assert len({r["test_set"] for r in board}) == 2 and sum(r["rank"] == 1 for r in board) == 2
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    common = set.intersection(*({r["run_id"].rsplit("--", 2)[0] for r in read(folder)[2] if r["rank"]} for folder in suites))
    shown = set(re.findall(r"<td>([^<]+)</td>\s*<td>\d+\.\d\d</td>\s*<td>0\.\d{3}</td>\s*<td>0\.\d{3}</td>", page))
    assert shown == {c.replace("--", " ") for c in common} and "Bayesian signed-rank" in page
