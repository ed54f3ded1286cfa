"""What the dashboard computes, on the published quickstart: the ranking of the other reports, counts of two runs, texts that are cut, skewed data."""

import numpy as np
import pytest
from scipy.stats import binomtest

from senticompare.base.files import bundled
from senticompare.cli.main import run_command
from senticompare.comparison.leaderboard_files import load_leaderboard
from senticompare.dashboard.examples import browse, differences, pair_counts, pair_html, shortened
from senticompare.dashboard.ranking import Markup, figures_of, ranking_html, table_html, weighted_html, weights_of
from senticompare.dashboard.suite import Suite, boards, load_suite, runs_of, suite_title

PUBLISHED = bundled("suites").parent / "reports" / "published" / "quickstart"


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite(PUBLISHED)


def test_the_first_order_is_that_of_every_other_report(suite):
    board = [r for r in load_leaderboard(PUBLISHED) if r["rank"]]
    assert [(r["run_id"], r["rank"], r["tie_group"]) for r in suite.rows] == [
        (r["run_id"], r["rank"], r["tie_group"]) for r in board
    ]
    assert suite_title(suite).startswith("quickstart · reviews") and "300 test texts" in next(
        iter(boards(suite).values())
    )


def test_counts_and_p_of_every_pair(suite):
    runs = [r["run_id"] for r in runs_of(suite, suite.rows)]
    for a in runs:
        for b in runs:
            one, other = (suite.predictions[r].sort_values("example_id") for r in (a, b))
            right, right_b = ((f["label"] == f["prediction"]).to_numpy() for f in (one, other))
            expected = [
                int(np.sum(x)) for x in (right & right_b, right & ~right_b, ~right & right_b, ~right & ~right_b)
            ]
            pair = pair_counts(suite, a, b)
            assert [pair.both, pair.only_a, pair.only_b, pair.neither] == expected
            apart = expected[1] + expected[2]
            assert pair.p == pytest.approx(binomtest(expected[1], apart).pvalue if apart else 1.0)
            assert differences(suite, a, b, "only A")[1] == expected[1] and differences(suite, a, b)[1] == apart


def test_right_and_wrong_are_marked_text_by_text(suite):
    a, b = suite.rows[0]["run_id"], suite.rows[1]["run_id"]
    table, _ = differences(suite, a, b, "only B")
    assert (
        (table["b"] == table["label"]).all()
        and (table["a"] != table["label"]).all()
        and table["right_b"].all()
        and not table["right_a"].any()
    )
    html = pair_html(pair_counts(suite, a, b), "<b>A</b>", "B")
    assert "McNemar" in html and "&lt;b&gt;A" in html


def test_texts_are_cut_where_a_word_ends(suite):
    page, _ = browse(suite, suite.rows[0]["run_id"])
    assert all(len(t) <= 402 for t in page["text"])
    for text in ("word " * 200, "x" * 5_000, "a b" * 300):
        cut = shortened(text)
        assert (
            cut.endswith(" …")
            and text.startswith(cut[:-2])
            and (cut[:-2] == text[:400].rstrip() or text[len(cut) - 2] == " ")
        )
    assert shortened("One star extra since it came early.") == "One star extra since it came early."


def test_no_column_and_no_slider_for_what_was_not_measured(suite):
    rows = [{**r, "cost_per_1k_texts_usd": None, "size_mb": None} for r in suite.rows]
    assert not {"USD per 1,000 texts", "disk MB"} & {*figures_of(rows), *weights_of(rows)}
    assert set(weights_of(suite.rows)) <= set(figures_of(suite.rows))
    assert {*weights_of([{**r, "cost_per_1k_texts_usd": 1e-4} for r in suite.rows])} >= {"USD per 1,000 texts"}


def test_a_floor_is_last_under_any_weights(suite):
    from senticompare.dashboard.suite import by_weights

    scored = by_weights(suite.rows, {"latency": 1.0, "throughput": 1.0, "memory": 1.0})
    assert scored[-1][0]["floor"] and not scored[0][0]["floor"]
    assert "&lt;0.01" not in weighted_html(scored[-1:]) and "&lt;0.01" not in ranking_html(suite.rows, "accuracy")


@pytest.mark.parametrize(("option", "value"), [("--port", "99999"), ("--port", "-1"), ("--host", "nosuch.invalid")])
def test_what_cannot_be_listened_on_is_one_line(option, value, capsys):
    assert run_command(["dashboard", "--reports", str(PUBLISHED), option, value]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: option {option}: ") and said.err.count("\n") == 1 and not said.out


def test_whatever_a_report_holds_is_text():
    assert "<script>" not in table_html(["<script>"], [["<script>"]]) and "<b>" in table_html(
        ["a"], [[Markup("<b>x</b>")]]
    )
