"""What a run costs outside the model's own work: kernel, imports, data, notebook and files, read from the executed notebooks of a reports folder.

    python benchmarks/overhead.py [--reports reports/published/quickstart] [--out benchmarks/results/overhead.json]

papermill records when each cell began and ended. The model's work is the cells that train, predict and measure (the measuring process's own start is a
measurement, too: the cold start); everything else of the notebook's time is overhead.
"""

import argparse
import json
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
WORK = ("classifier.train_classifier(", "trained.predict_proba(", "speed.run_probe(")


def overhead(notebook):
    """Seconds of the whole notebook, and of what is not the model's work."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    total = content["metadata"]["papermill"]["duration"]
    spent = sum(
        c["metadata"].get("papermill", {}).get("duration") or 0
        for c in content["cells"]
        if any(w in "".join(c["source"]) for w in WORK)
    )
    return total, total - spent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=Path, default=ROOT / "reports/published/quickstart")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/overhead.json")
    args = parser.parse_args()
    from senticompare.base.files import write_text

    runs = {p.stem: overhead(p) for p in sorted(args.reports.glob("*--*.ipynb"))}
    rows = [
        {"run": name, "total_s": round(total, 2), "overhead_s": round(rest, 2)} for name, (total, rest) in runs.items()
    ]
    for row in rows:
        print(row)
    whole = sum(r["total_s"] for r in rows)
    share = sum(r["overhead_s"] for r in rows) / whole
    summary = {
        "largest_overhead_s": max(r["overhead_s"] for r in rows),
        "median_overhead_s": median(r["overhead_s"] for r in rows),
        "share": round(share, 3),
    }
    print(summary)
    hardware = json.loads(next(args.reports.glob("*--*.json")).read_text(encoding="utf-8"))["provenance"]
    about = {k: hardware[k] for k in ("created_at", "code_version", "hardware", "packages")}
    write_text(args.out, json.dumps({**about, "reports": args.reports.name, **summary, "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
