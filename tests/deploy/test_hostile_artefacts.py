"""Folders of strangers: none runs code, reads an answer from standard input, reaches outside itself or hangs; each ends in one error line or a right answer.

Each group of artefacts is asked by the real command in one process of its own, with `y` on standard input for whoever would read it.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from senticompare.base.descriptions import describe, description
from senticompare.cli.main import run_command
from senticompare.deploy.export import export_classifier

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
TEXT = "good film " + "a" * 60 + "!"
SMALL = ["--dataset", "reviews", "--train-size", "48", "--val-size", "24", "--test-size", "24", "--max-length", "32"]
TUNED = ["--epochs", "1", "--batch-size", "8", "--set", "evals_per_epoch=1"]
SECONDS = 20  # for one artefact, on a busy machine
EVIL = """
open({mark!r}, "a").write("ran")
from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertModel, PreTrainedTokenizerFast
class C(DistilBertConfig): model_type = "evil"
class M(DistilBertForSequenceClassification): config_class = C
class B(DistilBertModel): config_class = C
class T(PreTrainedTokenizerFast): pass
def generate(*a, **k): pass
"""
MAP = {
    "AutoConfig": "evil.C",
    "AutoModel": "evil.B",
    "AutoModelForSequenceClassification": "evil.M",
    "AutoTokenizer": ["evil.T", "evil.T"],
}
MAPS = {"auto_map": MAP}
PIPE = {"custom_pipelines": {"text-classification": {"impl": "evil.M", "pt": ["AutoModel"]}}}
JINJA = "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}"


class Bomb:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return eval, (f"open({self.mark!r}, 'a').write('ran')",)


# --- what can be done to a folder: functions of the folder with the files and the mark's path ---------------------------------------------------------


def keys(file, **values):
    """Put keys into a JSON file."""

    def change(folder, mark):
        path = folder / file
        about = json.loads(path.read_text()) if path.exists() else {}
        path.unlink(missing_ok=True)
        path.write_text(json.dumps({**about, **values}))

    return change


def bomb(*files, instead=()):
    """Pickles under these names, in the place of the files `instead`."""

    def change(folder, mark):
        for file in files:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(pickle.dumps({"weight": Bomb(str(mark))}))
        for file in instead:
            (folder / file).unlink()

    return change


def numpy_bomb(file, instead):
    def change(folder, mark):
        np.save(folder / file, np.array([Bomb(str(mark))], dtype=object), allow_pickle=True)
        (folder / instead).unlink()

    return change


def file(name, content):
    return lambda folder, mark: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def both(*changes):
    return lambda folder, mark: [change(folder, mark) for change in changes]


def evil_base(folder, mark):
    """A whole model folder with code in it, which an adapter names as its base."""
    base = folder.parent / "evil-base"
    base.mkdir(exist_ok=True)
    (base / "evil.py").write_text(EVIL.format(mark=str(mark)))
    (base / "config.json").write_text(json.dumps({"model_type": "evil", **MAPS}))
    names = {"base_model_class": "M", "parent_library": "evil"}
    keys("adapter_config.json", base_model_name_or_path=str(base), peft_type="LORA", auto_mapping=names)(folder, mark)


def link(name, target):
    """A file as a link: to a place outside, or (None) to its own bytes moved out of the folder."""

    def change(folder, mark):
        there = folder.parent / f"outside-{name}" if target is None else Path(target)
        if target is None:
            shutil.copy(folder / name, there)
        (folder / name).unlink()
        (folder / name).symlink_to(there)

    return change


def pipe(name):
    def change(folder, mark):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def tokens(**changes):
    """Other content for tokenizer.json."""

    def change(folder, mark):
        about = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer.json").write_text(json.dumps({**about, **changes}))

    return change


def split(pattern):
    return tokens(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    )


def graph(edit):
    """An ONNX graph that is edited by a function of the model."""

    def change(folder, mark):
        model = onnx.load(str(folder / "model.onnx"))
        edit(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())

    return change


def outside(location):
    def edit(model):
        weight = max(model.graph.initializer, key=lambda t: len(t.raw_data))
        weight.ClearField("raw_data")
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)

    return graph(edit)


def operator(op, domain="", **attributes):
    def edit(model):
        node = onnx.helper.make_node(op, ["input_ids"], ["evil"], domain=domain, **attributes)
        model.graph.node.insert(0, node)
        if domain:
            model.opset_import.add(domain=domain, version=1)

    return graph(edit)


def endless(model):
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["on"], ["still"])], "body",
        [onnx.helper.make_tensor_value_info(n, t, []) for n, t in (("i", onnx.TensorProto.INT64), ("on", onnx.TensorProto.BOOL))],
        [onnx.helper.make_tensor_value_info("still", onnx.TensorProto.BOOL, [])],
    )  # fmt: skip
    model.graph.initializer.append(onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["", "yes"], [], body=body))


def huge(model):
    model.graph.initializer.append(onnx.helper.make_tensor("size", onnx.TensorProto.INT64, [1], [10**15]))
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["size"], ["evil"]))


def spoilt(model):
    largest = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    largest.raw_data = np.full(len(largest.raw_data) // 4, np.nan, np.float32).tobytes()


def fewer_classes(model):
    node = next(n for n in model.graph.node if "logits" in n.output)
    node.output[:] = ["all"]
    model.graph.initializer.append(onnx.helper.make_tensor("two", onnx.TensorProto.INT64, [2], [0, 1]))
    model.graph.node.insert(
        list(model.graph.node).index(node) + 1, onnx.helper.make_node("Gather", ["all", "two"], ["logits"], axis=1)
    )


def about(**values):
    """Other content for senticompare.json (with a right checksum)."""
    return lambda folder, mark: describe(
        folder, {**{k: v for k, v in description(folder).items() if k not in ("files", "format")}, **values}
    )


def bits(name):
    def change(folder, mark):
        content = bytearray((folder / name).read_bytes())
        for i in range(40, len(content), max(1, len(content) // 30)):
            content[i] ^= 4
        (folder / name).unlink()
        (folder / name).write_bytes(bytes(content))

    return change


def raw(name, content):
    def change(folder, mark):
        (folder / name).unlink()
        (folder / name).write_text(content)

    return change


SHARD = "shard-00000-model-00001-of-00001.safetensors"
INDEX = json.dumps({"metadata": {}, "weight_map": {"classifier.weight": "../outside.safetensors"}})
# base -> {name: (change, whether senticompare.json's checksums are made to fit)}
CASES = {
    "full": {  # a checkpoint; its network lies in model/
        "auto_map of the model": (keys("model/config.json", **MAPS), True),
        "unknown model_type with code": (keys("model/config.json", model_type="evil", **MAPS), True),
        "auto_map of the tokenizer": (keys("model/tokenizer_config.json", tokenizer_class="T", **MAPS), True),
        "auto_map in generation_config": (keys("model/generation_config.json", custom_generate="evil", **MAPS), True),
        "custom pipelines": (keys("model/config.json", **PIPE), True),
        "a pickle instead of the weights": (bomb("model/pytorch_model.bin", instead=["model/model.safetensors"]), True),
        "pickles beside": (bomb("model/pytorch_model.bin", "model/training_args.bin", "model/optimizer.pt", "head.joblib", "model/rng_state.pth"), True),
        "pickles beside, not listed": (bomb("pytorch_model.bin", "model/scheduler.pt"), False),
        "attention kernel of a hub": (keys("model/config.json", _attn_implementation="evil/kernel", attn_implementation="evil/kernel"), True),
        "unknown quantiser": (keys("model/config.json", quantization_config={"quant_method": "evil"}), True),
        "quantiser that is not installed": (keys("model/config.json", quantization_config={"quant_method": "aqlm"}), True),
        "megatron": (keys("model/config.json", model_type="megatron_core", megatron_core={"path": "evil.py"}), True),
        "weights as a link to a system file": (link("model/model.safetensors", "/etc/passwd"), True),
        "weights elsewhere": (keys("model/config.json", transformers_weights="../../outside.safetensors"), True),
        "code as generation": (file("model/chat_template.jinja", JINJA), True),
        "base model with code": (about(base="x"), False),
        "description as a pipe": (pipe("senticompare.json"), False),
        "result as a pipe": (pipe("result.json"), False),
        "deep description": (raw("senticompare.json", "[" * 100_000), False),
    },
    "lora": {
        "adapter of an evil base": (lambda folder, mark: evil_base(folder / "model", mark), True),
        "adapter as a pickle": (bomb("model/adapter_model.bin", instead=["model/adapter_model.safetensors"]), True),
        "unknown kind of adapter": (keys("model/adapter_config.json", peft_type="EVIL"), True),
        "auto_map in the adapter": (keys("model/adapter_config.json", auto_mapping={"base_model_class": "M", "parent_library": "evil"}, **MAPS), True),
    },
    "trees": {
        "trees with flipped bits": (bits("xgboost.ubj"), False),
        "trees as a pickle": (bomb("xgboost.ubj"), False),
        "vocabulary as a pickle": (bomb("tfidf.safetensors"), True),
        "a joblib instead of trees": (bomb("xgboost.joblib", instead=["xgboost.ubj"]), True),
    },
    "safetensors": {  # an export
        "auto_map of the model": (keys("config.json", **MAPS), True),
        "unknown model_type with code": (keys("config.json", model_type="evil", **MAPS), True),
        "auto_map of the tokenizer": (keys("tokenizer_config.json", tokenizer_class="T", **MAPS), True),
        "auto_map without checksums": (keys("config.json", **MAPS), False),
        "custom pipelines": (keys("config.json", **PIPE), True),
        "adapter beside": (evil_base, False),
        "adapter listed": (both(evil_base, bomb("adapter_model.bin")), True),
        "a pickle instead of the weights": (bomb("pytorch_model.bin", instead=["model.safetensors"]), True),
        "pickles beside": (bomb("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.joblib"), True),
        "other weights beside": (file(SHARD, b"x" * 100), False),
        "index that points outside": (both(lambda folder, mark: (folder / "model.safetensors").unlink(), file("model.safetensors.index.json", INDEX)), True),
        "attention kernel of a hub": (keys("config.json", _attn_implementation="evil/kernel"), True),
        "kernel deep inside": (keys("config.json", text_config={"attn_implementation": "evil/kernel"}), True),
        "quantiser": (keys("config.json", quantization_config={"quant_method": "bitsandbytes_4bit", "load_in_4bit": True}), True),
        "weights elsewhere": (keys("config.json", transformers_weights="../outside.safetensors"), True),
        "megatron": (keys("config.json", model_type="megatron_core"), True),
        "a million layers": (keys("config.json", n_layers=1_000_000), True),
        "weights as a link to their own bytes": (link("model.safetensors", None), True),
        "weights as a link to a system file": (link("model.safetensors", "/etc/passwd"), True),
        "weights as a pipe": (pipe("model.safetensors"), False),
        "description as a pipe": (pipe("senticompare.json"), False),
        "configuration as a pipe": (pipe("config.json"), False),
        "regular expression without end": (split("(a+)+$"), True),
        "broken regular expression": (split("(?="), True),
        "padding to a billion": (tokens(padding={"strategy": {"Fixed": 10**9}, "direction": "Left", "pad_to_multiple_of": 10**9, "pad_id": 0,
                                                 "pad_type_id": 0, "pad_token": "<pad>"}), True),
        "no limit of tokens": (tokens(truncation=None), True),
        "chat template that climbs": (both(keys("tokenizer_config.json", chat_template=JINJA), file("chat_template.jinja", JINJA)), True),
        "generation with code": (keys("generation_config.json", custom_generate="evil", **MAPS), True),
        "names outside": (about(files={"../../../etc/passwd": {"bytes": 1, "sha256": "0"}}), False),
        "asked in another way": (about(ask=["pipeline", "xgboost"]), False),
        "asked by no way": (about(ask=3), False),
        "classes that steer a terminal": (about(classes=["\x1b[31ma", "b\n", "c"]), False),
    },
    "onnx": {
        "auto_map of the model": (keys("config.json", **MAPS), True),
        "auto_map of the tokenizer": (keys("tokenizer_config.json", tokenizer_class="T", **MAPS), True),
        "weights in another folder": (outside("../../outside.bin"), True),
        "weights in a system file": (outside("/etc/passwd"), True),
        "weights in a link beside": (both(outside("model.onnx.data"), lambda folder, mark: (folder / "model.onnx.data").symlink_to("/etc/passwd")), True),
        "operator of a library": (operator("Evil", "com.evil"), True),
        "operator of one runtime": (operator("Tokenizer", "ai.onnx.contrib"), True),
        "loop without end": (graph(endless), True),
        "a tensor of eight petabytes": (graph(huge), True),
        "weights that are no numbers": (graph(spoilt), True),
        "too few classes": (graph(fewer_classes), True),
        "a pickle as the graph": (bomb("model.onnx"), True),
        "graph as a pipe": (pipe("model.onnx"), False),
        "regular expression without end": (split("(a|aa)+\\1$"), True),
        "custom operators beside": (file("custom_ops.so", b"\x7fELF"), True),
        "numpy pickle instead of the graph": (numpy_bomb("model.npy", "model.onnx"), True),
    },
    "model": {  # a folder given as --model
        "auto_map of the model": (keys("config.json", **MAPS), False),
        "unknown model_type with code": (keys("config.json", model_type="evil", **MAPS), False),
        "auto_map of the tokenizer": (keys("tokenizer_config.json", tokenizer_class="T", **MAPS), False),
        "a pickle instead of the weights": (bomb("pytorch_model.bin", instead=["model.safetensors"]), False),
        "adapter beside": (both(evil_base, bomb("adapter_model.bin")), False),
        "attention kernel of a hub": (keys("config.json", _attn_implementation="evil/kernel", attn_implementation="evil/kernel"), False),
        "unknown quantiser": (keys("config.json", quantization_config={"quant_method": "evil"}), False),
        "modules of sentence-transformers": (file("modules.json", json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.M"}])), False),
        "chat template that climbs": (file("chat_template.jinja", JINJA), False),
    },
}  # fmt: skip

# In a process of its own: standard input is real, and a crash or a hang takes only its group with it.
ASK = """
import contextlib, io, json, os, sys, time
from senticompare.cli.main import run_command
for line in open(sys.argv[1]):
    case = json.loads(line)
    print(json.dumps({"starts": case["name"]}), flush=True)
    out, err, start = io.StringIO(), io.StringIO(), time.time()
    os.chdir(case["folder"])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run_command(case["command"])
    print(json.dumps({"name": case["name"], "status": status, "out": out.getvalue(), "err": err.getvalue(), "seconds": time.time() - start}), flush=True)
print(json.dumps({"stdin": len(sys.stdin.read())}))
"""
ANSWERS = "y\n" * 500


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A sound folder of each kind, and what it answers."""
    home = tmp_path_factory.mktemp("home")
    from senticompare.models.loading import load_tokenizer
    from senticompare.models.registry import find_model, model_source

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(home / "home"))
        patch.setattr("senticompare.deploy.export_comparison.gemm_gflops", lambda **_: 100.0)
        patch.setattr("senticompare.deploy.export_comparison.BUDGET_S", 0.0)
        tiny = ["--model", "tiny:distilbert-base"]
        made = {"full": [*tiny, "--method", "full", *TUNED], "lora": [*tiny, "--method", "lora", *TUNED],
                "trees": ["--model", "tfidf", "--method", "baseline", "--head", "xgboost"]}  # fmt: skip
        for name, options in made.items():
            assert run_command(["train", *options, *SMALL, "--output-dir", str(home / name)]) == 0
        for to in ("safetensors", "onnx"):
            export_classifier(home / "full", home / to, to)
        twin = find_model("tiny:distilbert-base")
        shutil.copytree(model_source(twin)[0], home / "model")
        load_tokenizer(twin).save_pretrained(home / "model")
        yield home


def arm(bases, kind, name, work):
    """A folder with one artefact in it, and the command that asks it."""
    folder, (change, fits) = work / name.replace(" ", "-") / kind, CASES[kind][name]
    shutil.copytree(bases / kind, folder)
    mark = folder.parent / "MARK"
    for place in (folder, folder / "model"):
        if place.is_dir():
            (place / "evil.py").write_text(EVIL.format(mark=str(mark)))
    change(folder, mark)
    if fits:
        describe(folder, {k: v for k, v in description(folder).items() if k not in ("files", "format")})
    if kind == "model":
        command = [
            "train",
            "--model",
            str(folder),
            "--method",
            "frozen",
            "--head",
            "linear",
            *SMALL,
            "--output-dir",
            str(folder.parent / "out"),
            "--json",
        ]
    else:
        command = ["predict", "--checkpoint", str(folder), TEXT, "--json"]
    return {"name": name, "folder": str(folder), "command": command}, mark


@pytest.fixture(scope="module")
def asked(bases, tmp_path_factory):
    """A function from a kind of folder to what the command did with each of its artefacts; each kind is asked once."""
    done = {}

    def ask(kind):
        if kind not in done:
            work = tmp_path_factory.mktemp(kind)
            armed = {name: arm(bases, kind, name, work) for name in CASES[kind]}
            sound = {
                "name": "sound",
                "folder": str(work),
                "command": ["predict", "--checkpoint", str(bases / kind), TEXT, "--json"],
            }
            cases = [case for case, _ in armed.values()] + ([sound] if kind != "model" else [])
            (work / "cases").write_text("\n".join(map(json.dumps, cases)))
            command = [sys.executable, "-c", ASK, str(work / "cases")]
            (work / "answers").write_text(ANSWERS)
            with (
                (work / "answers").open() as answers,
                (work / "told").open("w") as told,
                (work / "noise").open("w") as noise,
            ):
                ran = subprocess.Popen(command, stdin=answers, stdout=told, stderr=noise, cwd=work)
                try:
                    ran.wait(60 + 3 * len(cases))
                except subprocess.TimeoutExpired:
                    ran.kill()
            rows = [json.loads(line) for line in (work / "told").read_text().splitlines()]
            found = {row["name"]: row for row in rows if "name" in row}
            done[kind] = (
                found,
                {name: mark for name, (_, mark) in armed.items()},
                rows[-1],
                (work / "noise").read_text(),
            )
        return done[kind]

    return ask


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, cases in CASES.items() for name in cases])
def test_one_line_or_a_right_answer(asked, kind, name):
    found, marks, last, noise = asked(kind)
    assert not marks[name].exists(), "code of the folder was run"
    assert name in found, f"the process ended or hung at: {last}\n{noise[-2000:]}"
    row = found[name]
    assert row["seconds"] < SECONDS and "Traceback" not in row["err"]
    if row["status"] == 0:
        if kind != "model":
            wanted, given = (json.loads(r["out"])[0] for r in (found["sound"], row))
            ours, theirs = ([v for v in r.values() if isinstance(v, float)] for r in (wanted, given))
            assert len(ours) == 3 and theirs == pytest.approx(ours, abs=2e-4)
    else:
        assert row["status"] == 2 and row["out"] == "", row
        lines = [line for line in row["err"].splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < 1000 and "\x1b" not in lines[0], (
            row["err"]
        )


@pytest.mark.parametrize("kind", CASES)
def test_standard_input_is_left_alone(asked, kind):
    assert asked(kind)[2] == {"stdin": len(ANSWERS)}
