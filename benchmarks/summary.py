"""How long the summary of many runs takes: results made up from the published quickstart's, each with some answers changed.

python benchmarks/summary.py [--runs 1000] [--out benchmarks/results/summary.json]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def quality_of(labels, answers):
    """The figures that a result's predictions must give."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    from senticompare.statistics.intervals import wilson

    hits = int((labels == answers).sum())
    figures = {"accuracy": hits / len(labels), "accuracy_ci95": list(wilson(hits, len(labels)))}
    return {
        **figures,
        "f1_macro": float(f1_score(labels, answers, average="macro")),
        "mcc": float(matthews_corrcoef(labels, answers)),
    }


def make_up(folder, runs):
    """Write `runs` result files with predictions; nothing in them was measured."""
    import numpy as np
    import pandas as pd

    published = ROOT / "reports/published/quickstart"
    results = [json.loads(p.read_text()) for p in sorted(published.glob("*--*.json"))]
    frames = {r["run_id"]: pd.read_parquet(published / f"{r['run_id']}.predictions.parquet") for r in results}
    chance = np.random.default_rng(0)
    for i in range(runs):
        base = results[i % len(results)]
        run_id = f"{base['run_id'].rsplit('--', 1)[0]}--s{i}"
        frame = frames[base["run_id"]].copy()
        changed = chance.random(len(frame)) < 0.1
        frame.loc[changed, "prediction"] = chance.integers(0, 3, int(changed.sum()))
        figures = quality_of(frame["label"].to_numpy(), frame["prediction"].to_numpy())
        made = {
            **base,
            "run_id": run_id,
            "spec": {**base["spec"], "seed": i},
            "quality": {**base["quality"], **figures},
        }
        (folder / f"{run_id}.json").write_text(json.dumps(made))
        frame.to_parquet(folder / f"{run_id}.predictions.parquet", index=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/summary.json")
    args = parser.parse_args()
    from senticompare.base.files import write_text
    from senticompare.measure.provenance import provenance
    from senticompare.run.summary import summarize

    with tempfile.TemporaryDirectory() as d:
        folder = Path(d) / "many"
        folder.mkdir()
        make_up(folder, args.runs)
        start = time.perf_counter()
        summarize(folder, "Many runs")
        seconds = round(time.perf_counter() - start, 2)
        size = round((folder / "summary.html").stat().st_size / 1e6, 2)
    print(f"{args.runs:,} runs: {seconds} s, summary.html {size} MB")
    write_text(args.out, json.dumps({**provenance(), "runs": args.runs, "seconds": seconds, "html_mb": size}, indent=1))


if __name__ == "__main__":
    main()
