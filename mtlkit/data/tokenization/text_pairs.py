"""Both texts of a pair as one sequence, in the form that the tokenizer's family has: `[CLS] A [SEP] B [SEP]` for BERT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, processors

from mtlkit.config.architecture import Truncation
from mtlkit.data.encoded import Encoded, ranges
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import IntegrityError, UsageError

Rows = NDArray[np.int64]
COUNTED = 4096  # tokens; of two texts that both have more, neither is considered longer
ROBERTA_ENDS = "<s>", "</s>"
TYPES = np.array([0, 0, 0, 0, 1, 1, 1], np.uint8)  # of the parts of a sequence: the second text and the last token are of type 1


@dataclass(frozen=True)
class PairForm:
    """The tokens between the two texts of a pair, and whether those of the second text, up to the last one, are of type 1."""

    middle: tuple[int, ...]
    typed: bool


def pair_form(encoder: TextEncoder) -> PairForm:
    """The form of pairs in a tokenizer's post-processor; for one without, a separator as RoBERTa or BERT has. Raises
    IntegrityError for any other form."""
    tokenizer = encoder.tokenizer
    first, second = (tokenizer.encode(text, add_special_tokens=False).ids for text in "ab")
    both = tokenizer.encode("a", "b")
    if both.ids == [*first, *second] and len(encoder.before) == len(encoder.after) == 1:  # of mtlkit, and of its earlier runs
        ends = tuple(map(encoder.name_of, (*encoder.before, *encoder.after)))
        return PairForm(encoder.after * (2 if ends == ROBERTA_ENDS else 1), typed=ends != ROBERTA_ENDS)
    before, after = len(encoder.before) + len(first), len(second) + len(encoder.after)
    middle = both.ids[before : len(both.ids) - after]
    typed = any(both.type_ids)
    types = [0] * (before + len(middle)) + [int(typed)] * after
    if both.ids != [*encoder.before, *first, *middle, *second, *encoder.after] or both.type_ids != types or not middle:
        raise IntegrityError(
            f"{f'{encoder.path}: ' if encoder.path else ''}the tokenizer's post-processor puts pairs of texts into an unknown "
            "form; use pair-head=vectors"
        )
    return PairForm(tuple(middle), typed)


def with_pair_form(encoder: TextEncoder) -> Tokenizer:
    """A tokenizer whose post-processor has the form of pairs, for other libraries."""
    tokenizer, form = encoder.tokenizer, pair_form(encoder)
    own = Tokenizer.from_str(tokenizer.to_str())
    if tuple(own.encode("a", "b").ids[: len(encoder.before)]) != encoder.before:
        numbers = {encoder.name_of(number): number for number in (*encoder.before, *form.middle, *encoder.after)}
        (first,), names, (last,) = (map(encoder.name_of, part) for part in (encoder.before, form.middle, encoder.after))
        second = int(form.typed)
        own.post_processor = processors.TemplateProcessing(
            single=[first, "$A", last],
            pair=[first, "$A", *names, f"$B:{second}", f"{last}:{second}"],
            special_tokens=list(numbers.items()),
        )
    return own


def number_pairs(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], Rows]:
    """The different texts of N pairs, and the numbers of the two texts of each pair among them, (2, N)."""
    numbers: dict[str, int] = {}
    sides = [[numbers.setdefault(pair[side], len(numbers)) for pair in pairs] for side in (0, 1)]
    return list(numbers), np.array(sides, np.int64).reshape(2, -1)


def encode_pairs(encoder: TextEncoder, texts: Sequence[str], pairs: Rows) -> Encoded:
    """Encodes N pairs of texts, each as one sequence of at most `max_length` tokens; `pairs`, (2, N), has the numbers of their
    texts. Prompts are for single texts and are left out. Raises UsageError if there is no room for two texts.
    """
    form, encoding = pair_form(encoder), encoder.encoding
    room = encoding.max_length - encoder.ends - len(form.middle)
    if room < 2:
        raise UsageError(
            f"texts of {encoding.max_length} tokens leave no room for both texts of a pair; give a longer --max-length"
        )
    alone = encoder.with_prompt("").with_encoding(max_length=encoder.ends + max(room + 1, COUNTED)).encode(texts)
    lengths = (alone.lengths - encoder.ends)[pairs]
    kept = longest_first(lengths, room)
    added = (encoder.before, form.middle, encoder.after)
    specials = len(alone.ids) + np.cumsum([0, *map(len, added[:2])])
    pool = np.append(alone.ids, np.array([token for part in added for token in part], alone.ids.dtype))
    starts_of_texts = alone.offsets[pairs] + len(encoder.before)
    sides = [_kept_parts(starts_of_texts[side], lengths[side], kept[side], encoding.truncate) for side in (0, 1)]
    ones = np.ones(pairs.shape[1], np.int64)
    own = [(place * ones, len(part) * ones) for place, part in zip(specials, added, strict=True)]
    parts = [own[0], *sides[0], own[1], *sides[1], own[2]]
    starts, counts = (np.stack([part[index] for part in parts], 1) for index in (0, 1))
    ids = pool[ranges(starts.ravel(), counts.ravel())]
    offsets = np.concatenate([[0], np.cumsum(counts.sum(1))])
    types = np.repeat(np.tile(TYPES, len(counts)), counts.ravel()) if form.typed else None
    cut = int((lengths != kept).any(0).sum())
    encoder.cut += cut
    return Encoded(ids, offsets, cut, types=types)


def longest_first(lengths: Rows, room: int) -> Rows:
    """How many tokens of each text of a pair are kept, (2, N), of `lengths`, (2, N), so that they fit: the longer text is cut to
    the length of the shorter one, then both equally. The same as `longest_first` of transformers."""
    short, long = lengths.min(0), lengths.max(0)
    rest = np.where(short > room, short, np.maximum(short, room - short))
    halves = short + rest > room
    new_short, new_long = np.where(halves, room // 2, short), np.where(halves, room - room // 2, rest)
    kept: Rows = np.where(lengths[0] > lengths[1], [new_long, new_short], [new_short, new_long])
    return np.where(short + long > room, kept, lengths)


def _kept_parts(starts: Rows, lengths: Rows, kept: Rows, truncate: Truncation) -> list[tuple[Rows, Rows]]:
    """Where the kept tokens of texts are, as (starts, counts): those at the beginning of each text, then those at its end."""
    head = np.where(kept == lengths, kept, {"head": kept, "tail": 0 * kept, "head-tail": kept // 4}[truncate])
    return [(starts, head), (starts + lengths - (kept - head), kept - head)]
