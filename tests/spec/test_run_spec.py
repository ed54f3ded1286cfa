"""The records of all versions: stored hashes come out again, and settings keep their names and their order."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from senticompare.base.errors import InputError
from senticompare.spec import identity
from senticompare.spec.run_spec import (
    CHOICES,
    DATA_FIELDS,
    FIELD_TYPES,
    AdapterSpec,
    DataSpec,
    RunSpec,
    TrainSpec,
    make_data_spec,
    make_spec,
)

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "published"
RECORDS = sorted(p for p in PUBLISHED.glob("*/*--s*.json") if "spec_hash" in json.loads(p.read_text(encoding="utf-8")))
ORDER = """model method head dataset seed variant text_column label_column separator encoding stars skip_bad_rows data_seed
    train_size val_size test_size augment max_length truncation_limit tune epochs batch_size learning_rate layer_decay
    gradient_accumulation gradient_checkpointing precision weight_decay warmup_ratio scheduler patience evals_per_epoch
    average_share lora_r lora_alpha lora_dropout target_modules device""".split()  # noqa: SIM905


def test_there_are_records():
    assert len(RECORDS) >= 40


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: p.stem)
def test_a_stored_hash_comes_out_again(path, monkeypatch):
    """The rules were raised once since the first records; nothing else may change a hash, or finished runs are redone."""
    record = json.loads(path.read_text(encoding="utf-8"))
    spec = make_spec(record["spec"])
    hashes = []
    for rules in (5, 6):
        monkeypatch.setattr(identity, "RULES", rules)
        hashes.append(identity.spec_hash(spec, record["provenance"]["inputs"]))
    assert record["spec_hash"] in hashes
    resolved = json.loads(json.dumps(asdict(spec.resolved())))
    stored = record["spec"]
    assert [n for n in resolved if n in stored] == list(stored)
    assert {n: resolved[n] for n in stored} == stored and spec.run_id == record["run_id"]


def test_settings_stand_in_one_order():
    assert [f.name for f in fields(RunSpec)] == list(FIELD_TYPES) == list(asdict(RunSpec().resolved())) == ORDER


def test_every_setting_belongs_to_one_part():
    parts = [f.name for kind in (DataSpec, TrainSpec, AdapterSpec) for f in fields(kind)]
    assert sorted(parts) == sorted(n for n in ORDER if n not in ("model", "method", "head", "variant", "device"))
    assert DATA_FIELDS == (
        "dataset", "text_column", "label_column", "separator", "encoding", "stars", "skip_bad_rows", "data_seed",
        "train_size", "val_size", "test_size",
    )  # fmt: skip


def test_types_and_choices():
    kinds = {name: FIELD_TYPES[name] for name in ("model", "head", "seed", "epochs", "skip_bad_rows", "augment")}
    assert kinds == {
        "model": "str", "head": "str | None", "seed": "int", "epochs": "float | None", "skip_bad_rows": "bool", "augment": "float",
    }  # fmt: skip
    assert CHOICES["device"] == ("auto", "cuda", "mps", "cpu") and CHOICES["stars"] == (2, 3, 5)


def test_a_run_is_a_data_specification():
    run = make_spec({"dataset": "imdb", "test_size": 60, "method": "lora"})
    assert isinstance(run, DataSpec) and run.method_info.adapter == "lora"
    assert make_data_spec({"dataset": "imdb"}) == DataSpec("imdb")
    with pytest.raises(InputError, match="no setting of data"):
        make_data_spec({"learning_rate": 1e-3})


@pytest.mark.parametrize(
    "values, words",
    [
        ({"epochs": 0}, "epochs: 0.0 is outside 0.001 to 1000"),
        ({"stars": 4}, "stars: unknown value 4"),
        ({"model": "majority"}, "majority and tfidf are baselines"),
        ({"model": "tfidf", "method": "baseline", "head": "classifier"}, "head 'classifier' does not go with"),
        ({"model": "majority", "method": "baseline", "head": "linear"}, "known: majority"),
    ],
)
def test_what_is_refused(values, words):
    with pytest.raises(InputError, match=words):
        make_spec(values)
