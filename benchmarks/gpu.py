"""Full-size models on a GPU without their weights: peak memory, step time and tokens per second of real training steps, beside the estimate.

    python benchmarks/gpu.py [--models a,b] [--methods full,lora,qlora,ia3] [--batch-size 8] [--length 256] [--steps 10] [--out benchmarks/results/gpu.json]

The architectures are built at full size from their published shapes with random weights: speed and memory do not depend on the values. No model hub is
needed. Each model and method runs in a process of its own; what does not fit is reported as such.
`--tiny --device cpu` runs the tiny twins instead, to see that the script works where there is no GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("full", "lora", "qlora", "ia3")


def four_bit(model, skip):
    "Linear layers outside the head as NF4, quantised in place when they are moved to the device."
    import bitsandbytes as bnb
    import torch

    for name, layer in list(model.named_modules()):
        if type(layer) is torch.nn.Linear and name.split(".")[0] not in skip:
            small = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, layer.bias is not None, torch.bfloat16, True, "nf4"
            )
            small.weight = bnb.nn.Params4bit(
                layer.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4"
            )
            small.bias = layer.bias
            model.set_submodule(name, small)
    return model


def build(alias, method, device, tiny):
    import torch
    from peft import get_peft_model
    from transformers import AutoConfig
    from transformers import AutoModelForSequenceClassification as Auto

    from senticompare.base import runtime
    from senticompare.finetune import adapters
    from senticompare.models import registry
    from senticompare.models.architectures import published_config
    from senticompare.models.families import family_of
    from senticompare.models.tiny_models import twin_folder
    from senticompare.spec import methods, run_spec

    runtime.quiet()
    shape = AutoConfig.from_pretrained(twin_folder(alias)) if tiny else published_config(alias)
    shape.num_labels, shape.pad_token_id = 2, shape.pad_token_id or 0
    how = methods.METHODS[method]
    dtype = getattr(torch, registry.MODELS[alias].dtype) if how.adapter and device == "cuda" else torch.float32
    with torch.device("cpu" if how.quantized else device):
        model = Auto.from_config(shape, dtype=dtype)
    heads = list(family_of(model).head)
    model = four_bit(model, heads).to(device) if how.quantized else model
    if not how.adapter:
        return model.train()
    spec = run_spec.make_spec({"method": method}).resolved()
    for p in model.parameters():
        p.requires_grad_(False)
    return get_peft_model(model, adapters.adapter_config(model, spec, registry.ModelCard(alias), heads)).train()


def measure(args):
    import torch

    from senticompare.finetune.memory_estimate import training_memory
    from senticompare.models.loading import count_parameters

    cuda = args.device == "cuda"
    model = build(args.models, args.methods, args.device, args.tiny)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    average = [p.detach().clone() for p in trained]  # training keeps one
    ids = torch.randint(5, 500, (args.batch_size, args.length), device=args.device)
    labels = torch.zeros(args.batch_size, dtype=torch.long, device=args.device)
    seconds = []
    for _ in range(args.steps + 2):
        start = time.perf_counter()
        with torch.autocast(args.device, torch.bfloat16, enabled=cuda):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    step = sorted(seconds[2:])[args.steps // 2]
    peak = torch.cuda.max_memory_allocated() / 1e6 if cuda else None
    estimate = (
        None if args.tiny else training_memory(args.models, args.methods, args.batch_size, args.length, cuda)["total"]
    )
    found = {
        "model": args.models,
        "method": args.methods,
        **count_parameters(model),
        "step_ms_p50": round(step * 1e3, 2),
    }
    found |= {
        "tokens_s": round(args.batch_size * args.length / step),
        "peak_device_mb": peak,
        "estimate_mb": estimate,
        "averaged_tensors": len(average),
    }
    found["estimate_error_percent"] = round(100 * (estimate / peak - 1), 1) if peak and estimate else None
    print("RESULT", json.dumps(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/gpu.json")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return measure(args)
    import torch

    from senticompare.base.files import write_text
    from senticompare.measure.provenance import provenance
    from senticompare.models.architectures import ARCHITECTURES

    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("error: no CUDA device here; run this where there is one (--tiny --device cpu only checks the script)")
    rows = []
    same = [
        "--batch-size",
        str(args.batch_size),
        "--length",
        str(args.length),
        "--steps",
        str(args.steps),
        "--device",
        args.device,
        *(["--tiny"] * args.tiny),
    ]
    for alias in args.models.split(",") if args.models else ARCHITECTURES:
        for method in args.methods.split(","):
            command = [sys.executable, __file__, "--one", "--models", alias, "--methods", method, *same]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            rows.append(
                json.loads(done.stdout.split("RESULT", 1)[1])
                if done.returncode == 0
                else {"model": alias, "method": method, "error": last[:300]}
            )
            print(rows[-1], flush=True)
    write_text(
        args.out,
        json.dumps(
            {**provenance(), "batch_size": args.batch_size, "length": args.length, "tiny": args.tiny, "runs": rows},
            indent=1,
        ),
    )


if __name__ == "__main__":
    main()
