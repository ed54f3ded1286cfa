"""The smaller parts of a run, each beside other ways of doing it, in one run: tokenisation, frozen vectors for a second head, XGBoost on embeddings.

    python benchmarks/parts.py [--data FOLDER] [--threads 2] [--rounds 3] [--out benchmarks/results/parts.json]

Every round times each way once, in a changing order; the ratio to ours is taken within each round and its median is reported. Token ids must be the same;
the accuracy of every kind of trees stands beside its time. The trees are grown once.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
REVIEWS = 4000
PHRASES = (3000, 500)  # for training and for validation
OURS = "ours"


def in_turns(ways, rounds):
    """Seconds of each way and round, and each way's last answer."""
    seconds, answers = {k: [] for k in ways}, {}
    for r in range(rounds):
        for k in list(ways)[r % len(ways) :] + list(ways)[: r % len(ways)]:
            start = time.perf_counter()
            answers[k] = ways[k]()
            seconds[k].append(time.perf_counter() - start)
    return seconds, answers


def rows_of(part, seconds, more=None):
    """One row for each way, with how many times longer it takes than ours."""
    found = []
    for way, spent in seconds.items():
        slower = median(b / a for a, b in zip(seconds[OURS], spent, strict=True))
        row = {
            "part": part,
            "way": way,
            "seconds": round(median(spent), 3),
            "times ours": round(slower, 2),
            **(more or {}).get(way, {}),
        }
        found.append(row)
        print(row, flush=True)
    return found


def tokenisation(tokenizer, texts, rounds, limit=256):
    from senticompare.classify.batching import encode_window

    def padded():
        found = []
        for start in range(0, len(texts), 32):
            batch = tokenizer(
                texts[start : start + 32], padding=True, truncation=True, max_length=limit, return_tensors="pt"
            )
            found += [
                ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
            ]
        return found

    ways = {
        OURS: lambda: encode_window(tokenizer, texts, limit)[0],
        "batches of 32, padded": padded,
        "text by text": lambda: [tokenizer(t, truncation=True, max_length=limit)["input_ids"] for t in texts],
    }
    seconds, ids = in_turns(ways, rounds)
    assert all(found == ids[OURS] for found in ids.values()), "other token ids"
    return rows_of(f"tokenise {len(texts):,} reviews", seconds)


def second_head(embedder, texts, rounds):
    from senticompare.classify.embeddings import embed_texts

    with tempfile.TemporaryDirectory() as folder:
        embed_texts(embedder, texts, Path(folder))
        ways = {
            OURS: lambda: embed_texts(embedder, texts, Path(folder)),
            "embedded again": lambda: embed_texts(embedder, texts),
        }
        seconds, _ = in_turns(ways, rounds)
    return rows_of(f"vectors of {len(texts):,} phrases for a second head", seconds)


def trees(parts, rounds):
    import xgboost as xgb
    from sklearn.ensemble import HistGradientBoostingClassifier

    from senticompare.classify.boosted_trees import XGBoostHead, threads

    (x, y), (x_val, y_val), (x_test, y_test) = parts
    usual = {
        "objective": "multi:softprob",
        "num_class": 2,
        "eval_metric": "mlogloss",
        "max_depth": 6,
        "eta": 0.1,
        "seed": 0,
    }

    def grow(method, nthread):
        booster = xgb.train(
            {**usual, "tree_method": method, "nthread": nthread}, xgb.DMatrix(x, y), 400, evals=[(xgb.DMatrix(x_val, y_val), "val")],
            early_stopping_rounds=20, verbose_eval=False,
        )  # fmt: skip
        best = booster[: booster.best_iteration + 1]
        return lambda rows: best.inplace_predict(rows).argmax(1)

    def of_scikit_learn():
        model = HistGradientBoostingClassifier(
            max_depth=6,
            max_leaf_nodes=None,
            learning_rate=0.1,
            max_iter=400,
            early_stopping=True,
            n_iter_no_change=20,
            random_state=0,
        )
        return model.fit(x, y, X_val=x_val, y_val=y_val).predict

    def ours():
        head = XGBoostHead().fit(x, y, x_val, y_val, 0, 2)
        return lambda rows: head.predict_proba(rows).argmax(1)

    ways = {
        OURS: ours,
        "histogram, one thread": lambda: grow("hist", 1),
        "exact splits": lambda: grow("exact", threads()),
        "scikit-learn's histogram trees": of_scikit_learn,
    }
    seconds, answers = in_turns(ways, rounds)
    right = {k: {"accuracy": round(float((f(x_test) == y_test).mean()), 4)} for k, f in answers.items()}
    return rows_of(f"boosted trees on {len(x):,} vectors", seconds, right)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data")
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/parts.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(args.threads)
    import pandas as pd
    import torch

    torch.set_num_threads(args.threads)
    from senticompare.base.files import write_text
    from senticompare.base.runtime import quiet
    from senticompare.classify.embeddings import embed_texts, load_embedder
    from senticompare.data.cleaning import clean_text
    from senticompare.measure.provenance import provenance
    from senticompare.models.registry import find_model

    quiet()
    embedder = load_embedder(find_model("all-MiniLM-L6-v2"), 256, "cpu")
    reviews = [
        clean_text(t) for t in pd.read_parquet(args.data / "imdb/test.parquet")["text"].sample(REVIEWS, random_state=0)
    ]
    phrases = pd.read_parquet(args.data / "sst2/train.parquet").sample(sum(PHRASES), random_state=0)
    test = pd.read_parquet(args.data / "sst2/validation.parquet")
    about = provenance()
    rows = tokenisation(embedder.tokenizer, reviews, args.rounds) + second_head(
        embedder, test["text"].tolist(), args.rounds
    )
    parts = [
        (embed_texts(embedder, f["text"].tolist()), f["label"].to_numpy())
        for f in (phrases[: PHRASES[0]], phrases[PHRASES[0] :], test)
    ]
    rows += trees(parts, 1)  # half a minute each
    write_text(args.out, json.dumps({**about, "threads": args.threads, "ways": rows}, indent=1))


if __name__ == "__main__":
    main()
