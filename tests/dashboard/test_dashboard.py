"""The dashboard as it is served: who may come in, what it reads, which kernels it leaves; and in a real browser, on a suite whose texts are hostile."""

import csv
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from nbconvert import HTMLExporter

from senticompare.comparison.labels import run_label
from senticompare.dashboard.examples import pair_counts
from senticompare.dashboard.ranking import weights_of
from senticompare.dashboard.suite import by_weights, load_suite

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SERVER = [name for name in ("voila", "ipywidgets", "anywidget") if find_spec(name) is None]
BROWSER = [*SERVER, *(["playwright"] if find_spec("playwright") is None else []), *([] if CHROMIUM else ["Chromium"])]
pytestmark = pytest.mark.skipif(bool(SERVER), reason=f"the dashboard needs {', '.join(SERVER)}")

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
MODULES = ("voila", "numpy", "pandas", "tornado", "ipywidgets", "plotly", "ipykernel")
SETTINGS = ("jupyter_server_config", "jupyter_config", "voila_config", "ipython_config")
NAMES = "table.sc-ranking tbody tr td:nth-child(2) .sc-name"
IDLE_S = 6
COMMAND = [
    sys.executable,
    "-c",
    "import sys; sys.path[:] = [p for p in sys.path if p]; from senticompare.cli.main import main; main()",
]  # as the installed command


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Two TF-IDF runs on texts of which every third is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["text", "label"])
        for i in range(90):
            text = (
                f"{HOSTILE[i // 3 % len(HOSTILE)]} {i}"
                if i % 3 == 0
                else f"{'wonderful and good' if i % 2 else 'awful and bad'} number {i}"
            )
            out.writerow([text, "<b>pos</b>" if i % 2 else "=neg"])
    suite = {
        "defaults": {"dataset": "texts.csv", "truncation_limit": 1.0},
        "runs": [{"model": "tfidf", "method": "baseline", "head": ["linear", "xgboost"]}],
    }
    (folder / "hostile.yaml").write_text(json.dumps(suite))
    env = {**os.environ, "SENTICOMPARE_HOME": str(folder / "home")}
    done = subprocess.run(
        [*COMMAND, "benchmark", "--suite", "hostile.yaml"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def server(reports):
    """The served dashboard: its process and the address that it printed. Its working folder is full of what must not be run or read."""
    for name in (*MODULES, *SETTINGS):
        (reports / f"{name}.py").write_text(f"open({str(reports / 'ran')!r}, 'a').write({name!r})\n")
    for name in ("voila", "jupyter_config", "jupyter_server_config"):
        (reports / f"{name}.json").write_text(
            json.dumps({"VoilaConfiguration": {"file_allowlist": [".*"], "file_denylist": []}})
        )
    env = {**os.environ, "SENTICOMPARE_HOME": str(reports / "home"), "SENTICOMPARE_DASHBOARD_IDLE_S": str(IDLE_S)}
    command = [*COMMAND, "dashboard", "--reports", "reports/hostile", "--port", "0"]
    with subprocess.Popen(
        command, cwd=reports, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        said = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said)
        assert url, said + process.stdout.read()
        yield process, url[0]
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(timeout=30) == 0 and process.stdout.read() == ""
    assert not psutil.wait_procs(children, timeout=20)[1] and not (reports / "ran").exists()


@pytest.fixture(scope="module")
def browser():
    if BROWSER:
        pytest.skip(f"needs {', '.join(BROWSER)} (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        found = p.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        yield found
        found.close()


def asked(url, path="/", token=True, **headers):
    """Status and headers of a request; the token is the last part of the address."""
    host, token_of = re.fullmatch(r"http://([^/]+)/\?token=(.+)", url).groups()
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(
        "GET", path + ("?token=" + token_of if token is True else f"?token={token}" if token else ""), headers=headers
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def kernels(process):
    """Command lines of the kernels of the server that are alive."""
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it ended in this moment
            found.append(" ".join(child.cmdline()))
    return [line for line in found if "launch_new_instance" in line]


def test_nobody_without_the_token(server):
    _, url = server
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    channels = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
    for path, headers in (
        ("/", {}),
        ("/api/kernels", {}),
        ("/voila/static/voila.js", {}),
        ("/login", {}),
        (channels, upgrade),
        ("/voila/files/x.png", {}),
    ):
        assert asked(url, path, token=None, **headers).status == 403, path
        assert asked(url, path, token="wrong", **headers).status == 403, path
    assert asked(url, "/voila/static/voila.js").status == 200
    cookie = asked(url, "/").headers["Set-Cookie"]
    name, value = cookie.split(";")[0].split("=", 1)
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert asked(url, "/voila/static/voila.js", token=None, Cookie=f"{name}={value}").status == 200
    assert asked(url, "/voila/static/voila.js", token=None, Cookie=f"{name}={value[:-6]}0000").status == 403


def test_nobody_under_another_name(server):
    _, url = server
    port = re.search(r":(\d+)/", url)[1]
    for host in (f"evil.example:{port}", "evil.example", "127.0.0.1", f"127.0.0.1.evil.example:{port}", "127.0.0.1:1"):
        for path in ("/", "/voila/static/voila.js", "/api/kernels"):
            assert asked(url, path, Host=host).status == 403, (host, path)
    assert asked(url, "/voila/static/voila.js", Host=f"localhost:{port}").status == 200


def test_foreign_origin_cannot_reach_a_kernel(server):
    process, url = server
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    name, value = asked(url, "/").headers["Set-Cookie"].split(";")[0].split("=", 1)
    kernel = next(re.search(r"kernel-([\w-]+)\.json", line)[1] for line in kernels(process))
    assert (
        asked(
            url,
            f"/api/kernels/{kernel}/channels",
            token=None,
            Cookie=f"{name}={value}",
            Origin="http://evil.example",
            **upgrade,
        ).status
        == 403
    )


def test_nothing_of_the_working_folder_is_run_or_served(server, reports):
    _, url = server
    assert asked(url, "/").status == 200
    for path in ("texts.csv", "numpy.py", "x.txt", "../texts.csv", "%2e%2e/texts.csv", "dashboard.ipynb"):
        assert asked(url, f"/voila/files/{path}").status in (403, 404), path
    assert not (reports / "ran").exists()


@pytest.fixture
def window(browser):
    """A window of its own for each test; all its pages are closed afterwards, whatever came of it."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000})
    yield context
    context.close()


def watch(window):
    page = window.new_page()
    errors = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on("dialog", lambda d: errors.append(d.message))
    return page, errors


def open_dashboard(window, server):
    page, errors = watch(window)
    here = server[1].split("?")[0]
    page.on(
        "request", lambda r: errors.append(r.url) if not r.url.startswith((here, f"blob:{here}", "data:")) else None
    )
    page.goto(server[1], timeout=180_000)
    page.wait_for_selector("table.sc-ranking", timeout=180_000)
    return page, errors


def ranking(page):
    return page.locator(NAMES).all_inner_texts()


def weigh(page, name, value):
    box = page.locator(".widget-slider", has_text=name).locator(".widget-readout")
    box.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(str(value))
    page.keyboard.press("Enter")


def test_order_of_the_other_reports_first_then_weights_and_filters(window, server, reports):
    page, errors = open_dashboard(window, server)
    suite = load_suite(reports / "reports/hostile")
    assert (
        page.title() == "hostile · texts"
        and page.locator("h1").inner_text() == "hostile"
        and "texts" in page.locator(".sc-head").inner_text()
    )
    assert ranking(page) == [run_label(r) for r in suite.rows]
    page.get_by_role("button", name="my weights").click()
    page.wait_for_selector("table.sc-ranking th:has-text('score')")
    sliders = page.locator(".widget-slider .widget-label").all_inner_texts()
    assert sliders == list(weights_of(suite.rows)) and set(sliders) <= set(
        page.locator("table.sc-ranking th").all_inner_texts()
    )
    for chosen in ("p50 ms", "disk MB", "macro-F1"):
        for name in sliders:
            weigh(page, name, float(name == chosen))
        expected = [run_label(r) for r, _ in by_weights(suite.rows, {weights_of(suite.rows)[chosen]: 1.0})]
        page.wait_for_function("([q, t]) => document.querySelector(q)?.innerText === t", arg=[NAMES, expected[0]])
        assert ranking(page) == expected
    page.get_by_text("Filters").click()
    page.get_by_role("button", name="xgboost").click()
    page.wait_for_function("() => document.querySelectorAll('table.sc-ranking tbody tr').length === 1")
    assert "xgboost" in ranking(page)[0] and not errors


def test_hostile_texts_stay_text_and_nothing_is_fetched_from_elsewhere(window, server, reports):
    page, errors = open_dashboard(window, server)
    page.get_by_role("tab", name="Trade-off").click()
    page.wait_for_selector(".plotly .main-svg")
    page.get_by_role("tab", name="Predictions").click()
    page.get_by_role("button", name="all").click()
    page.wait_for_selector("text=window.hacked")
    assert all(len(t) < 450 for t in page.locator(".sc-texts td:first-child").all_inner_texts())
    page.get_by_role("tab", name="Two runs").click()
    page.wait_for_selector("text=McNemar")
    suite = load_suite(reports / "reports/hostile")
    pair = pair_counts(suite, *(r["run_id"] for r in suite.rows))
    counts = [int(re.search(r"\d+$", t)[0]) for t in page.locator(".sc-keys li").all_inner_texts()]
    assert counts == [pair.both, pair.only_a, pair.only_b, pair.neither]
    assert page.evaluate("window.hacked") is None and not errors


def test_an_answer_goes_with_its_question(window, server):
    page, errors = open_dashboard(window, server)
    page.get_by_role("tab", name="Try a text").click()
    box, ask = page.get_by_placeholder("Type a text"), page.get_by_role("button", name="Ask")
    box.fill('<img src=x onerror="window.hacked = 9"> wonderful')
    ask.click()
    page.wait_for_function("() => document.querySelectorAll('.sc-answers .sc-best').length === 2")
    box.fill("")
    ask.click()
    page.wait_for_selector("text=Type a text first")
    assert page.locator(".sc-answers").count() == 0 and page.evaluate("window.hacked") is None and not errors


OUTSIDE = """() => [...document.querySelectorAll('.senticompare :is(input, select, textarea, button)')].filter(e => e.offsetParent)
    .filter(e => e.getBoundingClientRect().right > 391 || e.getBoundingClientRect().left < 0).map(e => e.outerHTML)"""
CUT = "e => [...e.querySelectorAll('*'), e].some(x => x.clientWidth && x.scrollWidth > x.clientWidth + 1)"


def test_a_telephone_shows_every_control(window, server):
    page, _ = open_dashboard(window, server)
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_text("Filters").click()
    for name in ("Ranking", "Trade-off", "Two runs", "Predictions", "Try a text"):
        tab = page.get_by_role("tab", name=name)
        tab.click()
        page.wait_for_timeout(400)
        assert not tab.evaluate(CUT), name
        assert page.evaluate("document.querySelector('#rendered_cells').scrollWidth") <= 390
        assert page.evaluate(OUTSIDE) == [], name


def wait_for_kernels(process, most, seconds):
    """Kernels that are left, at most `seconds` after now."""
    end = time.monotonic() + seconds
    while len(kernels(process)) > most and time.monotonic() < end:
        time.sleep(0.2)
    return len(kernels(process))


def test_kernels_end_with_their_pages(window, server):
    process, _ = server
    first, _ = open_dashboard(window, server)
    time.sleep(IDLE_S + 3)  # the kernel that stands ready is older than the idle time now, and so is the first page's
    second, errors = open_dashboard(window, server)
    third, _ = open_dashboard(window, server)
    second.goto("about:blank")
    third.close()  # without a goodbye, as a browser that crashed
    assert wait_for_kernels(process, 2, IDLE_S + 20) <= 2  # the first page's, and the one that stands ready
    first.get_by_role("tab", name="Two runs").click()
    first.wait_for_selector("text=McNemar")
    assert not errors and not first.locator("#sc-lost").is_visible()
    first.close()
    assert wait_for_kernels(process, 0, IDLE_S + 15) == 0


def test_hostile_texts_in_files(window, reports):
    suite = reports / "reports/hostile"
    pages = reports / "reports/pages"  # beside the suite, as ../plotly.min.js is asked for
    pages.mkdir()
    for notebook in suite.glob("*.ipynb"):
        (pages / f"{notebook.stem}.html").write_text(HTMLExporter().from_filename(str(notebook))[0], encoding="utf-8")
    for path in [suite / "summary.html", *pages.glob("*.html")]:
        page, errors = watch(window)
        page.goto(path.as_uri(), timeout=120_000, wait_until="domcontentloaded")
        page.wait_for_timeout(1500)
        assert page.evaluate("window.hacked") is None, path.name
        away = ("require", "MathJax", "ERR_")  # nbconvert's own page loads these from a CDN
        assert not [e for e in errors if not any(word in e for word in away)], path.name
        cells = [c for row in csv.reader((suite / "leaderboard.csv").open()) for c in row]
    assert not [c for c in cells if c[:1] in "=+@" and c]
    assert Path(suite / "summary.html").stat().st_size < 6_000_000
