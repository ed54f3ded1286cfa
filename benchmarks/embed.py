"""Embedding beside other software, in one run: speed on short, mixed and long texts, what bfloat16 costs, and memory against the number of texts.

    python benchmarks/embed.py [--data FOLDER] [--threads 2] [--rounds 3] [--share 1] [--out benchmarks/results/embed.json]
    python benchmarks/embed.py --onnx PYTHON --openvino PYTHON --share 0.2 --only-speed --out benchmarks/results/backends.json

Each way of embedding is a process of its own that has loaded its model and waits, so none inherits another's settings; the parent lets one at a time embed
the same texts, in a changing order. The ratio is taken within each round and its median is reported, so a drifting machine hurts all alike. The vectors are
compared: a fast wrong answer is no answer.

sentence-transformers' ONNX and OpenVINO backends want other versions of transformers than ours, so each has an environment of its own, whose
interpreter is named:

    python -m venv onnx && onnx/bin/pip install 'sentence-transformers[onnx]'
    python -m venv openvino && openvino/bin/pip install 'sentence-transformers[openvino]'  # without torchvision where it does not fit torch
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
OURS, HALF, THEIRS, LOOP = "ours", "ours in bfloat16", "sentence-transformers", "unsorted batches of 8"
LIMIT = 256  # tokens
TEXTS = {
    "SST-2 phrases": ("sst2/train.parquet", 6000),
    "domains, mixed lengths": ("domains/test.parquet", 2000),
    "IMDb reviews, 256 tokens": ("imdb/test.parquet", 1000),
}
WORKER = """
import json, sys, time
import numpy as np

way, source, threads, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
import torch
torch.set_num_threads(threads)
if way.startswith("ours"):
    from senticompare.classify.embeddings import load_embedder
    from senticompare.models.registry import find_model
    embedder = load_embedder(find_model("all-MiniLM-L6-v2"), limit, "cpu", "bfloat16" if "bfloat16" in way else "float32")
    encode = lambda texts: np.concatenate(list(embedder.windows(texts)))
elif way.startswith("unsorted"):
    from transformers import AutoModel, AutoTokenizer
    model, tokenizer = AutoModel.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    @torch.inference_mode()
    def encode(texts):
        found = []
        for start in range(0, len(texts), 8):
            batch = tokenizer(texts[start : start + 8], padding=True, truncation=True, max_length=limit, return_tensors="pt")
            hidden, mask = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
            found.append(((hidden * mask).sum(1) / mask.sum(1)).numpy())
        return np.concatenate(found)
else:
    from sentence_transformers import SentenceTransformer
    backend = "onnx" if "ONNX" in way else "openvino" if "OpenVINO" in way else "torch"
    options = {"model_kwargs": {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}}} if "float32" in way else {}
    if backend == "onnx":  # it would count the machine's cores, not those it may use
        import onnxruntime
        options = {"model_kwargs": {"session_options": onnxruntime.SessionOptions()}}
        options["model_kwargs"]["session_options"].intra_op_num_threads = threads
    reference = SentenceTransformer(source, device="cpu", backend=backend, **options)
    reference.max_seq_length = limit
    encode = lambda texts: reference.encode(texts, show_progress_bar=False)
encode(["A first text.", "And another one, to warm up."] * 200)
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    texts = json.load(open(asked["texts"]))
    start = time.perf_counter()
    vectors = np.asarray(encode(texts))
    spent = time.perf_counter() - start
    np.save(asked["out"], vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    print("took", spent, flush=True)
"""
MEMORY = """
import sys
import pyarrow.parquet as pq
from senticompare.data.cleaning import clean_text
from senticompare.classify.embeddings import embed_texts, load_embedder
from senticompare.models.registry import find_model
from senticompare.measure.memory import peak_rss_mb

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


class Way:
    "One way of embedding, loaded and warm in a process of its own."

    def __init__(self, name, python, source, threads, folder):
        self.name, self.out = name, str(folder / f"{name}.npy")
        command = [python, "-c", WORKER, name, source, str(threads), str(LIMIT)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer("ready")

    def answer(self, word):
        for line in self.process.stdout:
            if line.startswith(word):
                return line.split()[-1]
        raise SystemExit(
            f"{self.name}: its process ended (exit status {self.process.wait()}); its message stands above"
        )

    def embed(self, texts):
        self.process.stdin.write(json.dumps({"texts": str(texts), "out": self.out}) + "\n")
        self.process.stdin.flush()
        return float(self.answer("took"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def share_of_limit(embedder, texts, seconds):
    """The machine's float32 GFLOP/s, and the share of it that real tokens in this time are."""
    from senticompare.measure.hardware_limits import gemm_gflops, model_flops

    ids = embedder.tokenizer(texts, truncation=True, max_length=LIMIT)["input_ids"]
    peak = max(gemm_gflops() for _ in range(3))
    return {
        "gemm_gflops": peak,
        "share of the GEMM limit": round(model_flops(embedder.model, [len(i) for i in ids]) / seconds / peak / 1e9, 3),
    }


def compare(name, ways, texts, rounds, folder):
    """A row: seconds of each way and round, how many times ours is faster, and how far the vectors are apart."""
    import numpy as np

    listed = folder / "texts.json"
    listed.write_text(json.dumps(texts))
    seconds = {way.name: [] for way in ways}
    for r in range(rounds):
        for way in ways[r % len(ways) :] + ways[: r % len(ways)]:
            seconds[way.name].append(way.embed(listed))
    vectors = {way.name: np.load(way.out) for way in ways}
    row = {"texts": name, "n": len(texts), "seconds": {k: [round(s, 3) for s in v] for k, v in seconds.items()}}
    for other in (k for k in seconds if k != OURS):
        row[f"times faster than {other}"] = round(
            median(b / a for a, b in zip(seconds[OURS], seconds[other], strict=True)), 3
        )
        row[f"largest difference from {other}"] = float(np.abs(vectors[OURS] - vectors[other]).max())
    return row


def interpreters(args):
    """The ways that were asked for, and what runs them."""
    found = {OURS: sys.executable, HALF: sys.executable, THEIRS: sys.executable, LOOP: sys.executable}
    found |= {"its ONNX backend": args.onnx} if args.onnx else {}
    return found | (
        {"its OpenVINO backend": args.openvino, "its OpenVINO backend in float32": args.openvino}
        if args.openvino
        else {}
    )


def speed(args, embedder, source):
    import pandas as pd

    from senticompare.data.cleaning import clean_text

    rows = []
    with tempfile.TemporaryDirectory() as d:
        ways = [Way(name, python, source, args.threads, Path(d)) for name, python in interpreters(args).items()]
        for name, (file, n) in TEXTS.items():
            texts = [
                clean_text(t)
                for t in pd.read_parquet(args.data / file)["text"].sample(round(n * args.share), random_state=0)
            ]
            chosen = [
                w for w in ways if w.name != LOOP or file.startswith("sst2")
            ]  # the loop on long texts takes minutes and teaches nothing new
            row = compare(name, chosen, texts, args.rounds, Path(d))
            rows.append({**row, **share_of_limit(embedder, texts, min(row["seconds"][OURS]))})
            print(json.dumps(rows[-1], indent=1), flush=True)
        for way in ways:
            way.close()
    return rows


def probe(data, train=3000, test=2000):
    """Accuracy of a linear head on frozen vectors of IMDb, in float32 and in bfloat16, and how near the vectors are."""
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    from senticompare.classify.embeddings import load_embedder
    from senticompare.data.cleaning import clean_text
    from senticompare.models.registry import find_model

    parts = {
        p: pd.read_parquet(data / f"imdb/{p}.parquet").sample(n, random_state=1)
        for p, n in (("train", train), ("test", test))
    }
    texts = {p: [clean_text(t) for t in frame["text"]] for p, frame in parts.items()}
    found, vectors = {}, {}
    for precision in ("float32", "bfloat16"):
        embedder = load_embedder(find_model("all-MiniLM-L6-v2"), LIMIT, "cpu", precision)
        x = {p: np.concatenate(list(embedder.windows(t))) for p, t in texts.items()}
        head = LogisticRegression(max_iter=1000).fit(x["train"], parts["train"]["label"])
        found[precision], vectors[precision] = float(head.score(x["test"], parts["test"]["label"])), x["test"]
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors.values())
    found |= {"smallest cosine": float((a * b).sum(1).min()), "train": train, "test": test}
    print("frozen probe on IMDb:", found, flush=True)
    return found


def memory(path, counts=(2000, 20000)):
    found = {}
    for n in counts:
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path), str(n)], capture_output=True, text=True, check=True
        )
        found[str(n)] = float(done.stdout.split()[-1])
    print("peak memory in MB by number of texts:", found, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data")
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the texts that are embedded")
    parser.add_argument("--onnx", help="interpreter of an environment with sentence-transformers[onnx]")
    parser.add_argument("--openvino", help="interpreter of an environment with sentence-transformers[openvino]")
    parser.add_argument("--only-speed", action="store_true", help="neither the probe nor memory")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/embed.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.sched_setaffinity(
        0, sorted(os.sched_getaffinity(0))[: args.threads]
    )  # who counts the cores himself finds as many
    import torch

    torch.set_num_threads(args.threads)
    from senticompare.base.files import write_text
    from senticompare.base.runtime import quiet
    from senticompare.classify.embeddings import load_embedder
    from senticompare.measure.provenance import provenance
    from senticompare.models.registry import find_model, model_source

    quiet()
    about, card = provenance(), find_model("all-MiniLM-L6-v2")
    found = {"speed": speed(args, load_embedder(card, LIMIT, "cpu"), str(model_source(card)[0]))}
    if not args.only_speed:
        found |= {"frozen_probe": probe(args.data), "peak_rss_mb": memory(args.data / "sst2/train.parquet")}
    write_text(args.out, json.dumps({**about, "threads": args.threads, **found}, indent=1))


if __name__ == "__main__":
    main()
