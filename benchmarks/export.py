"""One tuned model in the forms it can be shipped in, in one run: texts per second at batch size 1, and accuracy.

    python benchmarks/export.py CHECKPOINT [--data FOLDER] [--threads 2] [--rounds 3] [--out benchmarks/results/export.json]

CHECKPOINT is what `senticompare train` wrote for SST-2. Every way tokenises and answers the 872 validation sentences one by one; each round times each way
once, in a changing order, in one process; ratios are taken within a round and their median is reported.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "plain transformers"


def plain(folder):
    import numpy as np
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
    )

    def answer(texts):
        with torch.inference_mode():
            return np.concatenate(
                [model(**tokenizer([t], truncation=True, return_tensors="pt")).logits.numpy() for t in texts]
            )

    return answer


def ways(checkpoint, work, threads):
    import numpy as np

    from senticompare.classify.checkpoint import load_classifier
    from senticompare.deploy.export import export_classifier
    from senticompare.deploy.exported_model import load_export

    def one_by_one(c):
        return lambda texts: np.concatenate([c.predict_proba([t]) for t in texts])

    for name, to, int8 in (("safetensors", "safetensors", False), ("onnx", "onnx", False), ("int8", "onnx", True)):
        export_classifier(checkpoint, work / name, to, int8)
    forms = {"ONNX Runtime": "onnx", "ONNX Runtime int8": "int8"}
    loaded = {name: one_by_one(load_export(work / folder, threads)) for name, folder in forms.items()}
    sizes = {name: round((work / folder / "model.onnx").stat().st_size / 1e6, 1) for name, folder in forms.items()}
    return {
        PLAIN: plain(work / "safetensors"),
        "senticompare, torch": one_by_one(load_classifier(checkpoint, "cpu")),
        **loaded,
    }, sizes


def measure(todo, texts, labels, rounds):
    import numpy as np

    seconds, accuracy = {k: [] for k in todo}, {}
    for answer in todo.values():
        answer(texts[:100])
    for r in range(rounds):
        for k in list(todo)[r % len(todo) :] + list(todo)[: r % len(todo)]:
            start = time.perf_counter()
            found = todo[k](texts)
            seconds[k].append(time.perf_counter() - start)
            accuracy[k] = float((np.asarray(found).argmax(1) == labels).mean())
    return [
        {"way": k, "texts_s": round(len(texts) / median(s), 1), "accuracy": round(accuracy[k], 4), "seconds": [round(x, 3) for x in s],
         f"times faster than {PLAIN}": round(median(b / a for a, b in zip(s, seconds[PLAIN], strict=True)), 2),
         "times faster than senticompare, torch": round(median(b / a for a, b in zip(s, seconds["senticompare, torch"], strict=True)), 2)}
        for k, s in seconds.items()
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data") / "sst2",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/export.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    from senticompare.base.files import write_text
    from senticompare.base.runtime import quiet
    from senticompare.data.splits import load_splits
    from senticompare.measure.provenance import provenance
    from senticompare.spec.run_spec import make_spec

    quiet()
    test = load_splits(make_spec({"dataset": str(args.data), "train_size": 100, "val_size": 50})).test
    with tempfile.TemporaryDirectory() as folder:
        todo, sizes = ways(args.checkpoint, Path(folder), args.threads)
        rows = measure(todo, list(test["text"]), test["label"].to_numpy(), args.rounds)
    for row in rows:
        row["onnx_mb"] = sizes.get(row["way"])
        print(row, flush=True)
    about = {
        "checkpoint": json.loads((args.checkpoint / "senticompare.json").read_text())["spec"],
        "threads": args.threads,
    }
    write_text(args.out, json.dumps({**provenance(), **about, "ways": rows}, indent=1))


if __name__ == "__main__":
    main()
