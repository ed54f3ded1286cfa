"""Damage to what is kept between runs changes no figure: it is noticed, said in one line, and made good."""

import os

import numpy as np
import pytest

from senticompare.classify.embeddings import embed_texts
from senticompare.classify.vector_store import append_rows
from senticompare.data.cleaning import text_key

WIDTH = 5


class Stub:
    """An embedder whose vectors follow from the text alone, and which counts what it is asked."""

    key, width = "stub", WIDTH

    def __init__(self):
        self.asked = []

    def windows(self, texts, batch_tokens):
        for start in range(0, len(texts), 7):
            part = texts[start : start + 7]
            self.asked += part
            yield np.array([vector(t) for t in part], np.float32)


def vector(text):
    return np.frombuffer(text_key(text) + text_key(text + "."), np.uint8)[:WIDTH].astype(np.float32) - 127.5


TEXTS = [f"text number {i}" for i in range(40)]
RIGHT = np.array([vector(t) for t in TEXTS])


def numbers(path, change):
    found = np.fromfile(path, np.float32)
    change(found)
    found.tofile(path)


def some(rng, n):
    return rng.choice(n, max(1, n // 3), replace=False)


def assign(a, where, value):
    a[where] = value


def flip_bits(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(4):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def reorder(path, each):
    data = path.read_bytes()
    path.write_bytes(b"".join(data[i : i + each] for i in range(0, len(data), each))[::-1])


def reversed_rows(path):
    path.write_bytes(np.fromfile(path, "V16")[::-1].tobytes())


def shorter(path, share):
    os.truncate(path, int(path.stat().st_size * share))


DAMAGE = {
    "signs of a third flipped": lambda d, rng: numbers(
        d / "vectors.f32", lambda v: assign(v, i := some(rng, len(v)), -v[i])
    ),
    "zeroed": lambda d, rng: numbers(d / "vectors.f32", lambda v: v.fill(0)),
    "one row zeroed": lambda d, rng: numbers(
        d / "vectors.f32", lambda v: assign(v.reshape(-1, WIDTH), rng.integers(40), 0)
    ),
    "all NaN": lambda d, rng: numbers(d / "vectors.f32", lambda v: v.fill(np.nan)),
    "one NaN": lambda d, rng: numbers(d / "vectors.f32", lambda v: assign(v, rng.integers(len(v)), np.nan)),
    "one infinite": lambda d, rng: numbers(d / "vectors.f32", lambda v: assign(v, rng.integers(len(v)), np.inf)),
    "bits of vectors flipped": lambda d, rng: flip_bits(d / "vectors.f32", rng),
    "vectors cut somewhere": lambda d, rng: shorter(d / "vectors.f32", rng.random() * 0.99),
    "vectors halved": lambda d, rng: shorter(d / "vectors.f32", 0.5),
    "vectors empty": lambda d, rng: shorter(d / "vectors.f32", 0),
    "vectors deleted": lambda d, rng: (d / "vectors.f32").unlink(),
    "vectors of another width": lambda d, rng: np.zeros((40, WIDTH + 2), np.float32).tofile(d / "vectors.f32"),
    "rows of vectors in another order": lambda d, rng: numbers(
        d / "vectors.f32", lambda v: assign(v, slice(None), v[::-1].copy())
    ),
    "keys reversed": lambda d, rng: reversed_rows(d / "keys.bin"),
    "bits of keys flipped": lambda d, rng: flip_bits(d / "keys.bin", rng),
    "keys halved": lambda d, rng: shorter(d / "keys.bin", 0.5),
    "keys deleted": lambda d, rng: (d / "keys.bin").unlink(),
    "list cut": lambda d, rng: shorter(d / "appends.json", 0.7),
    "list empty": lambda d, rng: shorter(d / "appends.json", 0),
    "list is no list": lambda d, rng: (d / "appends.json").write_text('{"a": [1]}'),
    "list deleted, as in a store of an earlier version": lambda d, rng: (d / "appends.json").unlink(),
    "all but the list deleted": lambda d, rng: [(d / n).unlink() for n in ("keys.bin", "vectors.f32")],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_store_gives_the_same_vectors(tmp_path, capsys, name):
    for place in range(12):
        rng = np.random.default_rng(place)
        cache = tmp_path / str(place)
        for part in (TEXTS[:9], TEXTS[5:30], TEXTS):  # several appends
            assert np.array_equal(embed_texts(Stub(), part, cache), RIGHT[[TEXTS.index(t) for t in part]])
        assert capsys.readouterr().err == ""
        DAMAGE[name](cache / "stub", rng)
        again = Stub()
        assert np.array_equal(embed_texts(again, TEXTS, cache), RIGHT), (name, place)
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and str(cache / "stub") in said and "computed again" in said and again.asked, (
            name,
            place,
            said,
        )
        once_more = Stub()
        assert (
            np.array_equal(embed_texts(once_more, TEXTS[::-1], cache), RIGHT[::-1])
            and not once_more.asked
            and capsys.readouterr().err == ""
        )


def test_bits_of_the_list_change_nothing(tmp_path, capsys):
    for place in range(60):
        rng, cache = np.random.default_rng(place), tmp_path / str(place)
        embed_texts(Stub(), TEXTS[:20], cache)
        embed_texts(Stub(), TEXTS, cache)
        flip_bits(cache / "stub" / "appends.json", rng)
        assert np.array_equal(embed_texts(Stub(), TEXTS, cache), RIGHT), place


def test_only_what_is_damaged_is_computed_again(tmp_path, capsys):
    embed_texts(Stub(), TEXTS[:14], tmp_path)
    embed_texts(Stub(), TEXTS, tmp_path)
    numbers(tmp_path / "stub" / "vectors.f32", lambda v: assign(v, 0, 7))
    again = Stub()
    assert np.array_equal(embed_texts(again, TEXTS, tmp_path), RIGHT) and again.asked == TEXTS[:7]
    assert "7 stored embeddings" in capsys.readouterr().err


def test_what_a_killed_process_left_is_no_damage(tmp_path, capsys):
    """Rows that were written, but are not on the list yet; and what others have mapped is not written over."""
    mapped = embed_texts(Stub(), TEXTS[:20], tmp_path)
    with (tmp_path / "stub" / "vectors.f32").open("ab") as f:
        f.write(b"half a row")
    with (tmp_path / "stub" / "keys.bin").open("ab") as f:
        f.write(b"half a k")
    again = Stub()
    assert (
        np.array_equal(embed_texts(again, TEXTS, tmp_path), RIGHT)
        and again.asked == TEXTS[20:]
        and capsys.readouterr().err == ""
    )
    numbers(tmp_path / "stub" / "vectors.f32", lambda v: None)
    assert np.array_equal(mapped, RIGHT[:20])


def test_vectors_that_are_no_numbers_are_not_kept(tmp_path):
    from senticompare.base.errors import InputError

    class Broken(Stub):
        def windows(self, texts, batch_tokens):
            yield np.full((len(texts), WIDTH), np.nan, np.float32)

    with pytest.raises(InputError, match="not finite"):
        embed_texts(Broken(), TEXTS, tmp_path)
    assert np.array_equal(embed_texts(Stub(), TEXTS, tmp_path), RIGHT)


def test_a_store_is_checked_once_in_a_process(tmp_path, monkeypatch):
    import time

    import senticompare.classify.vector_store

    embed_texts(Stub(), TEXTS, tmp_path)
    time.sleep(0.03)
    embed_texts(Stub(), TEXTS, tmp_path)
    monkeypatch.setattr(senticompare.classify.vector_store, "_as_written", None)  # would be called
    assert np.array_equal(embed_texts(Stub(), TEXTS, str(tmp_path)), RIGHT)  # a text is a path as well


def test_an_append_is_behind_everything(tmp_path):
    from senticompare.classify.vector_store import VectorStore

    store = VectorStore(tmp_path, WIDTH)
    assert [append_rows(store, [text_key(t)], vector(t)[None]) for t in TEXTS[:3]] == [0, 1, 2]
