"""88, 8 and 4 %: where one class holds nearly all texts, accuracy is not the measure, and the majority class is a floor, not a model."""

import json

import numpy as np
import pytest
from made_up_runs import CLASSES, folder_of, made_up, read, refused, right_in

from senticompare.cli.main import run_command
from senticompare.comparison.answer import answer
from senticompare.comparison.budgets import why_metric
from senticompare.comparison.leaderboard import leaderboard
from senticompare.comparison.recommend import recommend
from senticompare.comparison.ties import rank_results, ranking_metric
from senticompare.measure.gates import GATE_WORDS, gate, gate_rows, not_collapsed, refusal

LABELS = np.repeat([2, 0, 1], [440, 40, 20])  # positive, negative, neutral
TFIDF, MAJORITY = {"model": "tfidf", "method": "baseline"}, {"model": "majority", "method": "baseline"}


def useful():
    """Somewhat less accurate than a constant, but right on half of the rare texts."""
    found = LABELS.copy()
    found[:75] = np.resize([0, 1], 75)
    found[440:460] = 2
    return found


def nearly_constant():
    found = np.full(500, 2)
    found[440:443] = 0
    return found


def runs():
    return [
        made_up(LABELS, useful(), {}, ms=4.0), made_up(LABELS, nearly_constant(), TFIDF, ms=0.3), made_up(LABELS, np.full(500, 2), MAJORITY, ms=0.003),
    ]  # fmt: skip


def test_the_metric_is_chosen_by_the_texts():
    results, predictions = read(runs())
    assert ranking_metric(results) == "f1_macro" and rank_results(results)[0]["spec"]["method"] == "frozen"
    even = np.repeat(range(3), 100)
    assert ranking_metric([made_up(even, even, {})[0]]) == "accuracy"
    board = leaderboard(results, predictions)
    assert {r["metric"] for r in board} == {"f1_macro"} and board[0]["value"] == board[0]["f1_macro"]
    assert (
        [r["floor"] for r in board] == [False, False, True]
        and board[0]["majority_share"] == 0.88
        and board[0]["majority_class"] == "positive"
    )
    assert (
        why_metric(board)
        == "88% of the test texts are positive, so accuracy says little: ranked by macro-F1, in which every class weighs the same."
    )
    by_accuracy = leaderboard(results, predictions, "accuracy")
    assert "always answering positive has 0.880" in why_metric(by_accuracy) and by_accuracy[0]["model_name"] == "tfidf"


def test_recommend_does_not_ship_the_majority_class(tmp_path, capfd):
    folder = folder_of(tmp_path / "messy", runs())
    assert run_command(["recommend", "--reports", str(folder)]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("Ship all-MiniLM-L6-v2 · frozen · linear: macro-F1 0.") and "ranked by macro-F1" in err
    assert "always answers positive: the floor that a model must beat" in out
    assert run_command(["recommend", "--reports", str(folder), "--metric", "accuracy"]) == 1
    out = capfd.readouterr().out
    assert out.startswith(
        "No model is worth shipping on this evidence: nothing that fits is separably better than always answering positive (0.880"
    )
    assert "the best so far is tfidf · linear, accuracy 0.886 (95 % interval" in out


def test_the_majority_class_is_never_the_nearest(tmp_path, capfd):
    folder = folder_of(tmp_path / "messy", runs())
    assert run_command(["recommend", "--reports", str(folder), "--max-latency-p95-ms", "0.01"]) == 1
    out = capfd.readouterr().out
    assert "Ship" not in out and "The nearest is tfidf · linear." in out


def test_what_cannot_be_told_from_the_floor_is_not_shipped():
    """The fastest of those tied with the best, but no better than a constant: it is not a candidate."""
    results, predictions = read(runs())
    found = recommend(results, predictions, {})
    assert (
        found.run_id.startswith("all-MiniLM")
        and "not separably better than always answering positive" in found.others["tfidf--baseline--linear--texts--s1"]
    )
    assert found.metric == "f1_macro" and found.interval[0] < found.value < found.interval[1]


def test_the_answer_says_what_a_constant_gets():
    results, predictions = read(runs())
    sentences = answer(leaderboard(results, predictions), predictions)
    assert (
        sentences[0].startswith("Ship all-MiniLM-L6-v2 · frozen · linear: macro-F1")
        and "ranked by macro-F1" in sentences[1]
    )
    assert sentences[-1] == "Always answering positive is right on 88% of these texts; 1 of 2 is separably better."
    assert not any("majority" in s for s in sentences)
    nothing = answer(leaderboard(*read(runs()[1:])), predictions)
    assert nothing[0].startswith(
        "No model is worth shipping on this evidence: none is separably better than always answering positive (0.880"
    )
    assert nothing[1].startswith("The best so far is tfidf · linear: macro-F1")


def test_the_floor_is_known_without_a_majority_run():
    with_it, without = (leaderboard(*read(some)) for some in (runs(), runs()[:2]))
    assert [r["above_floor"] for r in with_it] == [True, False, False] and [r["above_floor"] for r in without] == [
        True,
        False,
    ]


def test_the_interval_is_of_the_ranked_metric(tmp_path, capfd):
    folder = folder_of(tmp_path / "messy", runs())
    for metric in ("f1_macro", "mcc", "accuracy"):
        assert run_command(["compare", "--reports", str(folder), "--metric", metric, "--json"]) == 0
        for r in json.loads(capfd.readouterr().out):
            if r["value_ci95"]:
                assert r["value_ci95"][0] <= r["value"] <= r["value_ci95"][1], metric
                assert metric == "accuracy" or r["value_ci95"] != r["accuracy_ci95"]
    assert run_command(["compare", "--reports", str(folder)]) == 0
    head = next(line for line in capfd.readouterr().out.splitlines() if "rank" in line)
    assert [word.strip() for word in head.split("┃")[1:-1]][4:7] == [
        "macro-F1",
        "95 % interval",
        "accuracy",
    ] and "plausible ranks" in head


class _Splits:
    def __init__(self, labels):
        import pandas as pd

        self.classes, self.train = CLASSES, pd.DataFrame({"label": labels})


def test_a_collapse_names_imbalance():
    proba = np.tile([0.1, 0.1, 0.8], (30, 1))
    told = refusal({"not_collapsed": not_collapsed(proba, _Splits(LABELS))})
    assert told.startswith("answers only 'positive', which is 88% of the training texts: imbalance is the likely cause")
    assert "answered 1 class, at least 2" in told
    even = refusal({"not_collapsed": not_collapsed(proba, _Splits(np.repeat(range(3), 30)))})
    assert "imbalance" not in even and even.startswith(
        "answers only 'positive', which is 33% of the training texts: lower the learning rate"
    )


@pytest.mark.parametrize("name", GATE_WORDS)
def test_gates_speak_plain_words(name):
    outcome = {name: gate(False, 1, 0)}
    told = refusal(outcome).replace("truncation_limit", "")  # an option
    assert name not in told and "gate" not in told and "\n" not in told
    assert gate_rows(outcome)[0]["passed"] == "no" and gate_rows(outcome)[0]["check"]


def test_refused_runs_have_their_seeds(tmp_path, capfd):
    """Two equal rows 'all-MiniLM-L6-v2 · lora … refused' stood in the table."""
    lost = [made_up(LABELS, np.full(500, 2), {"method": "lora", "seed": s}) for s in (1, 2)]
    folder = folder_of(tmp_path / "messy", [*runs(), *((refused(r, "answers only 'positive'"), f) for r, f in lost)])
    assert run_command(["compare", "--reports", str(folder)]) == 0
    out = capfd.readouterr().out
    assert "all-MiniLM-L6-v2 · lora (seed 1)" in out and "all-MiniLM-L6-v2 · lora (seed 2)" in out
    assert run_command(["recommend", "--reports", str(folder)]) == 0
    assert "all-MiniLM-L6-v2 · lora (seed 2)" in capfd.readouterr().out


def test_licences_are_case_blind_and_told_as_written():
    results, predictions = read(
        [
            made_up(LABELS, useful(), {"model": "all-MiniLM-L6-v2"}),
            made_up(LABELS, useful(), {"model": "owner/model"}, ms=5.0),
        ]
    )
    found = recommend(results, predictions, {}, None, ["APACHE-2.0", "MIT"])
    assert (
        found.run_id.startswith("all-MiniLM")
        and found.others["model--frozen--linear--texts--s1"] == "licence not known is not among APACHE-2.0, MIT"
    )


def test_costs_are_told_for_a_million_texts():
    run, frame = made_up(LABELS, useful(), {})
    run["cost"] |= {"per_1k_queries_usd": 3.438e-05, "basis": "x"}
    assert "0.034 USD per million texts" in recommend([run], {run["run_id"]: frame}, {}).why
    over = recommend([run], {run["run_id"]: frame}, {"max_cost_per_1k": 1e-05})
    assert over.others[run["run_id"]] == "cost 0.03438 USD per million texts is over 0.01 USD per million texts"


def test_right_in_is_right():
    assert abs((right_in(0.9, LABELS, 0) == LABELS).mean() - 0.9) < 1e-9
