"""Training steps with masks of dropout drawn by torch, and with ours, in one run.

    python benchmarks/dropout.py [--threads 2] [--rounds 5] [--out benchmarks/results/dropout.json]

Full fine-tuning steps of all-MiniLM-L6-v2 (forward, backward, AdamW), long texts in small batches and short texts in large ones. Every round times both ways,
in turn, on the same batch; the ratio is taken within each round and its median is reported.
"""

import argparse
import json
import os
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
BATCHES = ((8, 256), (64, 16))  # texts, tokens
STEPS = 4  # in a row, each way and round


def compare(model, texts, tokens, rounds):
    import torch

    from senticompare.base.runtime import multiplies_bfloat16
    from senticompare.finetune.fast_dropout import quick_dropout

    half = multiplies_bfloat16("cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    batch = {"input_ids": torch.randint(1000, 20000, (texts, tokens)), "labels": torch.randint(0, 2, (texts,))}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    batch["attention_mask"][0, tokens // 2 :] = 0

    def steps(mode):
        start = time.perf_counter()
        for _ in range(STEPS):
            with mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return (time.perf_counter() - start) / STEPS

    ways = {"torch's masks": nullcontext, "ours": quick_dropout}
    for mode in ways.values():
        steps(mode)
    seconds = {name: [] for name in ways}
    for r in range(rounds):
        for name in list(ways)[r % 2 :] + list(ways)[: r % 2]:
            seconds[name].append(steps(ways[name]))
    ratio = median(b / a for a, b in zip(seconds["ours"], seconds["torch's masks"], strict=True))
    found = {k: [round(s, 4) for s in v] for k, v in seconds.items()}
    row = {"texts": texts, "tokens": tokens, "bfloat16": half, "step_s": found, "times faster": round(ratio, 3)}
    print(json.dumps(row, indent=1), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/dropout.json")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    from transformers import AutoModelForSequenceClassification

    from senticompare.base.files import write_text
    from senticompare.base.runtime import quiet
    from senticompare.measure.provenance import provenance
    from senticompare.models.registry import find_model, model_source

    quiet()
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(
        model_source(find_model("all-MiniLM-L6-v2"))[0], num_labels=2
    ).train()
    rows = [compare(model, texts, tokens, args.rounds) for texts, tokens in BATCHES]
    write_text(args.out, json.dumps({**provenance(), "steps": rows}, indent=1))


if __name__ == "__main__":
    main()
