"""Texts to tokens and back, cutting long ones, and bounds on time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from mtlkit.config.architecture import Encoding, Truncation
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization import tokenizer as module
from mtlkit.data.tokenization.tokenizer import BOS, EOS, PAD, TextEncoder, load_tokenizer, train_tokenizer
from mtlkit.errors import IntegrityError

SPECIAL = [PAD, BOS, EOS, " <eos> ", "<eos", "\u200d", "\ufeff", "\r\n", "\x00", "👩‍👩‍👧", "e\u0301", "中文", "  "]
unicode_texts = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(SPECIAL)), max_size=5).map("".join)


def words_of(encoder: TextEncoder, text: str) -> list[int]:
    """All tokens of one text, without its ends."""
    ids: list[int] = encoder.stream([text]).ids.tolist()
    return ids[1:-1]


@given(text=unicode_texts)
@settings(max_examples=80, deadline=None)
def test_any_unicode_survives_the_round_trip(text_encoder: TextEncoder, text: str) -> None:
    bos, eos, pad = (text_encoder.tokenizer.token_to_id(token) for token in (BOS, EOS, PAD))
    ids = text_encoder.stream([text]).ids.tolist()
    assert (ids[0], ids[-1]) == (bos, eos)
    assert not {bos, eos, pad} & set(ids[1:-1])
    assert text_encoder.tokenizer.decode(ids[1:-1], skip_special_tokens=False) == text


@pytest.mark.parametrize("spelling", [PAD, BOS, EOS])
def test_spelling_of_a_special_token_is_plain_text(text_encoder: TextEncoder, spelling: str, tmp_path: Path) -> None:
    ids = words_of(text_encoder, spelling)
    assert len(ids) > 1
    assert text_encoder.tokenizer.token_to_id(spelling) not in ids
    text_encoder.tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = TextEncoder(load_tokenizer(tmp_path / "tokenizer.json"), text_encoder.encoding)
    assert words_of(loaded, spelling) == ids


@given(texts=st.lists(unicode_texts, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_text_has_the_same_ids_alone_and_among_others(text_encoder: TextEncoder, texts: list[str]) -> None:
    together = text_encoder.encode(texts)
    assert len(together) == len(texts)
    for row, text in enumerate(texts):
        alone = text_encoder.encode([text])
        assert together.ids[together.offsets[row] : together.offsets[row + 1]].tolist() == alone.ids.tolist()
    assert together.offsets.tolist() == [0, *np.cumsum(together.lengths)]


def test_size_of_the_parts_changes_nothing(text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"The otter number {number} sleeps." * (number % 3) for number in range(50)]
    whole = text_encoder.encode(texts)
    monkeypatch.setattr(module, "LETTERS_AT_ONCE", 40)
    parted = text_encoder.encode(texts)
    assert np.array_equal(parted.ids, whole.ids)
    assert np.array_equal(parted.offsets, whole.offsets)
    assert parted.truncated == whole.truncated


def test_blank_and_missing_texts(text_encoder: TextEncoder) -> None:
    blank = text_encoder.encode(["", "a"])
    assert blank.lengths.tolist() == [2, 3]
    none = text_encoder.encode([])
    assert (len(none), len(none.ids), none.truncated) == (0, 0, 0)


def cut(ids: list[int], room: int, truncate: Truncation) -> list[int]:
    """The remaining tokens of a text with more tokens than `room`."""
    first = {"head": room, "tail": 0, "head-tail": room // 4}[truncate]
    return ids[:first] + ids[len(ids) - (room - first) :]


@pytest.mark.parametrize("truncate", ["head", "tail", "head-tail"])
@pytest.mark.parametrize("sentences", [6, 60, 600])  # the last is cut before it is tokenised
def test_long_text_is_cut_as_asked(text_encoder: TextEncoder, truncate: Truncation, sentences: int) -> None:
    text = " ".join(f"The {'otter' if number % 7 else 'lizard'} sleeps near hill {number}." for number in range(sentences))
    encoded = TextEncoder(text_encoder.tokenizer, Encoding(32, truncate)).encode([text])
    bos, *ids, eos = encoded.ids.tolist()
    assert ((bos,), (eos,)) == (text_encoder.before, text_encoder.after)
    whole = words_of(text_encoder, text)
    assert len(whole) > 30
    assert ids == cut(whole, 30, truncate)
    assert encoded.truncated == 1


def test_only_texts_that_are_cut_are_counted(text_encoder: TextEncoder) -> None:
    fits = "\x01" * 30  # a token each
    encoded = text_encoder.encode([fits, fits + "\x01", "\x01"])
    assert encoded.lengths.tolist() == [32, 32, 3]
    assert encoded.truncated == 1
    assert text_encoder.stream([fits * 100]).truncated == 0


def test_vocabulary_beyond_two_bytes_keeps_its_ids() -> None:
    words = {BOS: 0, EOS: 1, **{f"w{number}": number for number in range(2, 70_000)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w2"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=[(BOS, 0), (EOS, 1)])
    assert TextEncoder(tokenizer, Encoding(8)).encode(["w69999 w65536 w3"]).ids.tolist() == [0, 69_999, 65_536, 3, 1]


def test_training_learns_the_words_and_is_repeatable() -> None:
    texts = ["the otter sleeps"] * 20
    first = train_tokenizer(texts, 300)
    assert {"otter", "Ġotter"} & set(first.get_vocab())
    assert first.get_vocab_size() <= 300
    assert first.to_str() == train_tokenizer(tuple(texts), 300).to_str()


def test_lowercase_tokenizer_ignores_case_and_word_position() -> None:
    texts = ["The Otter sleeps near an otter"] * 20
    folding = TextEncoder(train_tokenizer(texts, 300, lowercase=True), Encoding(32))
    (word,) = words_of(folding, "Otter")
    assert folding.tokenizer.id_to_token(word) == "Ġotter"
    assert words_of(folding, "THE OTTER") == words_of(folding, "the otter") == [*words_of(folding, "the"), word]
    assert folding.tokenizer.decode(words_of(folding, "The Otter")).strip() == "the otter"
    plain = TextEncoder(train_tokenizer(texts, 300), Encoding(32))
    assert words_of(plain, "Otter") != words_of(plain, "otter")
    assert plain.tokenizer.decode(words_of(plain, "The Otter")) == "The Otter"


def test_a_lowercase_tokenizer_stays_so_on_disk(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["The Otter sleeps"] * 20, 300, lowercase=True)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = TextEncoder(load_tokenizer(tmp_path / "tokenizer.json"), Encoding(32))
    assert words_of(loaded, "OTTER") == words_of(TextEncoder(tokenizer, Encoding(32)), "otter")


def test_a_tokenizer_learns_from_texts_of_every_part_of_a_large_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [word for word in ("otter", "beetle", "trout") for _ in range(400)]
    letters = sum(map(len, texts))
    monkeypatch.setattr(module, "LETTERS_TO_LEARN", letters // 10)
    spread = list(module._spread(texts))
    assert letters / 12 < sum(map(len, spread)) <= letters / 10 + 6
    assert [spread.count(word) for word in ("otter", "beetle", "trout")] == [pytest.approx(len(spread) / 3, abs=1)] * 3
    assert {"otter", "beetle", "trout"} <= set(train_tokenizer(texts, 400).get_vocab())
    monkeypatch.setattr(module, "LETTERS_TO_LEARN", letters)
    assert list(module._spread(texts)) == texts


def test_training_reads_a_long_text_to_its_end() -> None:
    assert "Ġotter" in train_tokenizer(["x " * 7000 + "the otter " * 20], 300).get_vocab()


@pytest.mark.parametrize("cell", ["x" * 10_000_000, "The dog sleeps. " * 625_000], ids=["one word", "sentences"])
@pytest.mark.parametrize("truncate", ["head", "tail", "head-tail"])
def test_ten_megabytes_in_one_cell_are_cut_in_bounded_time(  # fault 29
    text_encoder: TextEncoder, cell: str, truncate: Truncation
) -> None:
    started = time.monotonic()
    encoded = TextEncoder(text_encoder.tokenizer, Encoding(256, truncate)).encode(["short", cell])
    assert time.monotonic() - started < 5
    assert encoded.truncated == 1
    assert encoded.lengths[1] <= 256


def test_one_endless_word_does_not_hold_up_the_training_of_a_tokenizer() -> None:  # fault 29
    started = time.monotonic()
    train_tokenizer(["x" * 400_000], 400)  # a whole word of this length would take minutes: time grows with its square
    assert time.monotonic() - started < 20


MEMORY = """
import resource, sys
from pathlib import Path
from mtlkit.config.architecture import Encoding
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources import open_source
from mtlkit.data.datasets.labelled import read_split
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer

encoder = TextEncoder(train_tokenizer(["The dog sleeps."] * 20, 300), Encoding(256))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
address, query = parse_source(sys.argv[1])
table = read_split(open_source(address, query), query, "train", ReadOptions("utf-8", "error", SkippedRows()))
encoded = encoder.encode(table.texts)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(encoded.truncated, grown // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kilobytes, as Linux does")
def test_ten_megabytes_in_one_cell_take_bounded_memory(tmp_path: Path) -> None:  # fault 29
    path = tmp_path / "a.csv"
    path.write_text("text,label\nshort,x\n" + "The dog sleeps. " * 625_000 + ",y\n")
    result = subprocess.run([sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, timeout=120, check=True)
    truncated, megabytes = map(int, result.stdout.split())
    assert truncated == 1
    assert megabytes < 200  # tokenised whole, the cell would take a gigabyte


def test_encoded_is_compact(text_encoder: TextEncoder) -> None:
    encoded = text_encoder.encode(["The dog sleeps."] * 100)
    assert isinstance(encoded, Encoded)
    assert encoded.ids.dtype == np.uint16
    assert encoded.ids.nbytes == 2 * encoded.lengths.sum()


@pytest.mark.parametrize("texts", [[""], ["a"]])
def test_what_the_library_did_not_foresee_is_refused(text_encoder: TextEncoder, tmp_path: Path, texts: list[str]) -> None:
    value = json.loads(text_encoder.tokenizer.to_str())
    if texts == [""]:
        value["post_processor"]["special_tokens"] = {}  # the library panics where a text is put between them
    else:
        value["model"] = {"type": "WordLevel", "vocab": {BOS: 0, EOS: 1}, "unk_token": "gone"}
        value["post_processor"]["special_tokens"] = {
            token: {"id": token, "ids": [place], "tokens": [token]} for place, token in enumerate((BOS, EOS))
        }
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(IntegrityError, match=r"the tokenizer cannot be used|not a tokenizer"):
        TextEncoder(load_tokenizer(tmp_path / "tokenizer.json"), Encoding(8)).encode(texts)
