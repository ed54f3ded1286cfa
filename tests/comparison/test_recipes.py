"""Seeds of one recipe are one row, one rival and one test; a difference that their spread explains is none."""

import itertools

import numpy as np
import pytest
from made_up_runs import folder_of, made_up, read, refused, right_in

from senticompare.cli.main import run_command
from senticompare.comparison.answer import answer
from senticompare.comparison.budgets import corrected, seed_rows
from senticompare.comparison.choice import next_command
from senticompare.comparison.labels import run_label
from senticompare.comparison.leaderboard import leaderboard
from senticompare.comparison.recommend import recommend
from senticompare.statistics.exchange_test import exchange_p
from senticompare.statistics.paired_tests import holm_matrix, mcnemar, pairwise_mcnemar
from senticompare.statistics.seeds import corrected_p

LABELS = np.random.default_rng(0).integers(0, 3, 600)
LORA, FULL = {"method": "lora"}, {"method": "full"}


def lora(share, seed, **more):
    return made_up(LABELS, right_in(share, LABELS, seed), {**LORA, "seed": seed}, **more)


def test_seeds_are_one_row_named_by_the_best_on_validation():
    runs = [
        lora(0.80, 1, val_f1=0.70, ms=9.0),
        lora(0.84, 2, val_f1=0.90, ms=30.0),
        lora(0.88, 3, val_f1=0.80, ms=10.0),
    ]
    board = leaderboard(*read([*runs, made_up(LABELS, right_in(0.6, LABELS, 9), {})]))
    row = board[0]
    assert len(board) == 2 and row["seeds"] == [1, 2, 3] and row["run_ids"] == [r["run_id"] for r, _ in runs]
    assert row["run_id"].endswith("--s2"), "the best on validation, not the best on the test"
    assert (
        row["accuracy"] == pytest.approx(0.84)
        and row["accuracy_sd"] == pytest.approx(0.04)
        and row["latency_median_ms"] == 10.0
    )
    assert row["value_ci95"][0] < 0.84 < row["value_ci95"][1] and run_label(row) == "all-MiniLM-L6-v2 · lora (3 seeds)"
    assert seed_rows(board)[0]["least"] == 0.8 and seed_rows(board)[0]["most"] == 0.88


def test_seeds_are_no_rivals_of_each_other():
    """Holm corrects for pairs of recipes: four seeds of one do not make ten pairs."""
    runs = [lora(0.8, s) for s in (1, 2, 3, 4)] + [made_up(LABELS, right_in(0.7, LABELS, 9), {})]
    results, predictions = read(runs)
    board = leaderboard(results, predictions)
    assert corrected(board, predictions).shape == (2, 2) and len(board) == 2
    sentences = answer(board, predictions)
    assert "lora (4 seeds)" in sentences[0] and "(seed" not in " ".join(sentences)
    found = recommend(results, predictions, {})
    assert (
        found.run_id.startswith("all-MiniLM-L6-v2--lora")
        and found.label.endswith("(4 seeds)")
        and len(found.others) == 1
    )


def test_two_settings_are_two_recipes_with_two_names():
    runs = [lora(0.8, 1), made_up(LABELS, right_in(0.9, LABELS, 2), {**LORA, "seed": 2, "learning_rate": 0.01})]
    board = leaderboard(*read(runs))
    assert [r["seeds"] for r in board] == [[2], [1]] and len({run_label(r) for r in board}) == 2
    assert "learning rate 0.01" in run_label(board[0])


def test_a_refused_seed_stands_by_itself():
    (lost, frame), kept = lora(0.4, 2), lora(0.8, 1)
    board = leaderboard(*read([kept, (refused(lost, "answers only 'positive'"), frame)]))
    assert [run_label(r) for r in board] == ["all-MiniLM-L6-v2 · lora", "all-MiniLM-L6-v2 · lora (seed 2)"]


@pytest.mark.parametrize("seed", range(5))
def test_one_seed_each_is_mcnemar_to_the_last_bit(seed):
    shares = (0.9, 0.86, 0.8, 0.5)
    answers = [right_in(share, LABELS, 10 * seed + i)[None] for i, share in enumerate(shares)]
    theirs = holm_matrix(pairwise_mcnemar(np.concatenate(answers) == LABELS))
    assert (corrected_p(LABELS, answers, [True] * 4) == theirs).all()
    for a, b in itertools.combinations(answers, 2):
        assert exchange_p(LABELS, a, b, 3, "accuracy") == pytest.approx(
            mcnemar((a == LABELS)[0], (b == LABELS)[0]), rel=1e-9
        )


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "mcc"])
def test_exchange_of_several_seeds_is_what_all_swaps_give(metric):
    """Nine examples, two seeds against three: all 512 ways to swap an example's answers, one by one."""
    from senticompare.statistics.bootstrap import STATISTICS

    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 9)
    a, b = (np.where(rng.random((s, 9)) < q, y, rng.integers(0, 3, (s, 9))) for s, q in ((2, 0.9), (3, 0.4)))

    def matrix(shares):  # (9, 3) shares of answers -> confusion
        return np.stack([shares[y == k].sum(0) for k in range(3)])

    one, other = (np.stack([(g == k).mean(0) for k in range(3)], 1) for g in (a, b))
    found = []
    for swaps in itertools.product([False, True], repeat=9):
        s = np.array(swaps)[:, None]
        x, z = matrix(np.where(s, other, one)), matrix(np.where(s, one, other))
        found.append(abs(float(STATISTICS[metric](x) - STATISTICS[metric](z))))
    expected = np.mean(np.array(found) >= found[0] - 1e-12)
    assert exchange_p(y, a, b, 3, metric) == pytest.approx(expected, abs=1e-9)


def seeds_around(share, spread, seed, n=3):
    return np.stack(
        [right_in(share + luck, LABELS, 100 * seed + i) for i, luck in enumerate(np.linspace(-spread, spread, n))]
    )


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "mcc"])
def test_a_difference_that_the_spread_of_seeds_explains_is_none(metric):
    still = right_in(0.70, LABELS, 5)[None]
    calm, wild = seeds_around(0.80, 0.003, 1), seeds_around(0.80, 0.09, 2)
    p_calm, p_wild = (corrected_p(LABELS, [a, still], [True, False], metric, 2000)[0, 1] for a in (calm, wild))
    assert p_calm < 0.05 < p_wild
    assert exchange_p(LABELS, wild, still, 3, metric, 2000) < 1e-4, (
        "the examples alone would have called it a difference"
    )


def test_one_run_borrows_the_spread_of_the_others():
    lone, wild = right_in(0.80, LABELS, 7)[None], seeds_around(0.70, 0.09, 2)
    assert (
        corrected_p(LABELS, [lone, wild], [True, True])[0, 1]
        > 0.05
        > corrected_p(LABELS, [lone, wild[1:2]], [True, True])[0, 1]
    )
    still = right_in(0.5, LABELS, 8)[None]  # a baseline has none to borrow: only the other's spread counts
    both, one = (corrected_p(LABELS, [lone, still, wild], [v, False, True]) for v in (True, False))
    assert both[0, 1] > one[0, 1]


def test_a_third_recipe_with_seeds_does_not_break_exact_pairs():
    """Baselines cannot vary: what is between them stays McNemar's, whoever else has seeds."""
    a, b, wild = right_in(0.8, LABELS, 1)[None], right_in(0.7, LABELS, 2)[None], seeds_around(0.75, 0.05, 3)
    p = corrected_p(LABELS, [a, b, wild], [False, False, True])
    assert p[0, 1] <= 3 * mcnemar((a == LABELS)[0], (b == LABELS)[0]) * (1 + 1e-9)


def test_the_level_holds_and_power_is_left():
    """Five equal recipes, two sources of luck: an error in at most 5 % of boards; ten points are found where seeds are calm."""
    rng, n, wrong, found = np.random.default_rng(3), 400, 0, 0
    varies = [True, True, True, False, False]
    for _ in range(150):
        y, easy = rng.integers(0, 2, n), rng.beta(4.5, 2, n)

        def trained(sd, seeds, gap, y=y, easy=easy):
            own = rng.normal(0, 0.15, n)
            return np.stack(
                [
                    np.where(rng.random(n) < np.clip(easy + own + luck - gap, 0, 1), y, 1 - y)
                    for luck in rng.normal(0, sd, seeds)
                ]
            )

        equal = [trained(sd, s, 0) for sd, s in ((0.03, 3), (0.03, 3), (0.03, 1), (0, 1), (0, 1))]
        wrong += corrected_p(y, equal, varies).min() < 0.05
        pair = [trained(0.003, 3, 0), trained(0, 1, 0.15)]
        found += corrected_p(y, pair, [True, False])[0, 1] < 0.05
    assert wrong <= 13 and found >= 90, (wrong, found)  # 13 of 150: beyond it 5 % would be a rare accident


def test_the_next_command_uses_or_makes_the_checkpoint(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path / "home"))
    run, frame = made_up(
        LABELS, right_in(0.9, LABELS, 1), {**LORA, "seed": 3, "lora_r": 16, "train_size": 300, "skip_bad_rows": True}
    )
    folder = folder_of(tmp_path / "reports", [(run, frame)])
    train = "senticompare train --model all-MiniLM-L6-v2 --dataset texts.csv --method lora --seed 3 --skip-bad-rows --train-size 300 --set lora_r=16"
    assert next_command(run) == train
    assert run_command(["recommend", "--reports", str(folder)]) == 0
    assert train in capfd.readouterr().out
    checkpoint = tmp_path / "home" / "checkpoints" / f"{run['run_id']}-{run['spec_hash']}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "senticompare.json").write_text("{}")
    assert run_command(["recommend", "--reports", str(folder)]) == 0
    out = capfd.readouterr().out
    assert (
        f"Checkpoint: {checkpoint}" in out and f"Next: senticompare predict --checkpoint {checkpoint} 'a text'" in out
    )
    found = recommend([run], {run["run_id"]: frame}, {})
    assert (
        found.checkpoint == str(checkpoint)
        and found.next.startswith("senticompare predict")
        and found.interval
        and found.warnings == []
    )
