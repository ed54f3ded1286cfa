"""What people look at: the summary answers first and shows no empty section, each run has a page, hostile names stay text, a chart says what it misses."""

import json
import re
import shutil
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from senticompare.base.errors import InputError
from senticompare.base.files import bundled
from senticompare.cli.main import run_command
from senticompare.comparison.leaderboard import leaderboard
from senticompare.report.comparison_charts import quality_chart, tradeoff_chart
from senticompare.report.figures import NO_PLOTLY
from senticompare.report.pages import write_run_pages
from senticompare.report.paper import paper
from senticompare.report.tables import calibration_text
from senticompare.results.files import read_results
from senticompare.results.predictions import read_predictions
from senticompare.run.summary import summarize, summary_words

PUBLISHED = bundled("suites").parent / "reports" / "published" / "quickstart"
pytestmark = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published reports are not part of an installed package"
)
RUNS = ("tfidf--baseline--linear", "majority--baseline", "all-MiniLM-L6-v2--lora--classifier")
HOSTILE = "a\x1b[31mred</title><script>alert(1)</script>"


def copied(folder: Path, runs=RUNS) -> Path:
    folder.mkdir(parents=True)
    for run in runs:
        for path in PUBLISHED.glob(f"{run}*"):
            if path.suffix != ".html":  # made by what is tested
                shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A summary of three published runs, one of them made a refused one, under a hostile title."""
    folder = copied(tmp_path_factory.mktemp("pages") / "suite", (*RUNS, "all-MiniLM-L6-v2--frozen--xgboost"))
    path = next(folder.glob("*frozen*.json"))
    refused = {**json.loads(path.read_text()), "status": "refused", "error": "gates failed: not_collapsed 1 against 2"}
    path.write_text(json.dumps(refused))
    board = summarize(folder, HOSTILE, "The suite's own words.")
    return folder, (folder / "summary.html").read_text(encoding="utf-8"), board


def visible_text(page: str) -> str:
    body = page.split("<body>")[-1]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", " ", body, flags=re.S)))


def headings(page: str) -> list[str]:
    return [
        re.sub(r"<[^>]+>|¶", "", h)
        for h in re.findall(r"<h[123][^>]*>(.*?)</h[123]>", page[page.index("<body>") :], re.S)
    ]


def test_the_answer_stands_first(made):
    _, page, _ = made
    text = visible_text(page)
    title, ship = text.index("red&lt;"), text.index("Ship ")
    assert title < ship < text.index("Ranking") and text.index("The suite") > ship
    assert "40 % positive" in text and "reads no files" not in text
    assert "not ranked" in text and "not_collapsed" in text


def test_no_section_is_empty(made):
    _, page, _ = made
    shown = headings(page)
    assert {"Ranking", "Failed and refused"} <= set(shown) and any(
        h.startswith("The recommended run: tfidf") for h in shown
    )
    absent_here = (
        "Over several datasets",
        "As stated, and with equal budget",
        "Cost",
        "Seeds",
        "Beside the published figures",
        "Other backends",
    )
    for absent in absent_here:
        assert absent not in shown
    text = visible_text(page)
    for phrase in (
        "Neither was asked for",
        "This suite has none",
        "One seed each",
        "One dataset",
        "not spoken of",
        "(does no work)",
        "None.",
    ):
        assert phrase not in text
    assert "Not measured: cost, because no price" in text and "tokenizer" not in text


def test_the_recommended_run_is_shown_with_classes_and_mistakes(made):
    _, page, _ = made
    text = visible_text(page[page.index("The recommended run") :])
    assert re.search(r"class precision recall F1 test texts negative 0\.750 0\.533 0\.623 90", text)
    assert "Its most confident mistakes:" in text and "predicted class" in text


def test_every_run_has_a_page_that_leads_back(made):
    folder, page, _ = made
    for notebook in folder.glob("*--*.ipynb"):
        run_page = notebook.with_suffix(".html").read_text(encoding="utf-8")
        assert 'href="summary.html"' in run_page and f'href="{notebook.stem}.html"' in page
        assert (
            not re.search(r"""(src|href)=["']https?:""", run_page)
            and "require.js" not in run_page
            and NO_PLOTLY in run_page
        )
        assert len(run_page) < 200_000
    assert (folder.parent / "plotly.min.js").exists()


def test_pages_that_came_without_the_shared_script_get_it(tmp_path):
    """A fresh clone has the published pages, and no plotly.min.js beside them."""
    shutil.copytree(PUBLISHED, tmp_path / "suite")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "suite").glob("*--*.html")}
    assert sorted(write_run_pages(tmp_path / "suite")) == sorted(before) and before
    assert {p: p.stat().st_mtime_ns for p in before} == before and (tmp_path / "plotly.min.js").exists()


def test_pages_are_made_again_only_when_their_notebook_changed(made):
    folder, *_ = made
    pages = sorted(folder.glob("*--*.html"))
    before = [p.stat().st_mtime_ns for p in pages]
    summarize(folder, HOSTILE, "The suite's own words.")
    assert [p.stat().st_mtime_ns for p in pages] == before
    pages[0].unlink()
    summarize(folder, HOSTILE, "The suite's own words.")
    assert pages[0].exists() and [p.stat().st_mtime_ns for p in pages][1:] == before[1:]


def test_a_hostile_title_stays_text(made):
    folder, page, _ = made
    page = page.replace(get_plotlyjs(), "")
    assert "\x1b" not in page and "<script>alert" not in page and page.count("</title>") == 1
    assert page[: page.index("<body>")].count("<script") == 1
    assert summary_words(folder)["title"] == HOSTILE


def test_a_damaged_notebook_costs_its_page_only(tmp_path):
    folder = copied(tmp_path / "suite")
    next(folder.glob("tfidf*.ipynb")).write_text('{"cells": [')
    board = summarize(folder, "x")
    page = (folder / "summary.html").read_text(encoding="utf-8")
    assert len(board) == 3 and not list(folder.glob("tfidf*.html")) and list(folder.glob("majority*.html"))
    assert "Its mistakes cannot be shown" in page


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, capfd, monkeypatch):
    folder = copied(tmp_path / "suite")
    real = Path.write_text

    def refuses(self, *args, **kwargs):
        if self.name.startswith(".write-"):
            raise OSError(30, "Read-only file system", str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", refuses)
    assert run_command(["report", "--reports", str(folder)]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and str(folder) in err and "cannot be written" in err


def test_report_names_what_it_wrote_and_ranks_by_the_metric(tmp_path, capfd):
    folder = copied(tmp_path / "suite")
    assert run_command(["report", "--reports", str(folder), "--metric", "f1_macro"]) == 0
    out = capfd.readouterr().out
    for name in ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "summary.html", "paper.md"):
        assert str(folder / name) in out and (folder / name).exists()
    assert "a page for each run" in out
    board = json.loads((folder / "leaderboard.json").read_text())
    assert {r["metric"] for r in board if r["rank"]} == {"f1_macro"}
    text = visible_text((folder / "summary.html").read_text(encoding="utf-8"))
    assert "macro-F1 95 % interval" in text
    assert run_command(["report", "--reports", str(folder), "--metric", "f1macro"]) == 2
    assert "unknown metric 'f1macro'; did you mean 'f1_macro'" in capfd.readouterr().err


def test_charts_draw_the_ranked_metric_with_its_own_interval():
    results = read_results(PUBLISHED)
    rows = [r for r in leaderboard(results, read_predictions(PUBLISHED, results), "f1_macro") if r["rank"]]
    by_id = {r["run_id"]: r["quality"] for r in results}
    drawn = {
        name: (x, plus)
        for t in quality_chart(rows, 300).data
        for name, x, plus in zip(t.y, t.x, t.error_x.array, strict=True)
    }
    assert len(drawn) == len(rows)
    first = rows[0]
    value, plus = drawn[quality_chart(rows[:1], 300).data[0].y[0]]
    assert value == by_id[first["run_id"]]["f1_macro"] and plus == pytest.approx(first["value_ci95"][1] - value)
    assert (
        quality_chart(rows, 300).layout.xaxis.title.text
        == tradeoff_chart(rows, 300).layout.yaxis.title.text
        == "macro-F1"
    )


def test_names_of_slices_stay_text_in_the_paper():
    results = read_results(PUBLISHED)
    name = "a`<svg onload=alert(5)>`"
    for r in results:
        r["slices"] = {
            "category": {
                name: {"n": 40, "accuracy": 0.9, "ci95": [0.8, 0.95]},
                "b.c": {"n": 50, "accuracy": 0.5, "ci95": [0.4, 0.6]},
            }
        }
    text = paper(results, read_predictions(PUBLISHED, results), "mine")
    assert "<svg" not in text and "`" not in text and "onload" in text and "0.800–0.950" in text
    assert text.startswith("# Which model for reviews: mine\n") and "[^" not in text
    assert text.index("Ship") < text.index("## Results") < text.index("## Sources")


def test_more_than_the_limit_is_explained():
    limits = {"gemm_gflops": 100.0, "gemm_gflops_before": 99.0, "copy_gb_s": 50.0, "steady": True, "moved": 0.01}
    assert "104 % of it, because" in calibration_text({**limits, "share_of_limit": 1.04})
    assert "because" not in calibration_text({**limits, "share_of_limit": 0.55})


def test_no_reports_folder_is_made(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        summarize(tmp_path / "nowhere", "x")
    assert not (tmp_path / "nowhere").exists()


def test_stored_outputs_hold_no_terminal_codes():
    for path in [*bundled("templates").glob("*.ipynb"), *bundled("templates").glob("*/*.ipynb")]:
        assert "\\u001b[2K" not in path.read_text(encoding="utf-8"), path.name
