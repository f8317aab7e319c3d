"""Reads the tags of all texts of a split: in one spelling, without sequences that their scheme does not allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mtlkit.config.architecture import TagScheme
from mtlkit.data.labels.tag_schemes import LETTERS, OUTSIDE, Repaired, Tags, complete_tags, repair, scheme_of, split_tag, tag_name
from mtlkit.evaluation.spans import Numbers

BILOU = ("L", "U", "M")  # letters that BIOES does not have


@dataclass(frozen=True)
class ReadTags:
    """The tags of N texts and their scheme; what was changed, in words, the last of which is about invalid sequences if there are
    any, and the number of the first text with one."""

    tags: list[tuple[str, ...]]
    scheme: TagScheme
    remarks: tuple[str, ...] = ()
    invalid: int | None = None


def read_tags(rows: Sequence[tuple[str, ...]], scheme: TagScheme | None = None) -> ReadTags:
    """The tags of texts in the spelling of `complete_tags`, in another scheme if it is given and both are of spans.

    Invalid sequences, such as I-PER after O, are read as seqeval does by default. Plain tags stay as they are.
    """
    found = sorted({tag for row in rows for tag in row})
    own = scheme_of(found)
    if own == "plain":
        return ReadTags(list(rows), own)
    parts = {name: split_tag(name) for name in found}
    types = sorted({part[1] for part in parts.values() if part})
    tags = complete_tags([tag_name("B", kind) for kind in types], own)
    spelled = {name: tags.names.index(tag_name(*part) if part else OUTSIDE) for name, part in parts.items()}
    flat = np.array([spelled[tag] for row in rows for tag in row], np.int64)
    offsets = np.cumsum([0, *map(len, rows)])
    repaired = repair(tags, flat, offsets)
    remarks = tuple(_remarks(found, tags, flat, offsets, repaired))
    read, head = repaired.tags, tags
    if scheme not in (own, "plain", None):
        head = complete_tags(tags.names, scheme)
        read = head.encode(tags.spans(read, offsets), offsets)
    names = [head.names[number] for number in read]
    texts = [tuple(names[start:end]) for start, end in pairwise(offsets)]
    invalid = None if repaired.iob1 or not len(repaired.changed) else _text_of(repaired.changed[0], offsets)
    return ReadTags(texts, head.scheme, remarks, invalid)


def _remarks(found: Sequence[str], tags: Tags, flat: Numbers, offsets: Numbers, repaired: Repaired) -> Iterator[str]:
    if letters := sorted({name[0] for name in found if split_tag(name)} & set(BILOU)):
        pairs = " and ".join(f"{letter} as {(split_tag(letter) or letter)[0]}" for letter in letters)
        yield f"tags are read as {LETTERS['bioes']} with O: {pairs}"
    if repaired.iob1:
        yield "tags are IOB1, which begins spans with B only after another span of their type; read as BIO (IOB2)"
    elif len(repaired.changed):
        word = int(repaired.changed[0])
        first = word == offsets[_text_of(word, offsets)]
        before = "at the beginning of a text" if first else f"after {tags.names[flat[word - 1]]}"
        invalid = f"{len(repaired.changed):,} of {len(flat):,} tags do not follow the scheme {tags.scheme.upper()}"
        yield f"{invalid}, such as {tags.names[flat[word]]} {before}"


def _text_of(word: int, offsets: Numbers) -> int:
    return int(np.searchsorted(offsets, word, side="right")) - 1
