"""What a user writes comes back visible, and a path that cannot be one is a single line."""

import pytest

from senticompare.base.errors import InputError
from senticompare.base.files import home, user_path
from senticompare.base.text import visible
from senticompare.cli.main import run_command
from senticompare.spec.run_spec import RunSpec


def test_control_characters_become_escapes():
    shown = visible("\x1b[31mred\x1b]0;title\x07 \u202eevil\ud800 caf\u00e9 \U0001f642\nnext")
    assert shown == r"\x1b[31mred\x1b]0;title\x07 \u202eevil\ud800 " + "caf\u00e9 \U0001f642 next"
    shown.encode("utf-8")


def test_nobodys_home_is_one_line(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"~nobody-here/y\.csv.*nobody's home"):
        user_path("~nobody-here/y.csv")
    monkeypatch.setenv("SENTICOMPARE_HOME", "~nobody-here/h")
    with pytest.raises(InputError, match="nobody's home"):
        home()
    assert run_command(["benchmark", "--methods", "baseline", "--dry-run"]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "~nobody-here/h" in lines[0]


def test_only_what_is_trained_or_augmented_varies_with_the_seed():
    assert not RunSpec(method="frozen").varies and not RunSpec(model="tfidf", method="baseline", head="xgboost").varies
    assert RunSpec(method="lora", head="linear").varies and RunSpec(method="frozen", augment=0.5).varies
