"""Fine-tuning beside the plain Trainer, in one run: samples per second on SST-2, and the accuracy that each way ends with.

    python benchmarks/train.py [--data FOLDER] [--threads 2] [--rows 4800] [--out benchmarks/results/train.json]

Four ways of training the same model with the same settings (batch size, rate, schedule, epochs, seed), each in a process of its own, one after the other:
ours (bfloat16 products where the processor has them); ours in float32; the plain Trainer with dynamic padding, random batches and torch's default AdamW; and
the same with every text padded to 128 tokens.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BATCH, RATE, LENGTH = 32, 1e-4, 128
WAYS = ("ours", "ours in float32", "plain Trainer, dynamic padding", "plain Trainer, padded to 128")


def accuracy(model, tokenizer, frame):
    import torch

    model.eval()
    hits = 0
    with torch.inference_mode():
        for start in range(0, len(frame), 64):
            part = frame.iloc[start : start + 64]
            batch = tokenizer(
                list(part["text"]),
                padding=True,
                truncation=True,
                max_length=LENGTH,
                return_tensors="pt",
                return_token_type_ids=False,
            )
            hits += int((model(**batch).logits.argmax(-1).numpy() == part["label"].to_numpy()).sum())
    return hits / len(frame)


def plain(splits, folder, pad_to_limit):
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    from senticompare.models.registry import find_model, model_source

    source = model_source(find_model("all-MiniLM-L6-v2"))[0]
    tokenizer = AutoTokenizer.from_pretrained(source)
    padding = {"padding": "max_length"} if pad_to_limit else {}
    ids = tokenizer(list(splits.train["text"]), truncation=True, max_length=LENGTH, **padding)
    rows = [
        {"input_ids": i, "attention_mask": m, "labels": int(y)}
        for i, m, y in zip(ids["input_ids"], ids["attention_mask"], splits.train["label"], strict=True)
    ]
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=RATE, weight_decay=0.01, warmup_steps=0.06,
        seed=1, optim="adamw_torch", report_to="none", disable_tqdm=True, save_strategy="no", use_cpu=True, logging_strategy="no",
        dataloader_pin_memory=False,
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
    trainer = Trainer(model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer))
    start = time.perf_counter()
    trainer.train()
    return time.perf_counter() - start, model, tokenizer


def ours(spec, splits, folder):
    from senticompare.finetune.trainer import fine_tune
    from senticompare.finetune.tuned_models import load_tuned
    from senticompare.models.loading import load_tokenizer
    from senticompare.models.registry import find_model

    record = fine_tune(
        spec, splits, folder / "model"
    )  # its time includes one evaluation and saving, which the plain ways do not do
    return (
        record["train_time_s"],
        load_tuned(spec, folder / "model", splits.classes),
        load_tokenizer(find_model(spec.model)),
    )


def one(way, data, rows):
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    from senticompare.base.runtime import quiet
    from senticompare.data.splits import load_splits
    from senticompare.spec.run_spec import make_spec

    quiet()
    spec = make_spec({"method": "full", "dataset": str(data), "train_size": rows, "val_size": 500, "max_length": LENGTH, "epochs": 1, "batch_size": BATCH,
                      "learning_rate": RATE, "evals_per_epoch": 1, "precision": "float32" if way == WAYS[1] else None}).resolved()  # fmt: skip
    splits = load_splits(spec)
    with tempfile.TemporaryDirectory() as folder:
        found = ours(spec, splits, Path(folder)) if way in WAYS[:2] else plain(splits, Path(folder), way == WAYS[3])
    seconds, model, tokenizer = found
    print(
        "RESULT",
        json.dumps(
            {
                "way": way,
                "seconds": round(seconds, 2),
                "samples_s": round(rows / seconds, 2),
                "accuracy": round(accuracy(model, tokenizer, splits.test), 4),
            }
        ),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SENTICOMPARE_TEST_DATA") or ROOT.parent / "shared/data") / "sst2",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=4800)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/train.json")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        return one(args.way, args.data, args.rows)
    from senticompare.base.files import write_text
    from senticompare.measure.provenance import provenance
    from senticompare.run.execute import set_threads

    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    plain_environment = dict(os.environ)
    set_threads(1)  # what every run of ours gets; the plain ways run as they would without us
    rows = []
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, "--data", str(args.data), "--rows", str(args.rows)]
        environment = dict(os.environ) if way in WAYS[:2] else plain_environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.split("RESULT", 1)[1]))
        print(rows[-1], flush=True)
    for row in rows[1:]:
        print(f"ours is {rows[0]['samples_s'] / row['samples_s']:.2f} times {row['way']}")
    write_text(args.out, json.dumps({**provenance(), "rows": args.rows, "batch_size": BATCH, "ways": rows}, indent=1))


if __name__ == "__main__":
    main()
