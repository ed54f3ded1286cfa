"""Embedding beside other software, in one run: speed on short and long texts, and memory against the number of texts.

    python benchmarks/embed.py [--data FOLDER] [--threads 2] [--rounds 3] [--out benchmarks/results/embed.json]

Every round times each way once, in a changing order, on the same texts, in one process; the
ratio is taken within each round and its median is reported, so a drifting
machine hurts both sides alike. The vectors are compared first: a fast wrong answer is no answer.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
MEMORY = """
import sys, pandas as pd
from senticompare.data import clean_text
from senticompare.embed import embed_texts, load_embedder
from senticompare.models import find_model
from senticompare.speed import peak_rss_mb
import pyarrow.parquet as pq

class Texts:
    "Texts read from the file as they are asked for, so that only the embedding's own memory grows."
    def __init__(self, path, n):
        self.column, self.n = pq.read_table(path, columns=["text"], memory_map=True)["text"], n
    def __len__(self): return self.n
    def __getitem__(self, i):
        if isinstance(i, slice): return [clean_text(t) for t in self.column[i].to_pylist()]
        return clean_text(self.column[i].as_py())

out = embed_texts(load_embedder(find_model("all-MiniLM-L6-v2"), 64, "cpu"), Texts(sys.argv[1], int(sys.argv[2])))
print(out.shape[0], peak_rss_mb())
"""


def ways(embedder, reference, texts):
    import numpy as np

    from senticompare.embed import load_embedder, pool
    from senticompare.models import find_model, load_backbone

    reduced = load_embedder(find_model("all-MiniLM-L6-v2"), embedder.max_length, "cpu", "bfloat16")
    plain = load_backbone(find_model("all-MiniLM-L6-v2"))  # the loop is what one writes without any of this

    def unsorted_loop():
        out = []
        for start in range(0, len(texts), 8):
            batch = embedder.tokenizer(texts[start : start + 8], padding=True, truncation=True, max_length=embedder.max_length, return_tensors="pt")
            hidden = plain(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            out.append(pool(hidden, batch["attention_mask"], "mean").numpy())
        return np.concatenate(out)

    return {
        "ours": lambda: np.concatenate(list(embedder.windows(texts))),
        "ours in bfloat16": lambda: np.concatenate(list(reduced.windows(texts))),
        "sentence-transformers": lambda: reference.encode(texts),
        "unsorted batches of 8": unsorted_loop,
    }


def compare(name, embedder, reference, texts, rounds, skip=()):
    import numpy as np
    import torch

    from senticompare.machine import gemm_gflops, model_flops

    todo = {k: f for k, f in ways(embedder, reference, texts).items() if k not in skip}
    seconds, vectors = {k: [] for k in todo}, {}
    with torch.inference_mode():
        for f in todo.values():
            f() if len(texts) <= 2000 and rounds > 1 else None
        for r in range(rounds):
            for k in list(todo)[r % len(todo) :] + list(todo)[: r % len(todo)]:
                start = time.perf_counter()
                found = np.asarray(todo[k]())
                seconds[k].append(time.perf_counter() - start)
                vectors[k] = found / np.linalg.norm(found, axis=1, keepdims=True)
    row = {"texts": name, "n": len(texts), "seconds": {k: [round(s, 3) for s in v] for k, v in seconds.items()}}
    ids = embedder.tokenizer(list(texts), truncation=True, max_length=embedder.max_length)["input_ids"]
    peak = max(gemm_gflops() for _ in range(3))
    row["gemm_gflops"] = peak
    row["share of the GEMM limit"] = round(model_flops(embedder.model, [len(i) for i in ids]) / min(seconds["ours"]) / peak / 1e9, 3)
    for other in (k for k in todo if k != "ours"):
        row[f"times faster than {other}"] = round(median(b / a for a, b in zip(seconds["ours"], seconds[other], strict=True)), 3)
        row[f"largest difference from {other}"] = float(np.abs(vectors["ours"] - vectors[other]).max())
    print(json.dumps(row, indent=1), flush=True)
    return row


def probe(data, train=5000, test=2000):
    """Accuracy of a linear head on frozen vectors of IMDb, in float32 and in bfloat16, and how near the vectors are."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from senticompare.data import clean_text
    from senticompare.embed import load_embedder
    from senticompare.models import find_model

    parts = {p: pd.read_parquet(data / f"imdb/{p}.parquet").sample(n, random_state=1) for p, n in (("train", train), ("test", test))}
    texts = {p: [clean_text(t) for t in frame["text"]] for p, frame in parts.items()}
    found, vectors = {}, {}
    for precision in ("float32", "bfloat16"):
        embedder = load_embedder(find_model("all-MiniLM-L6-v2"), 256, "cpu", precision)
        x = {p: np.concatenate(list(embedder.windows(t))) for p, t in texts.items()}
        head = LogisticRegression(max_iter=1000).fit(x["train"], parts["train"]["label"])
        found[precision], vectors[precision] = float(head.score(x["test"], parts["test"]["label"])), x["test"]
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors.values())
    found["smallest cosine"] = float((a * b).sum(1).min())
    print(f"frozen probe on IMDb, {train:,} and {test:,} reviews:", found, flush=True)
    return found


def memory(path, counts=(2000, 20000)):
    found = {}
    for n in counts:
        done = subprocess.run([sys.executable, "-c", MEMORY, str(path), str(n)], capture_output=True, text=True, check=True)
        found[str(n)] = float(done.stdout.split()[-1])
    print("peak memory in MB by number of texts:", found, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/embed.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import pandas as pd
    import torch

    torch.set_num_threads(args.threads)
    from sentence_transformers import SentenceTransformer

    from senticompare.config import write_text
    from senticompare.data import clean_text
    from senticompare.embed import load_embedder
    from senticompare.models import find_model, model_source
    from senticompare.resources import provenance

    card = find_model("all-MiniLM-L6-v2")
    embedder, reference = load_embedder(card, 256, "cpu"), SentenceTransformer(model_source(card)[0], device="cpu")
    reference.max_seq_length = 256
    phrases = pd.read_parquet(args.data / "sst2/train.parquet")["text"].sample(6000, random_state=0).tolist()
    reviews = [clean_text(t) for t in pd.read_parquet(args.data / "imdb/test.parquet")["text"].sample(2000, random_state=0)]
    mixed = [clean_text(t) for t in pd.read_parquet(args.data / "domains/test.parquet")["text"].sample(2000, random_state=0)]
    rows = [
        compare("SST-2 phrases", embedder, reference, phrases, args.rounds),
        compare("domains, mixed lengths", embedder, reference, mixed, args.rounds, ("unsorted batches of 8",)),
        compare("IMDb reviews, 256 tokens", embedder, reference, reviews, 1, ("unsorted batches of 8",)),
    ]
    peaks = memory(args.data / "imdb/test.parquet")
    write_text(args.out, json.dumps({**provenance(), "speed": rows, "frozen_probe": probe(args.data), "peak_rss_mb": peaks}, indent=1))


if __name__ == "__main__":
    main()
