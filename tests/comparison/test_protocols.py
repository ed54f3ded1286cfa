"""Runs that were not trained and tested alike are never ranked together, and the reader is told why."""

import json

import numpy as np
import pytest
from made_up_runs import folder_of, made_up, read, right_in

from senticompare.cli.main import run_command
from senticompare.comparison.answer import answer
from senticompare.comparison.budgets import why_apart
from senticompare.comparison.leaderboard import group_rows, leaderboard
from senticompare.comparison.recommend import recommend
from senticompare.results.files import read_results
from senticompare.results.predictions import read_predictions

LABELS = np.repeat(range(3), 50)
TFIDF = {"model": "tfidf", "method": "baseline"}
MAJORITY = {"model": "majority", "method": "baseline"}
LORA = {"method": "lora"}


def answers(share, seed=0):
    return right_in(share, LABELS, seed)


def the_new_users_folder():
    """MiniLM on 300 texts, then the baselines anew on 60: what a second `benchmark --train-size 60` left."""
    always = np.zeros(150, dtype=int)
    return [
        made_up(LABELS, answers(0.92, 1), {}, 300),
        made_up(LABELS, answers(0.70, 2), TFIDF, 60, ms=0.5),
        made_up(LABELS, always, MAJORITY, 60, ms=0.001),
    ]


def test_two_sizes_of_training_stand_apart(tmp_path, capfd):
    folder = folder_of(tmp_path / "ow", the_new_users_folder())
    assert run_command(["compare", "--reports", str(folder), "--json"]) == 0
    out, err = capfd.readouterr()
    board = json.loads(out)
    assert [(r["rank"], r["train_size"]) for r in board] == [(1, 300), (1, 60), (2, 60)]
    assert [r["protocol"] for r in board] == [
        "300 training texts, 256 tokens",
        "60 training texts",
        "60 training texts",
    ]
    assert "Trained on 60 texts, the others on 300: not ranked together (tfidf · linear, majority)." in err


def test_recommend_never_compares_them(tmp_path, capfd):
    folder = folder_of(tmp_path / "ow", the_new_users_folder())
    assert run_command(["recommend", "--reports", str(folder)]) == 0
    out, err = capfd.readouterr()
    assert (
        out.startswith("Ship all-MiniLM-L6-v2 · frozen · linear: accuracy 0.920 (95 % interval 0.8")
        and "the only one that fits" in out
    )
    assert "not compared: another protocol (60 training texts; the" in out and "not ranked together" in err


def test_the_largest_group_is_answered_for():
    results, predictions = read(
        [*the_new_users_folder(), made_up(LABELS, answers(0.72, 3), {**TFIDF, "head": "xgboost"}, 60, ms=1.0)]
    )
    board = leaderboard(results, predictions)
    assert [len(rows) for rows in group_rows(board)] == [3, 1]
    assert "300" in why_apart(board)[0] and "Ship tfidf" in answer(board, predictions)[0]
    found = recommend(results, predictions, {})
    assert found.run_id.startswith("tfidf") and found.others["all-MiniLM-L6-v2--frozen--linear--texts--s1"].startswith(
        "not compared"
    )


def test_each_group_has_tests_of_its_own():
    """Holm's correction counts the pairs of a group, not those of the folder."""
    close = [answers(0.90, 1), answers(0.80, 2)]
    pair = [made_up(LABELS, close[0], {}), made_up(LABELS, close[1], LORA)]
    others = [made_up(LABELS, answers(0.5, s), {**LORA, "variant": f"v{s}"}, 60) for s in (3,)]
    alone, beside = (leaderboard(*read(runs)) for runs in (pair, pair + others))
    keys = ("rank", "tie_group", "rank_ci95", "chance_of_best", "above_floor")
    assert [[r[k] for k in keys] for r in alone] == [[r[k] for k in keys] for r in beside[:2]]


def test_another_text_limit_stands_apart_but_not_a_variant_and_not_a_baseline():
    runs = [
        made_up(LABELS, answers(0.9, 1), {"max_length": 256}), made_up(LABELS, answers(0.8, 2), {**LORA, "max_length": 64}),
        made_up(LABELS, answers(0.7, 3), {**LORA, "max_length": 32, "variant": "short"}), made_up(LABELS, answers(0.6, 4), {**TFIDF, "max_length": 17}),
    ]  # fmt: skip
    groups = group_rows(leaderboard(*read(runs)))
    assert [(rows[0]["max_length"], len(rows)) for rows in groups] == [(256, 3), (64, 3)]
    assert all(
        {r["variant"] for r in rows} == {"", "short"} and sum(r["model_name"] == "tfidf" for r in rows) == 1
        for rows in groups
    )
    assert why_apart([r for rows in groups for r in rows])[0].startswith(
        "Reads at most 64 tokens of a text, the others 256: not ranked together"
    )
    only_variants = [made_up(LABELS, answers(0.9, 1), {**LORA, "max_length": n, "variant": f"n{n}"}) for n in (32, 64)]
    assert len(group_rows(leaderboard(*read(only_variants)))) == 1


def test_noisy_copies_are_a_recipe_not_a_protocol():
    copies = [made_up(LABELS, answers(0.8, s), {**LORA, "augment": 0.5, "seed": s, "variant": "noisy"}) for s in (1, 2)]
    runs = [made_up(LABELS, answers(0.9, 5), LORA), *copies, made_up(LABELS, answers(0.7, 6), {"augment": 1.5}, 60)]
    groups = group_rows(leaderboard(*read(runs)))
    assert [[(r["seeds"], r["train_size"]) for r in rows] for rows in groups] == [
        [([1], 300), ([1, 2], 300)],
        [([1], 60)],
    ]


@pytest.mark.parametrize(
    "name, change",
    [
        ("validation", {"validation": 50}), ("the draw", {"spec": {**LORA, "data_seed": 3}, "fingerprint": "another draw"}),
        ("the rows", {"fingerprint": "cleaned otherwise"}),
    ],
)  # fmt: skip
def test_other_rows_stand_apart(name, change):
    spec = change.pop("spec", LORA) if "spec" in change else LORA
    runs = [made_up(LABELS, answers(0.9, 1), {}), made_up(LABELS, answers(0.8, 2), spec, **change)]
    board = leaderboard(*read(runs))
    assert len(group_rows(board)) == 2 and len({r["protocol"] for r in board}) == 2 and len(why_apart(board)) == 1, name


def test_old_results_still_read(tmp_path):
    """Results of earlier versions lack fields of the specification, the fingerprints of their inputs, the balance of their classes."""
    runs = [
        made_up(LABELS, answers(0.9, 1), {}),
        made_up(LABELS, answers(0.8, 2), LORA),
        made_up(LABELS, answers(0.7, 3), TFIDF),
    ]
    for run, _ in runs:
        for name in ("augment", "tune", "precision", "max_length", "truncation_limit"):
            del run["spec"][name]
        run["provenance"].pop("inputs")
        run["data"].pop("balance")
    folder = folder_of(tmp_path / "old", runs)
    results = read_results(folder)
    board = leaderboard(results, read_predictions(folder, results))
    assert [r["rank"] for r in board] == [1, 2, 3] and not why_apart(board) and len({r["protocol"] for r in board}) == 1


def test_other_test_texts_are_named_as_such():
    runs = [
        made_up(LABELS, answers(0.9, 1), {}),
        made_up(LABELS[:90], answers(0.8, 2)[:90], {**LORA, "dataset": "other.csv"}, fingerprint="other"),
    ]
    assert why_apart(leaderboard(*read(runs)))[0].startswith("Tested on other texts (")
