"""Results and predictions of runs that never ran: sound by the schema, with the answers that a test wants."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from senticompare.measure.quality import quality
from senticompare.results.blocks import complete, new_result
from senticompare.results.files import write_result
from senticompare.results.predictions import write_predictions
from senticompare.spec.run_spec import make_spec

CLASSES = ("negative", "neutral", "positive")


def made_up(
    labels: np.ndarray,
    answers: np.ndarray,
    spec: dict[str, Any],
    train: int = 300,
    validation: int = 100,
    fingerprint: str | None = None,
    ms: float = 10.0,
    val_f1: float = 0.8,
    balance: dict[str, float] | None = None,
    classes: tuple[str, ...] = CLASSES,
    **changes: Any,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """A completed run and its predictions; `train` counts the rows before noisy copies."""
    run = new_result(make_spec({"dataset": "texts.csv", **spec}), {"data": "files", "model": str(spec.get("model"))})
    y, guess = np.asarray(labels), np.asarray(answers)
    chances = np.full((len(y), len(classes)), 0.1)
    chances[np.arange(len(y)), guess] = 1 - 0.1 * (len(classes) - 1)
    run |= {"status": "completed", "quality": quality(y, chances, classes)}
    shares = balance or {name: float((y == i).mean()) for i, name in enumerate(classes)}
    copies = float(spec.get("augment") or 0.0)
    run["data"] = {
        "sizes": {"train": train + round(copies * train), "validation": validation, "test": len(y)}, "classes": list(classes),
        "balance": {"train": shares}, "fingerprint": fingerprint or f"rows-{train}-{validation}-{copies}-{spec.get('seed', 1) if copies else 0}",
    }  # fmt: skip
    run["provenance"] = {
        "inputs": {"data": "files", "model": str(spec.get("model", "all-MiniLM-L6-v2"))},
        "hardware": {"cpu": "a CPU", "threads": 2},
    }
    run["training"] = {"best_val_f1_macro": val_f1, "train_time_s": 1.0}
    run["speed"] = {"latency_p50_ms": ms, "latency_p95_ms": 2 * ms}
    run |= changes
    frame = pd.DataFrame({"example_id": [f"{i:032d}" for i in range(len(y))], "label": y, "prediction": guess})
    for i in range(len(classes)):
        frame[f"prob_{i}"] = chances[:, i].astype(np.float32)
    return complete(run), frame


def refused(run: dict[str, Any], why: str, status: str = "refused") -> dict[str, Any]:
    """The same run, turned down."""
    return {**run, "status": status, "error": why}


def folder_of(folder: Path, runs: list[tuple[dict[str, Any], pd.DataFrame]]) -> Path:
    """A reports folder with these runs."""
    folder.mkdir(parents=True, exist_ok=True)
    for run, frame in runs:
        write_result(folder, run)
        write_predictions(folder, run["run_id"], frame)
    return folder


def read(runs: list[tuple[dict[str, Any], pd.DataFrame]]) -> tuple[list[dict[str, Any]], dict[str, pd.DataFrame]]:
    """Results, and predictions by run id."""
    return [r for r, _ in runs], {r["run_id"]: f for r, f in runs}


def right_in(share: float, labels: np.ndarray, seed: int, classes: int = 3) -> np.ndarray:
    """Answers of which a share is right, the wrong ones spread over the other classes."""
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, classes, len(labels))) % classes
    order = rng.permutation(len(labels))
    found = wrong.copy()
    found[order[: round(share * len(labels))]] = labels[order[: round(share * len(labels))]]
    return found
