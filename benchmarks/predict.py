"""Prediction beside transformers' own pipeline, in one run: 2,000 reviews of mixed lengths, the same tuned model, the same labels.

    python benchmarks/predict.py CHECKPOINT [--data FOLDER] [--threads 2] [--rounds 3] [--out benchmarks/results/predict.json]

CHECKPOINT is what `senticompare train` wrote for a tuned model. `--fast` is the
prediction in two precisions (`senticompare predict --fast`). The pipeline reads the safetensors export of the same checkpoint, with its default
settings (one text at a time) and with batches of 32.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = "transformers.pipeline, default"
OURS = ("senticompare", "senticompare --fast")


def mixed_reviews(data, n):
    import pandas as pd

    from senticompare.data.cleaning import clean_text

    short = pd.read_parquet(data / "domains/test.parquet")["text"].head(n // 2)
    long = pd.read_parquet(data / "imdb/test.parquet")["text"].sample(n - len(short), random_state=0)
    return [clean_text(t) for t in pd.concat([short, long]).sample(frac=1, random_state=0)]


def ways(checkpoint, work, max_length):
    from transformers import pipeline

    from senticompare.classify.checkpoint import load_classifier
    from senticompare.classify.mixed_precision import load_quick
    from senticompare.deploy.export import export_classifier

    export_classifier(checkpoint, work / "plain", "safetensors")
    classify = pipeline("text-classification", str(work / "plain"), device="cpu")
    options = {"truncation": True, "max_length": max_length}
    ours, quick = load_classifier(checkpoint, "cpu"), load_quick(checkpoint)
    return {
        "senticompare --fast": lambda texts: [ours.classes[i] for i in quick.predict_proba(texts).argmax(1)],
        "senticompare": lambda texts: [ours.classes[i] for i in ours.predict_proba(texts).argmax(1)],
        PIPELINE: lambda texts: [a["label"] for a in classify(texts, **options)],
        "transformers.pipeline, batches of 32": lambda texts: [
            a["label"] for a in classify(texts, batch_size=32, **options)
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data")
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/predict.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    from senticompare.base.files import write_text
    from senticompare.base.runtime import quiet
    from senticompare.measure.provenance import provenance

    quiet()
    texts = mixed_reviews(args.data, args.texts)
    limit = json.loads((args.checkpoint / "senticompare.json").read_text())["spec"]["max_length"]
    with tempfile.TemporaryDirectory() as folder:
        todo = ways(args.checkpoint, Path(folder), limit)
        seconds, labels = {k: [] for k in todo}, {}
        for r in range(args.rounds):
            for k in list(todo)[r % len(todo) :] + list(todo)[: r % len(todo)]:
                start = time.perf_counter()
                labels[k] = todo[k](texts)
                seconds[k].append(time.perf_counter() - start)
    rows = []
    for way, spent in seconds.items():
        same = sum(a == b for a, b in zip(labels[way], labels["senticompare"], strict=True)) / len(texts)
        faster = {
            f"{ours} is times faster": median(b / a for a, b in zip(seconds[ours], spent, strict=True)) for ours in OURS
        }
        row = {
            "way": way,
            "texts_s": round(len(texts) / median(spent), 1),
            "same labels": same,
            "seconds": [round(s, 3) for s in spent],
        }
        row |= {k: round(v, 2) for k, v in faster.items()}
        rows.append(row)
    for row in rows:
        print(row, flush=True)
    write_text(
        args.out,
        json.dumps(
            {**provenance(), "texts": len(texts), "max_length": limit, "threads": args.threads, "ways": rows}, indent=1
        ),
    )


if __name__ == "__main__":
    main()
