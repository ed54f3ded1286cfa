"""A library leaves the process it is imported into as it found it: log levels, warning filters, the Hub's switch."""

import logging
import os
import socket
import subprocess
import time
import warnings
from urllib import request

import pytest
from huggingface_hub import constants

from senticompare.base import hub
from senticompare.base.child_processes import kernel_command, python_apart
from senticompare.base.runtime import quiet


def state():
    from transformers.utils import logging as hf_logging

    names = ("", "transformers", "huggingface_hub", "bitsandbytes")
    levels = [logging.getLogger(name).level for name in names]
    return levels, list(warnings.filters), hf_logging.is_progress_bar_enabled()


def test_quiet_gives_everything_back():
    before = state()
    with quiet():
        assert state() != before
    assert state() == before
    with pytest.raises(ValueError), quiet():
        raise ValueError
    assert state() == before


def test_loading_a_model_leaves_the_application_alone(tmp_path, monkeypatch):
    from senticompare.models.loading import load_backbone
    from senticompare.models.registry import find_model

    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    before = state()
    load_backbone(find_model("tiny:roberta-base"))
    assert state() == before


def test_our_own_processes_are_silent_for_good():
    code = (
        "import os, warnings\nfrom senticompare.base.runtime import silence\nsilence()\n"
        "from transformers.utils import logging\nwarnings.warn('pin_memory is of no use here')\n"
        "print(logging.get_verbosity(), logging.is_progress_bar_enabled())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TRANSFORMERS_", "HF_HUB_V", "HF_HUB_D"))}
    done = subprocess.run(python_apart(code), env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([str(logging.ERROR), "False"], "")
    assert any("silence()" in part for part in kernel_command())


@pytest.fixture
def network(monkeypatch):
    """A network that can be pulled out, and a clock that can be turned on."""
    import datasets.config

    monkeypatch.setattr(hub, "_look", hub._Look())
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", False)
    world = {"up": True, "now": 100.0, "looks": 0, "settings": datasets.config}

    def look_up(*_):
        world["looks"] += 1
        if not world["up"]:
            raise socket.gaierror("no such host")
        return ["an address"]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(time, "monotonic", lambda: world["now"])
    return world


def test_a_process_started_offline_comes_back_online(network):
    network["up"] = False
    assert "no network" in hub.hub_trouble() and constants.HF_HUB_OFFLINE and network["settings"].HF_DATASETS_OFFLINE
    network["up"] = True
    network["now"] += hub.RECHECK_S / 2
    assert hub.hub_trouble() and network["looks"] == 1  # what was seen holds for a while
    network["now"] += hub.RECHECK_S
    assert hub.hub_trouble() == "" and not constants.HF_HUB_OFFLINE and not network["settings"].HF_DATASETS_OFFLINE
    network["up"] = False
    network["now"] += 2 * hub.RECHECK_S
    assert hub.hub_trouble() and constants.HF_HUB_OFFLINE


def test_a_network_that_is_there_changes_nothing(network):
    assert [hub.hub_trouble() for _ in range(5)] == [""] * 5 and network["looks"] == 1
    assert not constants.HF_HUB_OFFLINE


def test_a_users_own_switch_is_left_alone(network, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "no network" in hub.hub_trouble() and network["looks"] == 0
    network["now"] += 2 * hub.RECHECK_S
    assert hub.hub_trouble() and constants.HF_HUB_OFFLINE


def test_behind_a_proxy_the_libraries_try_themselves(network, monkeypatch):
    network["up"] = False
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert request.getproxies is not hub.getproxies and hub.hub_trouble() == "" and network["looks"] == 0
