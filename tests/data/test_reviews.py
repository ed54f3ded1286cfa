"""The bundled reviews are what their card says."""

import json
import re
from collections import Counter

import pytest
from sklearn.linear_model import LogisticRegression

from senticompare.base.files import bundled
from senticompare.classify.tfidf import TfidfEncoder
from senticompare.data.splits import load_splits
from senticompare.models.loading import load_tokenizer
from senticompare.models.registry import find_model
from senticompare.spec.run_spec import make_spec

FIELDS = {"text", "label", "stars", "category", "features", "summary", "recommend", "quality", "flags", "length_bucket"}
STARS = {"negative": {1, 2}, "neutral": {2, 3, 4}, "positive": {4, 5}}


@pytest.fixture(scope="module")
def reviews():
    return {
        p: [json.loads(line) for line in (bundled("reviews") / f"{p}.jsonl").open(encoding="utf-8")]
        for p in ("train", "validation", "test")
    }


@pytest.fixture(scope="module")
def everything(reviews):
    return [r for rows in reviews.values() for r in rows]


def test_sizes_and_balance(reviews):
    assert {p: len(r) for p, r in reviews.items()} == {"train": 400, "validation": 100, "test": 300}
    for rows in reviews.values():
        shares = {k: n / len(rows) for k, n in Counter(r["label"] for r in rows).items()}
        assert shares == {"positive": 0.4, "negative": 0.3, "neutral": 0.3}


def test_fields(everything):
    for r in everything:
        assert set(r) == FIELDS and r["stars"] in STARS[r["label"]]
        assert r["category"] in {"Beauty", "Electronics", "Home", "Sports"} and r["recommend"] in {
            "yes",
            "no",
            "depends",
        }
        assert r["quality"].split(":")[0] in {"excellent", "good", "fair", "poor", "unclear"} and r["summary"].strip()
        assert set(r["flags"]) <= {"sarcastic", "mixed", "ambiguous"}


def test_every_feature_occurs_in_its_text(everything):
    for r in everything:
        for feature in r["features"]:
            assert feature["term"].lower() in r["text"].lower() and feature["polarity"] in {
                "positive",
                "negative",
                "neutral",
            }


def test_flags_categories_and_lengths_are_spread(everything):
    flags = Counter(f for r in everything for f in r["flags"])
    assert (
        0.06 <= flags["sarcastic"] / 800 <= 0.10
        and 0.06 <= flags["mixed"] / 800 <= 0.10
        and 0.045 <= flags["ambiguous"] / 800 <= 0.08
    )
    assert all(n >= 150 for n in Counter(r["category"] for r in everything).values())
    assert set(Counter(r["stars"] for r in everything)) == {1, 2, 3, 4, 5}
    assert all(Counter(r["length_bucket"] for r in everything)[b] >= 40 for b in ("short", "medium", "long"))


def test_length_buckets_are_tokens(everything):
    lengths = [
        len(ids) - 2
        for ids in load_tokenizer(find_model("all-MiniLM-L6-v2"))([r["text"] for r in everything])["input_ids"]
    ]
    assert [r["length_bucket"] for r in everything] == [
        "short" if n < 50 else "medium" if n <= 200 else "long" for n in lengths
    ]


def test_no_two_reviews_share_eight_words(everything):
    seen: dict[str, int] = {}
    for i, r in enumerate(everything):
        words = re.findall(r"[a-z0-9']+", r["text"].lower())
        for k in range(len(words) - 7):
            assert seen.setdefault(" ".join(words[k : k + 8]), i) == i, r["text"]


def test_neither_trivial_nor_noise():
    splits = load_splits(make_spec({"dataset": "reviews"}))
    tfidf = TfidfEncoder().fit(list(splits.train["text"]))
    model = LogisticRegression(max_iter=1000).fit(tfidf.encode(splits.train["text"]), splits.train["label"])
    assert 0.50 <= model.score(tfidf.encode(splits.test["text"]), splits.test["label"]) <= 0.80
