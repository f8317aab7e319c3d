"""Texts whose words are known: the first token of each word, and windows of long texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mtlkit.config.architecture import Encoding
from mtlkit.data.tokenization import words as module
from mtlkit.data.tokenization.tokenizer import TextEncoder, load_tokenizer
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.data.tokenization.words import EncodedTexts, encode_words

TEXTS = [
    "The otter's river,  the fox-hole 3.5!",
    "",
    "ÄÖ don't 👩\u200d👧 中文 x",
    "a",
    "Otters sleep in the sun and hunt at night.",
]
Spans = np.ndarray


@pytest.fixture(scope="module")
def bert(plain_peers: dict[str, Path]) -> TextEncoder:
    return TextEncoder(load_tokenizer(plain_peers["bert"] / "tokenizer.json"), Encoding(max_length=32))


@pytest.fixture(params=["byte-level", "bert", "prompt"])
def encoder(request: pytest.FixtureRequest, text_encoder: TextEncoder, bert: TextEncoder) -> TextEncoder:
    other = text_encoder.with_prompt("query: ", pooled=False)
    return {"byte-level": text_encoder, "bert": bert, "prompt": other}[request.param].with_encoding(max_length=64)


def encode(texts: Sequence[str], encoder: TextEncoder) -> EncodedTexts:
    return encode_words(texts, [split_words(text) for text in texts], encoder)


def joined(words: Sequence[str]) -> tuple[str, Spans]:
    """Words as a text, with their offsets."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    return " ".join(words), np.stack([ends - [len(word) for word in words], ends], 1)


def test_a_text_that_fits_has_the_tokens_of_a_sentence(encoder: TextEncoder) -> None:
    found, plain = encode(TEXTS, encoder), encoder.encode(TEXTS)
    assert np.array_equal(found.encoded.ids, plain.ids)
    assert np.array_equal(found.encoded.offsets, plain.offsets)
    assert found.encoded.skip == plain.skip
    assert found.windows.tolist() == [1] * len(TEXTS)
    assert np.array_equal(np.diff(found.encoded.words), [len(split_words(text)) for text in TEXTS])


def test_words_begin_at_the_token_with_their_first_letter(encoder: TextEncoder) -> None:
    found = encode(TEXTS, encoder)
    start = len(encoder.prompt)
    numbers = iter(found.encoded.first)
    for text, offset in zip(TEXTS, found.encoded.offsets, strict=False):
        tokens = encoder.tokenizer.encode(encoder.prompt + text)
        for word, _ in split_words(text):
            holding = [place for place, (low, high) in enumerate(tokens.offsets) if low <= word + start < high]
            place = next(numbers) - offset
            assert place == holding[0] or (tokens.tokens[place] == "Ġ" and place + 1 == holding[0])
    assert not len(found.unread)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_tokens_and_first_tokens_are_those_of_transformers(kind: str, plain_peers: dict[str, Path]) -> None:
    tokenizer = load_tokenizer(plain_peers[kind] / "tokenizer.json")
    if kind == "roberta":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # without it, transformers glues words
    encoder, peer = TextEncoder(tokenizer, Encoding(max_length=64)), PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    sentences = [["The", "otter's", "don't", ",", "(x)", "xylophones"], ["a"], ["Sleeping", "...", "!"]]
    texts, words = zip(*map(joined, sentences), strict=True)
    found = encode_words(texts, words, encoder)
    peers = peer(sentences, is_split_into_words=True)
    assert found.encoded.ids.tolist() == [number for row in peers["input_ids"] for number in row]
    firsts = [
        place + offset
        for row, offset in zip(range(len(sentences)), found.encoded.offsets, strict=False)
        for place in (peers.word_ids(row).index(word) for word in range(len(sentences[row])))
    ]
    assert found.encoded.first.tolist() == firsts


def test_words_within_a_token_have_a_token_each_if_possible(bert: TextEncoder) -> None:
    words = np.array([[0, 3], [4, 6], [6, 10]])  # the, ba, rn's; the tokens are the, barn and two more
    found = encode_words(["the barn's"], [words], bert)
    starts = [bert.tokenizer.encode("the barn's").offsets[place][0] for place in found.encoded.first]
    assert starts == [0, 4, 8]


def test_words_without_a_token_are_reported(bert: TextEncoder) -> None:
    (first, words), (second, others) = joined(["the", "\u0000\u0001", "otter"]), joined(["\u0001", "the"])
    found = encode_words([first, second, "\u0001"], [words, others, np.array([[0, 1]])], bert)
    assert found.unread.tolist() == [1, 3, 5]
    places = found.encoded.first - np.repeat(found.encoded.offsets[:-1], [3, 2, 1])
    assert places[0] == places[1] == 1  # at the token before
    assert places[3:].tolist() == [1, 1, 1]  # else at the first one, or the end of the text


def test_every_word_of_a_long_text_is_read_in_one_window(encoder: TextEncoder) -> None:
    short = encoder.with_encoding(max_length=16)
    texts = ["The otter sleeps. " * 20, "A fox.", "", "Foxes and otters in " * 9, "x" * 300]
    found, whole = encode(texts, short), encode(texts, short.with_encoding(max_length=10_000))
    assert (found.windows > 1).tolist() == [True, False, False, True, len(whole.encoded.batch([4]).ids) > 16]
    assert found.encoded.lengths.max() <= 16
    assert np.array_equal(found.encoded.ids[found.encoded.first], whole.encoded.ids[whole.encoded.first])
    bounds = np.concatenate([[0], np.cumsum(found.windows)])
    assert np.array_equal(found.encoded.words[bounds], whole.encoded.words)
    window = np.repeat(np.arange(len(found.encoded)), np.diff(found.encoded.words))
    places = found.encoded.first - found.encoded.offsets[window]
    assert ((places > 0) & (places < found.encoded.lengths[window] - 1)).all()


@pytest.fixture(scope="module")
def letters() -> TextEncoder:
    """A tokenizer with a token for each word."""
    tokenizer = Tokenizer(models.WordLevel({"x": 0, "<s>": 1, "</s>": 2}, unk_token="x"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return TextEncoder(tokenizer, Encoding(max_length=32))


@given(lengths=st.lists(st.integers(0, 60), min_size=1, max_size=5), longest=st.integers(4, 20))
@settings(max_examples=60, deadline=None)
def test_windows_give_words_the_most_context(letters: TextEncoder, lengths: list[int], longest: int) -> None:
    found = encode([" ".join("x" * length) for length in lengths], letters.with_encoding(max_length=longest))
    room, window = longest - 2, 0
    for length, count in zip(lengths, found.windows, strict=True):
        starts = [number * max(0, length - room) // max(1, count - 1) for number in range(count)]
        spans = [(start, min(length, start + room)) for start in starts]
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(low + room // 4 <= high for (_, high), (low, _) in pairwise(spans))
        ends = found.encoded.words[window + 1 : window + 1 + count] - found.encoded.words[window]
        for word in range(length):
            context = [  # tokens up to the nearer end of a window that is not an end of the text
                min(word - low if low else 99, high - 1 - word if high < length else 99) if low <= word < high else -1
                for low, high in spans
            ]
            assert context[int(np.searchsorted(ends, word, side="right"))] == max(context)
        window += count


def test_a_huge_text_is_tokenized_in_pieces(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["The otter's river, the fox-hole. " * 30, "a", "Otters " * 50]
    whole = encode(texts, encoder)
    monkeypatch.setattr(module, "LARGEST_PIECE", 100)
    monkeypatch.setattr(module, "LETTERS_AT_ONCE", 70)
    pieces = encode(texts, encoder)
    for name in ("ids", "offsets", "first", "words"):
        assert np.array_equal(getattr(pieces.encoded, name), getattr(whole.encoded, name))
    assert np.array_equal(pieces.windows, whole.windows)


def test_no_texts(text_encoder: TextEncoder) -> None:
    found = encode([], text_encoder)
    assert (len(found.encoded), len(found.windows), len(found.unread)) == (0, 0, 0)
