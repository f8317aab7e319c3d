"""Reads the tags of all texts of a split: in one spelling, without sequences that their scheme does not allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mtlkit.config.architecture import TagScheme
from mtlkit.data.labels.marks import RowError
from mtlkit.data.labels.tag_schemes import LETTERS, OUTSIDE, Repaired, Tags, complete_tags, repair, scheme_of, split_tag, tag_name
from mtlkit.errors import listed, shorten
from mtlkit.evaluation.spans import Numbers

BILOU = ("L", "U", "M")  # letters that BIOES does not have


@dataclass(frozen=True)
class ReadTags:
    """The tags of N texts and their scheme; what was changed or looks wrong, in words, the last of which is about invalid
    sequences or mixed tags if there are any, and the number of the first text with such tags."""

    tags: list[tuple[str, ...]]
    scheme: TagScheme
    remarks: tuple[str, ...] = ()
    invalid: int | None = None
    mixed: int | None = None


def read_tags(rows: Sequence[tuple[str, ...]], scheme: TagScheme | None = None, named: TagScheme | None = None) -> ReadTags:
    """The tags of texts in the spelling of `complete_tags`, in another scheme if it is given and both are of spans. `named` is
    the scheme that the user names.

    Invalid sequences, such as I-PER after O, are read as seqeval does by default. Plain tags stay as they are. Raises RowError
    for the first text with a tag that the named scheme does not have.
    """
    found = sorted({tag for row in rows for tag in row})
    own, scheme = scheme_of(found), named or scheme
    if named in LETTERS:
        _check_spans(rows, found, named)
        own = named if own == "plain" else own
    if scheme == "plain":
        return ReadTags(list(rows), scheme)
    if own == "plain":
        return _plain(rows, found)
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


def _check_spans(rows: Sequence[tuple[str, ...]], found: Sequence[str], scheme: str) -> None:
    """Raises RowError for the first text with a tag that is not of a span."""
    others = {name for name in found if name != OUTSIDE and split_tag(name) is None}
    row = next((number for number, tags in enumerate(rows) if others.intersection(tags)), None)
    if row is not None:
        tag = next(tag for tag in rows[row] if tag in others)
        reason = f"the tag '{shorten(tag, 40)}' is not of scheme={scheme}, whose tags are O and such as B-PER; correct it, "
        raise RowError(row, f"row {row + 1}", f"{reason}or omit scheme=")


def _plain(rows: Sequence[tuple[str, ...]], found: Sequence[str]) -> ReadTags:
    """Tags that stay as they are, with a remark if some are like those of spans and others are not."""
    spans = [name for name in found if split_tag(name) and len(name) > 1]
    others = [name for name in found if name != OUTSIDE and split_tag(name) is None]
    if not spans or not others:
        return ReadTags(list(rows), "plain")
    counts = Counter(tag for row in rows for tag in row)
    rare = set(min(spans, others, key=lambda names: sum(counts[name] for name in names)))
    row = next(number for number, tags in enumerate(rows) if rare.intersection(tags))
    remark = f"tags of spans ({listed(spans, 3)}) are mixed with other tags ({listed(others, 3)})"
    return ReadTags(list(rows), "plain", (remark,), mixed=row)


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
