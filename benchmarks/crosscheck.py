"""Our measurements beside those of other tools, on the same work: latency, throughput, memory, ONNX Runtime.

    python benchmarks/crosscheck.py [--data FOLDER] [--threads 2] [--out benchmarks/results/crosscheck.json]

Each pair is measured in turns, several times, and the median ratio is reported: 1 means that both tools say the same.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
# The kernel's own figure for a finished child (what `/usr/bin/time -v` prints), asked for by a process too small to lend it its own peak.
WATCHER = (
    "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); print(os.wait4(pid, 0)[2].ru_maxrss)"
)
LOADED = """
import json, sys
from pathlib import Path
from senticompare.classify.checkpoint import load_classifier
from senticompare.measure.memory import peak_rss_mb
c = load_classifier(Path(sys.argv[1]), "cpu")
c.predict_proba(json.loads(Path(sys.argv[2]).read_text()))
Path(sys.argv[3]).write_text(str(peak_rss_mb()))
"""


def in_turns(one, other, rounds=7):
    """Median of the rounds' ratios of two measurements, and both lists."""
    pairs = [(one(), other()) if r % 2 else tuple(reversed((other(), one()))) for r in range(rounds)]
    return {
        "ours": [round(a, 4) for a, _ in pairs],
        "theirs": [round(b, 4) for _, b in pairs],
        "ratio": round(median(a / b for a, b in pairs), 4),
    }


def latency(classifier, texts):
    """p50 of `time_singles` beside torch's own timer over the same texts."""
    import numpy as np
    from torch.utils.benchmark import Timer

    from senticompare.measure.latency import latency_summary, time_singles

    def ours():
        return latency_summary(time_singles(classifier.predict_proba, texts, 60, most=len(texts)))["latency_p50_ms"]

    def theirs():
        timers = [Timer("f([t])", globals={"f": classifier.predict_proba, "t": t}, num_threads=THREADS) for t in texts]
        return float(np.median([t.timeit(1).median for t in timers])) * 1e3

    return in_turns(ours, theirs)


def throughput(texts, threads):
    """Our throughput meter around sentence-transformers' encode, beside a plain loop over identical batches with timeit's clock."""
    import timeit

    from sentence_transformers import SentenceTransformer

    from senticompare.measure.latency import time_batches
    from senticompare.models.registry import find_model, model_source

    reference = SentenceTransformer(model_source(find_model("all-MiniLM-L6-v2"))[0], device="cpu")
    encode = lambda batch: reference.encode(batch, batch_size=32)  # noqa: E731
    batches = [texts[i : i + 32] for i in range(0, len(texts), 32)]

    def ours():
        return time_batches(encode, texts, None, 32, budget_s=3)["samples_s"]

    def theirs():
        return len(texts) / timeit.timeit(lambda: [encode(b) for b in batches], number=1)

    return in_turns(ours, theirs, 5)


def memory(folder, texts):
    """The peak that a process reads of itself beside what the kernel tells its parent, in MB."""
    with tempfile.TemporaryDirectory() as d:
        (Path(d) / "texts.json").write_text(json.dumps(texts))

        def both():
            command = [
                sys.executable,
                "-S",
                "-c",
                WATCHER,
                sys.executable,
                "-c",
                LOADED,
                str(folder),
                f"{d}/texts.json",
                f"{d}/peak",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            return float(Path(f"{d}/peak").read_text()), int(done.stdout.split()[-1]) * 1024 / 1e6

        pairs = [both() for _ in range(3)]
    return {
        "ours": [a for a, _ in pairs],
        "theirs": [round(b, 1) for _, b in pairs],
        "ratio": round(median(a / b for a, b in pairs), 4),
    }


def onnx(checkpoint, texts, threads):
    """p50 of our meter around a session beside ONNX Runtime's own profile of the same calls."""
    import numpy as np
    import onnxruntime as ort

    from senticompare.deploy.export import export_classifier
    from senticompare.measure.latency import latency_summary, time_singles

    with tempfile.TemporaryDirectory() as d:
        export_classifier(checkpoint, Path(d) / "onnx", "onnx")
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(Path(d) / "onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling, options.profile_file_prefix = (
            threads,
            True,
            f"{d}/profile",
        )
        session = ort.InferenceSession(
            str(next((Path(d) / "onnx").glob("*.onnx"))), options, providers=["CPUExecutionProvider"]
        )
        names = [i.name for i in session.get_inputs()]
        batches = {t: tokenizer([t], truncation=True, max_length=256, return_tensors="np") for t in texts}
        encoded = {t: {k: v.astype("int64") for k, v in b.items() if k in names} for t, b in batches.items()}
        ours = latency_summary(
            time_singles(lambda batch: session.run(None, encoded[batch[0]]), texts, 60, most=len(texts))
        )["latency_p50_ms"]
        events = json.loads(Path(session.end_profiling()).read_text())
        runs = [e["dur"] / 1e3 for e in events if e.get("name") == "model_run"][-len(texts) :]
    return {"ours": ours, "theirs": float(np.median(runs)), "ratio": round(ours / float(np.median(runs)), 4)}


def main():
    global THREADS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data")
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/crosscheck.json")
    args = parser.parse_args()
    THREADS = args.threads
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    from senticompare.base.files import write_text
    from senticompare.classify.checkpoint import load_classifier, save_classifier
    from senticompare.classify.classifier import train_classifier
    from senticompare.data.splits import load_splits
    from senticompare.measure.provenance import provenance
    from senticompare.spec.run_spec import make_spec

    spec = make_spec(
        {
            "model": "all-MiniLM-L6-v2",
            "method": "full",
            "dataset": str(args.data / "sst2"),
            "train_size": 200,
            "val_size": 100,
            "epochs": 1,
        }
    )
    splits = load_splits(spec)
    texts = splits.test["text"].tolist()[:400]
    with tempfile.TemporaryDirectory() as d:
        os.environ["SENTICOMPARE_HOME"] = f"{d}/home"
        folder = save_classifier(train_classifier(spec, splits, {"data": "crosscheck"}), Path(d) / "c")
        classifier = load_classifier(folder, "cpu")
        found = {"latency p50, beside torch.utils.benchmark": latency(classifier, texts)}
        found["throughput, beside a plain loop over sentence-transformers"] = throughput(texts, args.threads)
        found["peak memory, beside the kernel's record of the process"] = memory(folder, texts)
        found["ONNX Runtime p50, beside its own profile"] = onnx(folder, texts[:200], args.threads)
    for name, row in found.items():
        print(f"{name}: {row['ratio']}", flush=True)
    write_text(
        args.out,
        json.dumps(
            {**provenance(), "threads": args.threads, "at": time.strftime("%Y-%m-%d"), "checks": found}, indent=1
        ),
    )


if __name__ == "__main__":
    main()
