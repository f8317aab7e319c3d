"""Rejects tokenizers that expand texts without bound, take too long or are random."""

from __future__ import annotations

import json
import math
from typing import Any

from tokenizers import Tokenizer, models

from mtlkit.errors import IntegrityError

LARGEST_GROWTH = 1000  # characters from one
LONGEST_WORD = 1000  # characters; the time of WordPiece is quadratic
BLANKS = ("<pad>", "[PAD]", "<|endoftext|>", "</s>", "<eos>")


def check_tokenizer(tokenizer: Tokenizer) -> float:
    """The largest factor by which normalizers and pre-tokenizers can lengthen a text, at least 1.

    Raises IntegrityError for a tokenizer that is not safe to use.
    """
    model = tokenizer.model
    if isinstance(model, models.BPE) and model.dropout:
        raise IntegrityError(f"the tokenizer is random (dropout {model.dropout}); set dropout to null in tokenizer.json")
    if isinstance(model, models.WordPiece) and model.max_input_chars_per_word > LONGEST_WORD:
        limit = model.max_input_chars_per_word
        raise IntegrityError(f"the tokenizer's max_input_chars_per_word is {limit:,}; at most {LONGEST_WORD:,} is supported")
    steps = [*_steps(tokenizer.normalizer, "normalizers"), *_steps(tokenizer.pre_tokenizer, "pretokenizers")]
    extra_byte_levels = max(0, sum(step.get("type") == "ByteLevel" for step in steps) - 1)  # each doubles the length
    growth = float(math.prod(map(_growth, steps)) * 2**extra_byte_levels)
    if growth > LARGEST_GROWTH:
        raise IntegrityError(
            f"the tokenizer's normalizers can turn one character into {growth:,.0f}; at most {LARGEST_GROWTH:,} is supported"
        )
    return growth


def read_ends(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens before and after every text, such as BERT's [CLS] and [SEP]; GPT-2 has none, T5 only one after it. Raises
    IntegrityError if the tokens of the text are not between them."""
    ends = tokenizer.encode("").ids
    text, inner = tokenizer.encode("a"), tokenizer.encode("a", add_special_tokens=False)
    if any(text.type_ids):
        raise IntegrityError("the tokenizer's post-processor assigns token types other than 0, which is not supported")
    for first in range(len(ends) + 1):
        if text.ids == [*ends[:first], *inner.ids, *ends[first:]]:
            return tuple(ends[:first]), tuple(ends[first:])
    raise IntegrityError("the tokenizer's post-processor does not put the text between its first and last tokens")


def blank_token(tokenizer: Tokenizer) -> int:
    """The token that a text without any is read as, if the tokenizer adds none: one for padding or the end of a text."""
    vocabulary = tokenizer.get_vocab()
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    known = [name for name in (*BLANKS, *special) if name in vocabulary]
    return vocabulary[known[0]] if known else 0


def unknown_word(tokenizer: Tokenizer) -> int | None:
    """The id for an unknown word or an unknown run of characters of any length; None if there is none."""
    model = tokenizer.model
    if isinstance(model, models.Unigram):
        number: int | None = json.loads(model.__getstate__())["unk_id"]
        return number
    if isinstance(model, models.BPE) and not model.fuse_unk:
        return None
    return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)


def _steps(part: Any, name: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or a pre-tokenizer, with nested sequences flattened."""
    if part is None:
        return []
    return _flatten(json.loads(part.__getstate__()), name)


def _flatten(step: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [inner for item in step[name] for inner in _flatten(item, name)] if step.get("type") == "Sequence" else [step]


def _growth(step: dict[str, Any]) -> float:
    """The largest factor by which one step can lengthen a text. Unicode normalization is bounded and counts as 1."""
    length = len(step.get("content") or step.get("prepend") or "")
    if length <= 1 or step.get("type") not in ("Replace", "Prepend"):
        return 1.0
    pattern = step.get("pattern", {}).get("String")
    return max(1.0, length / max(1, len(pattern))) if pattern else 1.0 + length
