"""Statistics beside scipy, statsmodels and scikit-learn on 200 random cases and on the edges; the order of two runs never depends on a third."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats import contingency_tables, multitest, proportion

from senticompare.comparison.composite_score import SCALES, composite_score
from senticompare.statistics import bootstrap, exchange_test, paired_tests, several_datasets
from senticompare.statistics.intervals import wilson

KINDS = ("random", "identical", "all right", "all wrong", "one example", "extreme imbalance")


def case(number):
    rng = np.random.default_rng(number)
    kind = KINDS[number % len(KINDS)]
    n = 1 if kind == "one example" else int(rng.integers(2, 400))
    classes = int(rng.integers(2, 5))
    share = [0.995, *[0.005 / (classes - 1)] * (classes - 1)] if kind == "extreme imbalance" else None
    y = rng.choice(classes, n, p=share)
    runs = int(rng.integers(2, 6))
    guess = np.stack([np.where(rng.random(n) < q, y, rng.integers(0, classes, n)) for q in rng.uniform(0, 1, runs)])
    if kind == "identical":
        guess[:] = guess[0]
    if kind in ("all right", "all wrong"):
        guess[:] = y if kind == "all right" else (y + 1) % classes
    return y, guess, classes


@pytest.mark.parametrize("number", range(200))
def test_agreement(number):
    y, guess, classes = case(number)
    right = guess == y
    p = paired_tests.pairwise_mcnemar(right)
    for i, j in itertools.combinations(range(len(guess)), 2):
        a, b = right[i], right[j]
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        theirs = contingency_tables.mcnemar(table, exact=True).pvalue if (a != b).any() else 1.0
        assert abs(paired_tests.mcnemar(a, b) - theirs) < 1e-9 and abs(p[i, j] - theirs) < 1e-9
    above = np.triu_indices(len(p), 1)
    assert np.allclose(paired_tests.holm(p[above]), multitest.multipletests(p[above], method="holm")[1], atol=1e-9)
    for row in right:
        hits = int(row.sum())
        assert np.allclose(
            wilson(hits, len(y)), proportion.proportion_confint(hits, len(y), method="wilson"), atol=1e-9
        )
    for g in guess:
        m = sk.confusion_matrix(y, g, labels=range(classes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = (
                sk.accuracy_score(y, g),
                sk.f1_score(y, g, average="macro", zero_division=0),
                sk.matthews_corrcoef(y, g),
            )
        assert np.allclose([f(m) for f in bootstrap.STATISTICS.values()], theirs, atol=1e-9)
    resampled = {k: f(bootstrap.resampled_confusion(y, guess, classes, 200)) for k, f in bootstrap.STATISTICS.items()}
    for name, values in resampled.items():
        assert np.isfinite(values).all() and np.isfinite(bootstrap.chance_of_best(values)).all()
        p = exchange_test.pairwise_exchange(y, guess, classes, name, 200)
        assert ((p > 0) & (p <= 1)).all() and (p == p.T).all()
        m = sk.confusion_matrix(y, guess[0], labels=range(classes))
        if len(y) > 1:
            assert np.isfinite(
                bootstrap.bca_interval(
                    values[:, 0], float(bootstrap.STATISTICS[name](m)), bootstrap.jackknife_values(m, name)
                )
            ).all()
        assert (bootstrap.rank_intervals(values) >= 1).all() and (bootstrap.rank_intervals(values) <= len(guess)).all()


@pytest.mark.parametrize("number", range(24))
def test_exchanged_answers_are_scipys(number):
    y, guess, classes = case(number)
    y, (a, b) = y[:9], guess[:2, :9]
    for name, f in bootstrap.STATISTICS.items():

        def difference(one, other, f=f):
            return float(
                np.subtract(*f(np.stack([sk.confusion_matrix(y, g, labels=range(classes)) for g in (one, other)])))
            )

        theirs = (
            stats.permutation_test(
                (a, b), difference, permutation_type="samples", vectorized=False, n_resamples=np.inf
            ).pvalue
            if len(y) > 1
            else 1.0
        )
        assert abs(exchange_test.exchange_p(y, a, b, classes, name) - theirs) < 1e-9, name
        if name == "accuracy" and classes == 2:
            assert abs(theirs - paired_tests.mcnemar(a == y, b == y)) < 1e-9


@pytest.mark.parametrize("number", range(20))
def test_several_datasets(number):
    rng = np.random.default_rng(number)
    scores = rng.random((int(rng.integers(3, 12)), int(rng.integers(3, 7)))).round(1)
    if (np.ptp(scores, axis=1) > 0).any():
        assert abs(several_datasets.friedman(scores) - stats.friedmanchisquare(*scores.T).pvalue) < 1e-9
    assert np.allclose(several_datasets.mean_ranks(scores), pd.DataFrame(-scores).rank(axis=1).mean(), atol=1e-9)
    three = several_datasets.bayesian_signed_rank(scores[:, 0] - scores[:, 1], samples=500)
    assert abs(sum(three) - 1) < 1e-9


def test_bca_is_scipys():
    for seed in range(20):
        x = np.random.default_rng(seed).gamma(0.7, size=25)
        theirs = stats.bootstrap((x,), np.mean, method="BCa", n_resamples=500, rng=seed)
        left_out = (x.sum() - x) / (len(x) - 1)
        assert np.allclose(
            bootstrap.bca_interval(theirs.bootstrap_distribution, x.mean(), left_out),
            theirs.confidence_interval,
            atol=1e-9,
        )


def test_a_third_run_never_turns_two_others_around():
    rng = np.random.default_rng(0)
    fields = [field for field, *_ in SCALES.values()]
    for _ in range(300):
        rows = [dict(zip(fields, [*rng.random(3), *np.exp(rng.uniform(-5, 12, 5))], strict=True)) for _ in range(6)]
        weights = dict(zip(SCALES, rng.dirichlet(np.ones(len(SCALES))), strict=True))
        alone = composite_score(rows[0], weights) > composite_score(rows[1], weights)
        for size in range(2, 7):
            ranked = sorted(range(size), key=lambda i: -composite_score(rows[i], weights))
            assert (ranked.index(0) < ranked.index(1)) == alone
