"""The sentences that open a summary, recomputed from the stored predictions of every published suite with scipy, statsmodels and scikit-learn."""

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

from senticompare.comparison.answer import answer
from senticompare.comparison.labels import run_label
from senticompare.comparison.leaderboard import leaderboard
from senticompare.comparison.recommend import recommend
from senticompare.results.files import read_results
from senticompare.results.predictions import read_predictions
from senticompare.run.summary import summarize

PUBLISHED = sorted(p.parent for p in Path(__file__).parents[2].glob("reports/published/*/leaderboard.json"))


def read(folder):
    results = read_results(folder)
    predictions = {n: p.sort_values("example_id") for n, p in read_predictions(folder, results).items()}
    return results, predictions, leaderboard(results, predictions)


def rights(row, predictions):
    """Whether each example is right, for each seed of a recipe, shape (seeds, n)."""
    return np.stack([(predictions[n]["prediction"] == predictions[n]["label"]).to_numpy() for n in row["run_ids"]])


def tied_with(best, rows, predictions):
    """Rows that a McNemar test (statsmodels, Holm-corrected over all pairs) cannot tell from the best, where every recipe has one seed."""
    pairs, p = list(itertools.combinations(range(len(rows)), 2)), []
    for i, j in pairs:
        x, y = rights(rows[i], predictions)[0], rights(rows[j], predictions)[0]
        p.append(
            mcnemar([[(x & y).sum(), (x & ~y).sum()], [(~x & y).sum(), (~x & ~y).sum()]], exact=True).pvalue
            if (x != y).any()
            else 1.0
        )
    corrected = dict(zip(pairs, multipletests(p, method="holm")[1], strict=True))
    at = rows.index(best)
    return [r for j, r in enumerate(rows) if j != at and corrected[min(at, j), max(at, j)] >= 0.05]


def of_seeds(best, rows, predictions):
    """The same where recipes have several seeds: normal and t distributions by simulation in place of the exact parts."""
    rng, means, variances = np.random.default_rng(0), [], []
    own = [rights(r, predictions).mean(1).var(ddof=1) if len(r["seeds"]) > 1 else 0.0 for r in rows]
    free = sum(len(r["seeds"]) - 1 for r in rows)
    pooled = sum(v * (len(r["seeds"]) - 1) for v, r in zip(own, rows, strict=True)) / free
    for v, r in zip(own, rows, strict=True):
        moves = r["method"] not in ("baseline", "frozen")
        means.append(rights(r, predictions).mean(0))
        variances.append(max(v, pooled) / len(r["seeds"]) if moves else 0.0)
    pairs = list(itertools.combinations(range(len(rows)), 2))
    moved = sum(variances[i] + variances[j] > 0 for i, j in pairs)
    largest = (
        np.abs(rng.normal(size=(40_000, moved))).max(1)
        / np.sqrt(rng.chisquare(free, 40_000) / free)
        * rng.choice([-1, 1], 40_000)
    )
    luck = rng.normal(size=40_000)
    p, added = [], []
    for i, j in pairs:
        d = means[i] - means[j]
        spread, gap = sqrt((d**2).sum()) / len(d), abs(d.mean())
        p.append(2 * norm.sf(gap / spread))
        seeds = sqrt(variances[i] + variances[j])
        added.append(max(0.0, (abs(spread * luck + seeds * largest) >= gap).mean() - p[-1]) if seeds else 0.0)
    corrected = dict(zip(pairs, multipletests(p, method="holm")[1] + np.array(added), strict=True))
    at = rows.index(best)
    return {r["run_id"]: corrected[min(at, j), max(at, j)] for j, r in enumerate(rows) if j != at}


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)
def test_the_sentences_are_true(folder):
    _, predictions, board = read(folder)
    rows = [r for r in board if r["rank"]]
    sentences = answer(board, predictions)
    accuracy = {
        r["run_id"]: np.mean(
            [accuracy_score(predictions[n]["label"], predictions[n]["prediction"]) for n in r["run_ids"]]
        )
        for r in rows
    }
    best = max(rows, key=lambda r: accuracy[r["run_id"]])
    n, mean = len(predictions[best["run_id"]]), accuracy[best["run_id"]]
    low, high = proportion_confint(mean * n, n, method="wilson")
    assert best is rows[0] and np.allclose(best["value_ci95"], (low, high), atol=1e-9)
    several = any(len(r["seeds"]) > 1 for r in rows)
    named = {r["run_id"] for r in rows if f"{run_label(r)} ({accuracy[r['run_id']]:.3f})" in sentences[1]}
    if several:
        theirs = of_seeds(best, rows, predictions)
        sure = {name for name, p in theirs.items() if p >= 0.06}
        assert sure <= named <= {name for name, p in theirs.items() if p >= 0.04}
    else:
        assert named == {r["run_id"] for r in tied_with(best, rows, predictions)}
    chosen = next(
        r for r in rows if sentences[0].startswith(f"Ship {run_label(r)}: accuracy {accuracy[r['run_id']]:.3f} (")
    )
    assert chosen is best or (
        chosen["run_id"] in named and f"not separable from the best, {run_label(best)} ({mean:.3f})" in sentences[0]
    )
    fast = min([best, *(r for r in rows if r["run_id"] in named)], key=lambda r: r["latency_median_ms"])
    assert f"the fastest of these is {run_label(fast)} with {fast['latency_median_ms']:.2f} ms." in sentences[1]
    if not several:
        share = np.median(
            [
                (rights(best, predictions) != rights(r, predictions)).mean()
                for r in rows
                if r is not best and not r["floor"]
            ]
        )
        shown = float(re.search(r"differences of (\d\.\d+) or more", sentences[2]).group(1))
        z = norm.ppf(1 - 0.025 / (len(rows) * (len(rows) - 1) // 2)) * sqrt(share) + norm.ppf(0.8) * sqrt(
            share - shown**2
        )
        assert (
            abs((z / shown) ** 2 / n - 1) < 0.25
        )  # the printed difference, rounded to two digits, needs about this many examples
    labels = predictions[best["run_id"]]["label"]
    assert f"is right on {max((labels == k).mean() for k in set(labels)):.0%} of these texts" in sentences[3]


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)
def test_recommendation_is_what_the_answer_ships_and_has_a_reason_for_every_other(folder):
    results, predictions, board = read(folder)
    found = recommend(results, predictions, {})
    rows = {r["run_id"]: r for r in board}
    first = [r for r in board if r["tie_group"] == 1 and r["above_floor"]]
    quick = [r["run_id"] for r in first if r["latency_median_ms"] <= 1.15 * min(r["latency_median_ms"] for r in first)]
    assert found.run_id == quick[0] and set(found.others) == set(rows) - {found.run_id}
    assert answer(board, predictions)[0].startswith(
        f"Ship {run_label(rows[found.run_id])}: "
    ) and found.label == run_label(rows[found.run_id])
    none = recommend(results, predictions, {"max_memory_mb": 1.0})
    assert none.run_id is None and none.nearest and not rows[none.nearest]["floor"]
    assert all("over 1 MB" in why for name, why in none.others.items() if not rows[name]["floor"])


@pytest.mark.skipif(len(PUBLISHED) < 2, reason="needs two published suites")
def test_several_datasets_stay_apart_and_are_compared_by_mean_ranks(tmp_path):
    suites = [f for f in PUBLISHED if f.name in ("quickstart", "sst2-minilm")]
    for file in (p for folder in suites for p in folder.glob("*--*") if p.suffix in (".json", ".parquet")):
        shutil.copy(file, tmp_path / file.name)
    board = [r for r in summarize(tmp_path, "both") if r["rank"]]
    assert len({r["test_set"] for r in board}) == 2 and sum(r["rank"] == 1 for r in board) == 2
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    common = set.intersection(
        *({r["run_id"].rsplit("--", 2)[0] for r in read(folder)[2] if r["rank"]} for folder in suites)
    )
    shown = set(
        re.findall(
            r"<td[^>]*>([^<]+)</td>\s*<td[^>]*>\d+\.\d\d</td>\s*<td[^>]*>0\.\d{3}</td>\s*<td[^>]*>0\.\d{3}</td>", page
        )
    )
    assert shown == {c.replace("--", " ") for c in common} and "Bayesian signed-rank" in page
