"""Several processes train one model: the same steps as one process, and one writer of files."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

COMMAND = ["train", "--model", "tiny:distilbert-base", "--dataset", "reviews", "--train-size", "96", "--val-size", "32", "--test-size", "64",
           "--epochs", "1", "--batch-size", "16", "--json"]  # fmt: skip


def run(tmp_path, name, processes, *options):
    home = tmp_path / name
    env = {**os.environ, "SENTICOMPARE_HOME": str(home), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    launch = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    )
    return subprocess.run([sys.executable, *launch, "-m", "senticompare", *COMMAND, *options, "--output-dir", str(home / "out")],
                          env=env, capture_output=True, text=True, timeout=280, cwd=tmp_path)  # fmt: skip


@pytest.mark.parametrize("method", ["full", "lora"])
def test_two_processes_take_the_same_steps_as_one(tmp_path, method):
    records, weights = [], []
    for name, processes in (("one", 1), ("two", 2)):
        done = run(tmp_path, name, processes, "--method", method)
        assert done.returncode == 0, done.stderr[-2000:]
        rows = json.loads(done.stdout)
        assert len(rows) == 1, "one process answers"
        model = tmp_path / name / "out" / "model"
        records.append(json.loads((model / "training.json").read_text()))
        weights.append(load_file(next(model.glob("*.safetensors"))))
    assert records[0]["batch_size"] == records[1]["batch_size"] == 16
    assert max(h["step"] for h in records[0]["history"]) == max(h["step"] for h in records[1]["history"]) == 6
    assert weights[0].keys() == weights[1].keys() and all(np.isfinite(w).all() for w in weights[1].values())
    assert not list((tmp_path / "two").rglob("*.unfinished"))


def test_a_batch_that_cannot_be_shared(tmp_path):
    done = run(tmp_path, "odd", 2, "--method", "full", "--batch-size", "15")
    assert done.returncode != 0 and "a batch of 15 cannot be shared evenly by 2 devices" in done.stderr
