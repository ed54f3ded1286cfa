"""Estimated memory of training against the kernel's own high-water mark, in a process that has warmed its libraries up first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from senticompare.finetune.memory_estimate import training_memory

MEASURE = """
import gc, json, sys, torch, psutil
torch.set_num_threads(2)
from senticompare.finetune.adapters import trainable_model
from senticompare.measure.memory import peak_memory
from senticompare.spec.run_spec import make_spec
from senticompare.finetune.weight_averaging import WeightAverage

def step(model, texts, length):
    trained = [p for p in model.parameters() if p.requires_grad]
    average, optimiser = WeightAverage(model, 10), torch.optim.AdamW(trained, fused=True)
    for _ in range(3):
        ids = torch.randint(5, 500, (texts, length))
        model(input_ids=ids, labels=torch.zeros(texts, dtype=torch.long)).loss.backward()
        optimiser.step()
        optimiser.zero_grad()

def model_of(name):
    return trainable_model(make_spec({"model": name, "method": sys.argv[1]}).resolved(), ("a", "b")).train()

step(model_of("tiny:all-MiniLM-L6-v2"), 2, 16)
gc.collect()
before = psutil.Process().memory_info().rss / 1e6
with peak_memory() as peak:
    step(model_of("all-MiniLM-L6-v2"), int(sys.argv[2]), int(sys.argv[3]))
print("ANSWER", json.dumps({"mb": peak.rss_mb - before, "source": peak.source}))
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="this system has no high-water mark that can be reset"
)
@pytest.mark.parametrize(
    "method, texts, length", [("full", 16, 128), ("lora", 16, 128), ("lora", 8, 256), ("ia3", 16, 128)]
)
def test_estimate_is_close(method, texts, length, tmp_path, monkeypatch):
    monkeypatch.setenv("SENTICOMPARE_HOME", str(tmp_path))
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, method, str(texts), str(length)], capture_output=True, text=True, check=True
    )
    measured = json.loads(done.stdout.split("ANSWER", 1)[1])["mb"]
    estimate = training_memory("all-MiniLM-L6-v2", method, texts, length)["total"]
    assert 0.8 < estimate / measured < 1.25, (estimate, measured)
