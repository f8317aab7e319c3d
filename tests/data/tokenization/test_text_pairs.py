"""Pairs of texts in one sequence, compared with transformers."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES

from mtlkit.data.cache import encode_pairs_cached
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.text_pairs import PairForm, encode_pairs, longest_first, number_pairs, pair_form, with_pair_form
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.load_weights import read_encoder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers: Any = pytest.importorskip("transformers")

LONG = " ".join(SENTENCES)
TEXTS = ("", "cat", SENTENCES[0], f"{SENTENCES[1]} {SENTENCES[2]}", LONG, f"{LONG} cat", "Zürich 日本 🦦 [SEP] </s>")
PAIRS = [(first, second) for first in TEXTS for second in TEXTS]


@pytest.fixture(scope="module")
def real(plain_peers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders whose tokenizers are of the classes BertTokenizer and RobertaTokenizer."""
    folders = {}
    for kind, name in (("bert", "BertTokenizer"), ("roberta", "RobertaTokenizer")):
        folders[kind] = tmp_path_factory.mktemp("real") / kind
        shutil.copytree(plain_peers[kind], folders[kind])
        config = {"tokenizer_class": name, "model_max_length": 60, "add_prefix_space": True}
        (folders[kind] / "tokenizer_config.json").write_text(json.dumps(config))
    return folders


def encoded(encoder: TextEncoder, pairs: list[tuple[str, str]] = PAIRS) -> Encoded:
    return encode_pairs(encoder, *number_pairs(pairs))


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_ids_and_types_are_those_of_transformers(kind: str, side: str, real: dict[str, Path]) -> None:
    theirs = transformers.AutoTokenizer.from_pretrained(str(real[kind]), truncation_side=side)
    encoder = read_encoder(real[kind])
    for length in (8, 9, 17, 40):
        ours = encoded(encoder.with_encoding(max_length=length, truncate="head" if side == "right" else "tail"))
        firsts, seconds = ([pair[place] for pair in PAIRS] for place in (0, 1))
        expected = theirs(firsts, seconds, truncation="longest_first", max_length=length, return_token_type_ids=True)
        assert [row.tolist() for row in np.split(ours.ids, ours.offsets[1:-1])] == expected["input_ids"]
        types = np.zeros(len(ours.ids), int) if ours.types is None else ours.types
        assert [row.tolist() for row in np.split(types, ours.offsets[1:-1])] == expected["token_type_ids"]
        assert 0 < ours.truncated < len(PAIRS)


def test_each_family_has_its_own_form(real: dict[str, Path], text_encoder: TextEncoder) -> None:
    bert, roberta = (read_encoder(real[kind]) for kind in ("bert", "roberta"))
    assert pair_form(bert) == PairForm(bert.after, typed=True)
    assert pair_form(roberta) == PairForm(roberta.after * 2, typed=False)
    assert pair_form(text_encoder) == PairForm(text_encoder.after, typed=True)


def test_both_ends_of_long_texts_are_kept(text_encoder: TextEncoder) -> None:
    encoder = text_encoder.with_encoding(max_length=23, truncate="head-tail")
    ours, alone = encoded(encoder, [(LONG, LONG)]), encoder.with_encoding(max_length=12).encode([LONG])
    assert ours.ids[:12].tolist() == alone.ids.tolist()
    assert ours.ids[12:-1].tolist() == alone.ids[1:-1].tolist()
    assert encoder.cut == 1
    assert ours.types is not None
    assert ours.types.tolist() == [0] * 12 + [1] * 11


def test_longest_first_keeps_what_fits() -> None:
    lengths = np.stack(np.meshgrid(np.arange(14), np.arange(14))).reshape(2, -1)
    kept = longest_first(lengths, 9)
    assert (kept <= lengths).all()
    assert (kept.sum(0) == np.minimum(lengths.sum(0), 9)).all()


def test_a_stored_tokenizer_has_the_form_for_other_libraries(text_encoder: TextEncoder) -> None:
    stored = with_pair_form(text_encoder)
    ours = encoded(text_encoder, [(SENTENCES[0], SENTENCES[1])])
    theirs = stored.encode(SENTENCES[0], SENTENCES[1])
    assert theirs.ids == ours.ids.tolist()
    assert ours.types is not None
    assert theirs.type_ids == ours.types.tolist()
    assert stored.encode(SENTENCES[0]).ids == text_encoder.encode([SENTENCES[0]]).ids.tolist()


def test_tokens_of_pairs_are_cached(text_encoder: TextEncoder) -> None:
    pairs = [("two", "words"), ("one", LONG)]
    expected = encoded(text_encoder.with_encoding(max_length=20), pairs)
    for _ in range(2):
        encoder = text_encoder.with_encoding(max_length=20)
        found = encode_pairs_cached(pairs, encoder)
        assert found.ids.tolist() == expected.ids.tolist()
        assert found.types is not None
        assert expected.types is not None
        assert found.types.tolist() == expected.types.tolist()
        assert (found.truncated, encoder.cut) == (expected.truncated, 1)


def test_two_texts_need_room(text_encoder: TextEncoder) -> None:
    with pytest.raises(UsageError, match="no room for both texts"):
        encoded(text_encoder.with_encoding(max_length=4))
