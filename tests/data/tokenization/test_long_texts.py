"""Long texts read in pieces have the tokens that they have as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from mtlkit.config.architecture import Encoding, Truncation
from mtlkit.data.tokenization import tokenizer as module
from mtlkit.data.tokenization.tokenizer import TextEncoder

WORDS = [f"The man plays the {word}, doesn't he? It's a café in Zürich: 3.5% of 12,000!" for word in ("guitar", "violin", "horn")]


def finish(tokenizer: Tokenizer, trainer: object, first: str, last: str) -> Tokenizer:
    tokenizer.train_from_iterator(WORDS * 20, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True)])
    ends = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)
    return tokenizer


def wordpiece() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]"]
    return finish(tokenizer, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False), *special[1:])


def byte_level(prefix: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False)
    return finish(tokenizer, trainer, "<s>", "</s>")


def metaspace(*, words: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    spaces = pre_tokenizers.Metaspace(prepend_scheme="always" if words else "first")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces]) if words else spaces
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    return finish(tokenizer, trainer, "<s>", "</s>")


MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece": wordpiece,
    "bytes": lambda: byte_level(False),
    "bytes with a space before": lambda: byte_level(True),
    "metaspace of words": lambda: metaspace(words=True),
    "metaspace": lambda: metaspace(words=False),
}
make = cache(lambda kind: MAKERS[kind]())
TEXTS = {
    "words": " ".join(WORDS * 8),
    "blanks before": " " * 3000 + WORDS[0],
    "blanks after": WORDS[0] + "\n" * 3000,
    "blanks between": WORDS[0] + " " * 3000 + " ".join(WORDS),
    "words that are unknown": " ".join(["x" * 150] * 30) + " " + " ".join(WORDS),
    "one endless word": "x" * 3000 + " " + WORDS[1],
    "padded words": " ".join([*("word".ljust(72, "z") for _ in range(20)), *WORDS]),
    "letters that are dropped": "a" + "\x00" * 3000 + "3 " + WORDS[0],
    "accents": "e" + "\u0301" * 3000 + " " + WORDS[2],
    "no words": "日本語のテキスト。中文漢字" * 150,
    "special tokens": (WORDS[0] + " <mask> ") * 20 + "[SEP]" * 50,
    "emoji": "🦦👩‍👩‍👧" * 300 + WORDS[0],
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("literal", [True, False])
def test_a_long_text_is_read_as_far_as_its_tokens_count(
    kind: str, text: str, literal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", 100)
    monkeypatch.setattr(module, "LETTERS_A_TOKEN", 1)
    tokenizer = make(kind)
    tokenizer.encode_special_tokens = literal
    first, *ids, last = tokenizer.encode(text).ids
    for truncate, room in (("head", 6), ("head", 60), ("tail", 6), ("tail", 60), ("head-tail", 6), ("head-tail", 60)):
        encoded = TextEncoder(tokenizer, Encoding(room + 2, truncate, literal)).encode([text])  # type: ignore[arg-type]
        start = {"head": room, "tail": 0, "head-tail": room // 4}[truncate]
        kept = ids if len(ids) <= room else ids[:start] + ids[len(ids) - (room - start) :]
        assert encoded.ids.tolist() == [first, *kept, last], truncate
        assert encoded.truncated == (len(ids) > room)


@pytest.mark.parametrize("truncate", ["head", "tail", "head-tail"])
def test_blanks_are_no_part_of_what_a_text_may_hold(truncate: Truncation) -> None:
    encoder = TextEncoder(make("wordpiece"), Encoding(256, truncate))
    encoded = encoder.encode([WORDS[0], " " * 20_000 + WORDS[0]])
    assert encoded.lengths[0] == encoded.lengths[1] > 10
    assert (encoded.truncated, encoder.cut) == (0, 0)


def test_what_comes_after_many_long_words_is_read() -> None:
    words = ["word".ljust(72, "z")] * 120 + ["guitar"] * 120
    encoder = TextEncoder(make("wordpiece"), Encoding(8192, "head"))
    guitar = encoder.encode(["guitar"]).ids.tolist()[1:-1]
    assert encoder.encode([" ".join(words)]).ids.tolist()[-121 * len(guitar) :][len(guitar) - 1 : -1] == guitar * 120


@pytest.mark.parametrize("cell", [" ", "x", "中", "-"])
def test_ten_megabytes_of_one_letter_are_read_to_their_end(cell: str) -> None:  # fault 29
    encoded = TextEncoder(make("wordpiece"), Encoding(64, "tail")).encode([cell * 10_000_000])
    assert encoded.lengths[0] == {" ": 2, "x": 3}.get(cell, 64)
    assert encoded.truncated == (encoded.lengths[0] == 64)
