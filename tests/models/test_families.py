"""A made-up architecture family is added with one record, and everything that depends on the family follows it."""

from dataclasses import replace

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    BertPreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from senticompare.classify.cpu_inference import batches_at_once, for_inference
from senticompare.classify.embeddings import embed_texts, load_embedder
from senticompare.data.splits import load_splits
from senticompare.finetune.adapters import adapter_config, head_modules, trainable_model
from senticompare.finetune.memory_estimate import fitting_methods, has_biases, trainable_of, training_memory
from senticompare.finetune.schedule import in_head, layered_groups
from senticompare.finetune.trainer import fine_tune
from senticompare.finetune.tuned_models import load_tuned
from senticompare.measure.hardware_limits import model_flops
from senticompare.models.architectures import ARCHITECTURES
from senticompare.models.families import FAMILIES, Family, family_of
from senticompare.models.loading import head_patterns, load_for_classification, load_tokenizer, usable_length
from senticompare.models.registry import MODELS, ModelCard, find_model
from senticompare.spec.run_spec import make_spec

CLASSES = ("bad", "good")
SMALL = {"model": "tiny:odd-base", "train_size": 24, "val_size": 12, "test_size": 8, "max_length": 32, "epochs": 1,
         "batch_size": 8, "evals_per_epoch": 1, "device": "cpu"}  # fmt: skip


class OddConfig(BertConfig):
    model_type = "odd"


class OddModel(BertModel):
    config_class = OddConfig


class OddForMaskedLM(BertForMaskedLM):
    config_class = OddConfig


class OddForSequenceClassification(BertPreTrainedModel):
    """BERT without a pooler, whose head is called `verdict` and reads the first token."""

    config_class = OddConfig

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.bert = BertModel(config, add_pooling_layer=False)
        self.verdict = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, labels=None, **_):
        hidden = self.bert(input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.verdict(hidden[:, 0])
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


ODD = Family(
    model_types=("odd",),
    pooling="cls",
    head=("verdict",),
    lora=("query", "value"),
    ia3=("key", "output.dense"),
    ia3_inputs=("output.dense",),
    positions_after_padding=True,
    plain_attention=True,
)


@pytest.fixture(scope="module", autouse=True)
def odd(tmp_path_factory):
    """The family's record, and beside it the rows that any new model needs: its sizes and its card."""
    AutoConfig.register("odd", OddConfig, exist_ok=True)
    AutoModel.register(OddConfig, OddModel, exist_ok=True)
    AutoModelForMaskedLM.register(OddConfig, OddForMaskedLM, exist_ok=True)
    AutoModelForSequenceClassification.register(OddConfig, OddForSequenceClassification, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTICOMPARE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setitem(FAMILIES, "odd", ODD)
        patch.setitem(ARCHITECTURES, "odd-base", replace(ARCHITECTURES["all-MiniLM-L6-v2"], model_type="odd"))
        patch.setitem(MODELS, "odd-base", ModelCard("odd-base", parameters=22_713_216, pooling="cls"))
        yield


def tiny(method="full"):
    return trainable_model(make_spec({**SMALL, "method": method}).resolved(), CLASSES)


def test_the_family_is_found_by_type_configuration_and_model():
    assert family_of("odd") is ODD and family_of(OddConfig()) is ODD and family_of(tiny()) is ODD
    assert not family_of("odder").lora


def test_loading_and_pooling():
    card = find_model("tiny:odd-base")
    model, new = load_for_classification(card, CLASSES)
    assert card.pooling == "cls" and card.kind == "encoder" and new == ["verdict"]
    tokenizer = load_tokenizer(card)
    behind = model.config.max_position_embeddings - model.config.pad_token_id - 1
    assert usable_length(model.config, tokenizer, 500) == behind == 64
    assert head_patterns(ODD) == [r"(?:.*\.)?(?:verdict)"]


def test_head():
    model = tiny()
    assert head_modules(model, []) == ["verdict"]
    assert [n for n, _ in model.named_parameters() if in_head(n, ODD)] == ["verdict.weight", "verdict.bias"]
    groups = layered_groups(model, set(), 1.0, 0.0, 0.5)
    assert groups[0]["lr"] == 1 and sum(p.numel() for p in groups[0]["params"]) == 64 * 2 + 2


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_adapters_sit_where_the_record_says(method):
    spec = make_spec({**SMALL, "method": method}).resolved()
    plain, _ = load_for_classification(find_model(spec.model), CLASSES)
    config = adapter_config(plain, spec, find_model(spec.model), ["verdict"])
    assert config.target_modules == set(ODD.lora if method == "lora" else ODD.ia3)
    assert method == "lora" or config.feedforward_modules == {"output.dense"}
    trained = {n for n, p in tiny(method).named_parameters() if p.requires_grad}
    names = {"lora": {"query", "value"}, "ia3": {"key", "dense"}}[method]
    assert {n.split(f".{method}_")[0].split(".")[-1] for n in trained if "verdict" not in n} == names
    assert any("verdict.modules_to_save" in n for n in trained)


@pytest.mark.parametrize("method", ["full", "lora", "ia3"])
def test_trained_saved_and_read_again(method, tmp_path):
    spec = make_spec({**SMALL, "method": method, "precision": "float32"}).resolved()
    splits = load_splits(spec)
    record = fine_tune(spec, splits, tmp_path / "model")
    assert record["head_change"] > 0 and 0 < record["best_val_f1_macro"] <= 1
    model = load_tuned(spec, tmp_path / "model", splits.classes)
    assert model.verdict.weight.shape == (len(splits.classes), 64)


def test_frozen_embedding_takes_the_first_token():
    card, texts = find_model("tiny:odd-base"), ["a fine film", "it broke after a day"]
    embedder = load_embedder(card, 32, "cpu")
    with torch.inference_mode():
        batch = load_tokenizer(card)(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
        first = AutoModel.from_pretrained(card.folder).eval()(**batch).last_hidden_state[:, 0]
    assert abs(embed_texts(embedder, texts) - first.numpy()).max() < 1e-5


def test_fast_attention_and_two_batches_at_once():
    model = AutoModel.from_pretrained(find_model("tiny:odd-base").folder)
    assert for_inference(model).config._attn_implementation == "short_text"
    assert batches_at_once(model) == 1, "the record does not allow two at once"


def test_memory_estimate_and_operations():
    counts = {m: trainable_of("odd-base", m) for m in ("full", "lora", "ia3", "bitfit")}
    assert counts["full"] > counts["lora"] > 384 * 2 + 2 and counts["bitfit"] > 0 and has_biases("odd-base")
    assert counts["ia3"] == 6 * (384 + 384 + 1536) + 384 * 2 + 2  # keys, and inputs of both `output.dense`
    assert training_memory("odd-base", "lora")["total"] > 90
    assert "full" in fitting_methods("odd-base", 1, 16)
    model = tiny()
    per_token = sum(
        m.weight.numel() for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "verdict"
    )
    assert model_flops(model, [3]) == 2 * per_token * 3 + 4 * 2 * 64 * 9
