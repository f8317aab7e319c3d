"""Tokenizers that no text should be given to are refused, and ids may have gaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from mtlkit.config.architecture import Encoding, Truncation
from mtlkit.data.tokenization.tokenizer import TextEncoder, open_encoder
from mtlkit.data.tokenization.words import encode_words
from mtlkit.errors import IntegrityError


def wordpiece(vocabulary: dict[str, int] | None = None, **model: Any) -> Tokenizer:
    """[CLS] text [SEP], as BERT has it."""
    vocabulary = vocabulary or {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "guitar": 4}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", **model))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


TENFOLD = [normalizers.Replace("a", "a" * 10)] * 9


@pytest.mark.parametrize(
    "normalizer",
    [
        normalizers.Sequence(TENFOLD),
        normalizers.Sequence([normalizers.Sequence(TENFOLD[:5]), normalizers.Sequence(TENFOLD[5:])]),
        normalizers.Sequence([normalizers.Replace(Regex("a|b"), "a" * 10)] * 9),
        normalizers.Sequence([normalizers.Prepend("a" * 40)] * 3),
        normalizers.Replace("a", "a" * 1_000_000),
    ],
)
def test_normalizers_that_multiply_text_are_refused_unread(normalizer: Any) -> None:  # fault 49
    tokenizer = wordpiece()
    tokenizer.normalizer = normalizer
    with pytest.raises(IntegrityError, match=r"can turn one character into .*; at most 1,000"):
        TextEncoder(tokenizer, Encoding(8))


def test_pre_tokenizers_that_multiply_text_are_refused_unread() -> None:  # fault 49
    tokenizer = wordpiece()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel()] * 40)
    with pytest.raises(IntegrityError, match=r"can turn one character into"):
        TextEncoder(tokenizer, Encoding(8))


def test_normalizers_that_lengthen_texts_a_little_are_fine() -> None:
    tokenizer = wordpiece()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace("…", " a a ")])
    encoded = TextEncoder(tokenizer, Encoding(64)).encode(["guitar…" * 4, "…" * 300_000])
    assert encoded.ids.tolist()[:14] == [1, *[4, 3, 3] * 4, 2]
    assert (encoded.lengths.tolist(), encoded.truncated) == ([14, 64], 1)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("[CLS] $A [SEP] $A", "between its first and last tokens"),
        ("[CLS] $A:1 [SEP]", "token types other than 0"),
    ],
)
def test_a_post_processor_must_put_the_text_between_its_tokens(template: str, reason: str) -> None:
    tokenizer = wordpiece()
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    with pytest.raises(IntegrityError, match=reason):
        TextEncoder(tokenizer, Encoding(8))


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [("$A", (), ()), ("[CLS] $A", (1,), ()), ("$A [SEP]", (), (2,)), ("[CLS] [SEP] $A [SEP]", (1, 2), (2,))],
)
@pytest.mark.parametrize("truncate", ["head", "tail"])
def test_any_number_of_tokens_around_a_text(
    template: str, before: tuple[int, ...], after: tuple[int, ...], truncate: Truncation
) -> None:
    tokenizer = wordpiece()
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    encoder = TextEncoder(tokenizer, Encoding(6, truncate))
    room = 6 - len(before) - len(after)
    inner = ([3] * 20 + [4] * 20)[:room] if truncate == "head" else ([3] * 20 + [4] * 20)[-room:]
    texts = ["a guitar", "a " * 20 + "guitar " * 20, "", "a " * 2000 + "guitar " * 2000]  # the last is read in pieces
    encoded = encoder.encode(texts)
    rows = [row.tolist() for row in np.split(encoded.ids, encoded.offsets[1:-1])]
    blank = [*before, *after] or [0]  # a text needs at least one token
    assert rows == [[*before, 3, 4, *after], [*before, *inner, *after], blank, [*before, *inner, *after]]
    spans = [np.array([[0, 1], [2, 8]]), np.array([[0, 1]] * 0).reshape(0, 2)]
    windows = encode_words(["a guitar", ""], spans, encoder).encoded
    assert windows.ids.tolist() == [*rows[0], *rows[2]]
    assert windows.first.tolist() == [len(before), len(before) + 1]


def test_the_prompt_to_skip_ends_before_the_tokens_after_a_text() -> None:
    for template, skip in (("$A", 2), ("[CLS] $A", 3), ("$A [SEP]", 2)):
        tokenizer = wordpiece()
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        assert TextEncoder(tokenizer, Encoding(8)).with_prompt("a guitar ", pooled=False).skip == skip


def test_a_tokenizer_that_answers_by_chance_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0}, [], dropout=0.1))
    with pytest.raises(IntegrityError, match=r"dropout 0\.1.*set dropout to null"):
        TextEncoder(tokenizer, Encoding(8))


def test_a_tokenizer_whose_time_grows_with_the_square_of_a_word_is_refused() -> None:
    with pytest.raises(IntegrityError, match="max_input_chars_per_word is 1,000,000"):
        TextEncoder(wordpiece(max_input_chars_per_word=1_000_000), Encoding(8))


def test_ids_far_beyond_the_number_of_tokens_are_kept() -> None:
    tokenizer = wordpiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 65_536, "guitar": 70_000})
    assert TextEncoder(tokenizer, Encoding(8)).encode(["a guitar"]).ids.tolist() == [1, 65_536, 70_000, 2]


def test_more_tokens_than_embeddings_are_fine_until_a_text_has_one(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    wordpiece().save(str(path))
    encoder = open_encoder(path, Encoding(8), 4)
    assert encoder.encode(["a", "a a"]).ids.tolist() == [1, 3, 2, 1, 3, 3, 2]
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: token 'guitar' has id 4, .* for 4 tokens only; .*another model"):
        encoder.encode(["a", "a guitar"])
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: token '\[SEP\]' has id 2"):
        open_encoder(path, Encoding(8), 2)  # every text has that one


def test_a_token_that_was_added_without_an_embedding_is_named_as_it_was_added(tmp_path: Path) -> None:
    path, tokenizer = tmp_path / "tokenizer.json", wordpiece()
    tokenizer.add_tokens(["[NEW1]"])
    tokenizer.save(str(path))
    encoder = open_encoder(path, Encoding(8), 5).with_encoding(literal_special_tokens=False)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: token '\[NEW1\]' has id 5, .*resize_token_embeddings"):
        encoder.encode(["a [NEW1] guitar"])
