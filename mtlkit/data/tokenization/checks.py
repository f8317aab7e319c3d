"""What a tokenizer that somebody else made must not do: multiply texts, take forever, or answer by chance."""

from __future__ import annotations

import json
import math
from typing import Any

from tokenizers import Tokenizer, models

from mtlkit.errors import IntegrityError

LARGEST_GROWTH = 1000  # letters out of one
LONGEST_WORD = 1000  # letters; WordPiece's time grows with the square


def check_tokenizer(tokenizer: Tokenizer) -> float:
    """How many times longer normalizers and pre-tokenizers can make a text, at least 1.

    Raises IntegrityError for a tokenizer that no text should be given to.
    """
    model = tokenizer.model
    if isinstance(model, models.BPE) and model.dropout:
        raise IntegrityError(f"the tokenizer splits words by chance (dropout {model.dropout}); set it to null in tokenizer.json")
    if isinstance(model, models.WordPiece) and model.max_input_chars_per_word > LONGEST_WORD:
        most = model.max_input_chars_per_word
        raise IntegrityError(f"the tokenizer's max_input_chars_per_word is {most:,}; at most {LONGEST_WORD:,} is supported")
    steps = [*_steps(tokenizer.normalizer, "normalizers"), *_steps(tokenizer.pre_tokenizer, "pretokenizers")]
    spelt_again = max(0, sum(step.get("type") == "ByteLevel" for step in steps) - 1)  # bytes of the letters of bytes
    growth = float(math.prod(map(_growth, steps)) * 2**spelt_again)
    if growth > LARGEST_GROWTH:
        raise IntegrityError(
            f"the tokenizer's normalizers can make {growth:,.0f} letters out of one; at most {LARGEST_GROWTH:,} is supported"
        )
    return growth


def read_ends(tokenizer: Tokenizer) -> tuple[int, int]:
    """The tokens before and after every text. Raises IntegrityError where that is not one each."""
    ends = tokenizer.encode("").ids
    if len(ends) != 2:
        count = "1 token" if len(ends) == 1 else f"{len(ends)} tokens"
        raise IntegrityError(
            f"the tokenizer puts {count} around a text; supported is one before and one after it, such as BERT's [CLS] and [SEP] "
            "(that of plain GPT-2 puts none); name a model with such a tokenizer"
        )
    text, inner = tokenizer.encode("a"), tokenizer.encode("a", add_special_tokens=False)
    if text.ids != [ends[0], *inner.ids, ends[1]]:
        raise IntegrityError("the tokenizer's post-processor does not put the text between its first and last token")
    if any(text.type_ids):
        raise IntegrityError("the tokenizer's post-processor gives texts another token type than 0, which is not supported")
    return ends[0], ends[1]


def unknown_word(tokenizer: Tokenizer) -> int | None:
    """The id that stands for a word, or a stretch of letters of any length, that is not in the vocabulary."""
    model = tokenizer.model
    if isinstance(model, models.Unigram):
        number: int | None = json.loads(model.__getstate__())["unk_id"]
        return number
    if isinstance(model, models.BPE) and not model.fuse_unk:
        return None
    return None if model.unk_token is None else tokenizer.token_to_id(model.unk_token)


def _steps(part: Any, name: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or a pre-tokenizer, sequences inside sequences unfolded."""
    if part is None:
        return []
    return _unfolded(json.loads(part.__getstate__()), name)


def _unfolded(step: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [inner for one in step[name] for inner in _unfolded(one, name)] if step.get("type") == "Sequence" else [step]


def _growth(step: dict[str, Any]) -> float:
    """How many times longer one step can make a text. Unicode's own normal forms are bounded, and count as 1."""
    length = len(step.get("content") or step.get("prepend") or "")
    if length <= 1 or step.get("type") not in ("Replace", "Prepend"):
        return 1.0
    pattern = step.get("pattern", {}).get("String")
    return max(1.0, length / max(1, len(pattern))) if pattern else 1.0 + length
