"""The dashboard in a real browser, on a suite whose texts are hostile: sliders re-rank, filters filter, nothing executes, no errors on the console."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from senticompare.dashboard import by_weights, load_suite
from senticompare.plots import run_label

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
MISSING = [name for name in ("voila", "playwright", "anywidget") if find_spec(name) is None] + ([] if CHROMIUM else ["Chromium"])
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the dashboard's browser test needs {', '.join(MISSING)} (Debian: apt install chromium)")

HOSTILE = [
    "<script>window.hacked = 1</script> it broke at once",
    '<img src=x onerror="window.hacked = 2"> lovely little thing',
    '=HYPERLINK("http://example.invalid","good") I love it',
    "@SUM(1+1)*cmd|' /C calc'!A0 terrible",
    "\u202eesrever ni nettirw\u202c fine",
    "🙂🙃👍🏽 great 👨‍👩‍👧‍👦",
    "</textarea></td></table><svg onload=window.hacked=3> awful",
    "$$\\href{javascript:window.hacked=4}{x}$$ `bad` **worse** [link](javascript:window.hacked=5)",
    "long " * 200_000,  # a megabyte in one line
]
NAMES = "table.senticompare-ranking tbody tr td:nth-child(2)"
# A font that Voilà's own page asks a CDN for: without a network it is missing, and nothing else.
HARMLESS = ("fontawesome", "ERR_NAME_NOT_RESOLVED", "ERR_INTERNET_DISCONNECTED", "favicon")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Two TF-IDF runs on texts of which every third is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["text", "label"])
        for i in range(90):
            text = f"{HOSTILE[i // 3 % len(HOSTILE)]} {i}" if i % 3 == 0 else f"{'wonderful and good' if i % 2 else 'awful and bad'} number {i}"
            out.writerow([text, "<b>pos</b>" if i % 2 else "=neg"])
    call = [sys.executable, "-c", "from senticompare.cli import main; main()"]
    suite = {"defaults": {"dataset": "texts.csv", "truncation_limit": 1.0}, "runs": [{"model": "tfidf", "method": "baseline", "head": ["linear", "xgboost"]}]}
    (folder / "hostile.yaml").write_text(json.dumps(suite))
    env = {**os.environ, "SENTICOMPARE_HOME": str(folder / "home")}
    done = subprocess.run([*call, "benchmark", "--suite", "hostile.yaml"], cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(reports):
    """The served dashboard of the hostile suite."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-c", "from senticompare.cli import main; main()", "dashboard", "--reports", "reports/hostile", "--port", str(port)]
    env = {**os.environ, "SENTICOMPARE_HOME": str(reports / "home")}
    server = subprocess.Popen(command, cwd=reports, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    url = f"http://127.0.0.1:{port}/"
    for _ in range(120):
        try:
            urlopen(url + "voila/static/voila.js", timeout=5).close()
            break
        except OSError as e:
            if getattr(e, "code", None):  # it answers, whatever it says
                break
            assert server.poll() is None, "the server ended"
            time.sleep(0.5)
    yield url
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(timeout=30)


def watch(browser):
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" and not any(h in m.text + str(m.location) for h in HARMLESS) else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("dialog", lambda d: errors.append(d.message))
    return page, errors


def open_dashboard(browser, address):
    page, errors = watch(browser)
    page.goto(address, timeout=180_000)
    page.wait_for_selector("table.senticompare-ranking", timeout=180_000)
    return page, errors


def ranking(page):
    return page.locator(NAMES).all_inner_texts()


def weigh(page, name, value):
    box = page.locator(".widget-slider", has_text=name).locator(".widget-readout")
    box.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(str(value))
    page.keyboard.press("Enter")


def test_sliders_rerank_and_filters_filter(browser, address, reports):
    page, errors = open_dashboard(browser, address)
    rows = load_suite(reports / "reports/hostile").rows
    for weights in ({"latency": 1.0}, {"size": 1.0}, {"f1_macro": 1.0}):
        for name in ("accuracy", "f1_macro", "throughput", "latency", "size"):
            weigh(page, name, weights.get(name, 0.0))
        expected = [run_label(r) for r, _ in by_weights(rows, weights)]
        page.wait_for_function("([q, t]) => document.querySelector(q)?.innerText === t", arg=[NAMES, expected[0]])
        assert ranking(page) == expected
    page.locator("select").nth(0).select_option("xgboost")
    page.wait_for_function("() => document.querySelectorAll('table.senticompare-ranking tbody tr').length === 1")
    assert "xgboost" in ranking(page)[0]
    assert not errors
    page.close()


def test_hostile_texts_stay_text(browser, address):
    page, errors = open_dashboard(browser, address)
    page.get_by_role("tab", name="Trade-off").click()
    page.wait_for_selector(".plotly .main-svg")
    page.get_by_role("tab", name="Predictions").click()
    page.get_by_role("button", name="all").click()
    page.wait_for_selector("text=window.hacked")
    page.get_by_role("tab", name="Two runs").click()
    page.get_by_role("tab", name="Try a text").click()
    page.get_by_placeholder("Type a text").fill('<img src=x onerror="window.hacked = 9"> wonderful')
    page.get_by_role("button", name="Ask").click()
    page.wait_for_selector(".senticompare-table:visible td:has-text('tfidf')")
    assert page.evaluate("window.hacked") is None and not errors
    page.close()


def test_hostile_texts_in_files(browser, reports):
    suite = reports / "reports/hostile"
    for notebook in suite.glob("*.ipynb"):
        pages = reports / "reports/pages"  # beside the suite, as ../plotly.min.js is asked for
        convert = [sys.executable, "-m", "nbconvert", "--to", "html", str(notebook), "--output-dir", str(pages)]
        subprocess.run(convert, check=True, capture_output=True)
    for path in [suite / "summary.html", *(reports / "reports/pages").glob("*.html")]:
        page, errors = watch(browser)
        page.goto(path.as_uri(), timeout=120_000, wait_until="domcontentloaded")
        page.wait_for_timeout(1500)
        assert page.evaluate("window.hacked") is None, path.name
        assert not [e for e in errors if "require" not in e and "MathJax" not in e], path.name  # nbconvert's own page loads these from a CDN
        page.close()
    cells = [c for row in csv.reader((suite / "leaderboard.csv").open()) for c in row]
    assert not [c for c in cells if c[:1] in "=+@" and c]
    assert Path(suite / "summary.html").stat().st_size < 6_000_000
