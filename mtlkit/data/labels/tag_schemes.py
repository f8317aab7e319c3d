"""Schemes of tags on words: recognizes them by the names of tags, turns tags into spans and back, and says which tag may follow
which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TagScheme
from mtlkit.data.encoded import ranges
from mtlkit.evaluation.spans import Numbers, Spans

Bools = NDArray[np.bool_]

SCHEMES: tuple[TagScheme, ...] = get_args(TagScheme)
OUTSIDE = "O"
UNTYPED = "_"  # the type of spans whose tags are bare letters, B and I
LETTERS: dict[TagScheme, str] = {"bio": "BI", "bioes": "BIES"}
OTHER_LETTERS = str.maketrans("LUM", "ESI")  # of BILOU (last, unit) and BMES (middle)
TAG = re.compile(r"([BIESLUM])(?:[-_](.+))?")


@dataclass(frozen=True)
class Transitions:
    """Which of C tags a text may begin with, (C,), which may follow which, (C from, C to), and with which it may end, (C,)."""

    start: Bools
    pairs: Bools
    end: Bools


@dataclass(frozen=True)
class Tags:
    """The C tags of a head, in the order of its outputs. With the scheme `plain` each tag is a type, and each word a span."""

    names: tuple[str, ...]
    scheme: TagScheme

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The types of spans, in the order of their first tags."""
        return tuple(dict.fromkeys(kind for _, kind in self._parts if kind is not None))

    @cached_property
    def _parts(self) -> list[tuple[str, str | None]]:
        if self.scheme == "plain":
            return [("S", name) for name in self.names]
        return [split_tag(name) or (OUTSIDE, None) for name in self.names]

    @cached_property
    def _letters(self) -> NDArray[np.str_]:
        return np.array([letter for letter, _ in self._parts], "U1")

    @cached_property
    def _types(self) -> Numbers:
        """The number of the type of each tag; -1 for the outside tag."""
        return np.array([-1 if kind is None else self.types.index(kind) for _, kind in self._parts], np.int64)

    def spans(self, tags: Numbers, offsets: Numbers) -> Spans:
        """The spans of N texts. tags: numbers of the tags of all words, (W,). offsets: where words of a text begin, (N + 1,).

        Invalid sequences are read as seqeval does by default (and conlleval before it): a tag that cannot continue the span
        before it begins a new one.
        """
        letters, types = self._letters[tags], self._types[tags]
        first = np.zeros(len(tags) + 1, np.bool_)  # words at which a text begins, and the end
        first[offsets] = True
        before = np.concatenate([[OUTSIDE], letters[:-1]]) if len(tags) else letters
        other_type = np.concatenate([[True], types[1:] != types[:-1]]) if len(tags) else first[:0]
        begins = np.isin(letters, ["B", "S"]) | (
            (letters != OUTSIDE) & (first[:-1] | np.isin(before, [OUTSIDE, "E", "S"]) | other_type)
        )
        follows = (letters != OUTSIDE) & ~begins  # continues the span before it
        last = (letters != OUTSIDE) & ~np.append(follows[1:], False)[: len(tags)]
        starts, ends = np.flatnonzero(begins), np.flatnonzero(last) + 1
        texts = np.searchsorted(offsets, starts, side="right") - 1
        return Spans(texts, starts - offsets[texts], ends - offsets[texts], types[starts])

    def encode(self, spans: Spans, offsets: Numbers) -> Numbers:
        """The numbers of the tags of all words, (W,), from spans that do not overlap; -1 for a tag that is missing."""
        outside = self.names.index(OUTSIDE) if OUTSIDE in self.names else -1
        tags = np.full(int(offsets[-1]), outside, np.int64)
        lengths, begins = spans.ends - spans.starts, spans.starts + offsets[spans.texts]
        tags[ranges(begins, lengths)] = np.repeat(self._number("I", spans.types), lengths)
        tags[begins + lengths - 1] = self._number("EI", spans.types)
        tags[begins] = np.where(lengths == 1, self._number("SBI", spans.types), self._number("BI", spans.types))
        return tags

    def _number(self, letters: str, types: Numbers) -> Numbers:
        """The tag of each type with the first of these letters that it has; -1 if it has none."""
        numbers = np.full(len(self.types), -1, np.int64)
        for letter in reversed(letters):
            having = np.flatnonzero(self._letters == letter)
            numbers[self._types[having]] = having
        return numbers[types]

    def transitions(self) -> Transitions:
        """Which tags may follow each other. A type without a B tag begins with any of its tags, one without E ends with any."""
        letters, types = self._letters, self._types
        outside = letters == OUTSIDE
        has = {letter: np.isin(types, types[letters == letter]) & ~outside for letter in "BES"}
        opens = outside | np.isin(letters, ["B", "S"]) | ~has["B"]
        closes = outside | np.isin(letters, ["E", "S"]) | ~has["E"]
        inside = np.isin(letters, ["B", "I"])[:, None] & np.isin(letters, ["I", "E"])[None, :]
        pairs = (inside & (types[:, None] == types[None, :])) | (closes[:, None] & opens[None, :])
        return Transitions(opens, pairs, closes)


@dataclass(frozen=True)
class Repaired:
    """The tags of W words after sequences that the scheme does not allow were repaired, (W,), and the words whose tag changed.
    `iob1`: they are tags of IOB1, which has B only between two spans of one type that touch; no mistakes, then."""

    tags: Numbers
    changed: Numbers
    iob1: bool


def repair(names: Tags, tags: Numbers, offsets: Numbers) -> Repaired:
    """Tags that follow the scheme and have the same spans, as `Tags.spans` reads them; words of texts begin at `offsets`."""
    spans = names.spans(tags, offsets)
    repaired = names.encode(spans, offsets)
    changed = np.flatnonzero(repaired != tags)
    begins = offsets[spans.texts] + spans.starts
    touching = (
        (spans.starts[1:] == spans.ends[:-1]) & (spans.texts[1:] == spans.texts[:-1]) & (spans.types[1:] == spans.types[:-1])
    )
    free = begins[np.concatenate([[True], ~touching])[: len(begins)]]  # first words of spans that IOB1 begins with I
    return Repaired(repaired, changed, names.scheme == "bio" and len(changed) > 0 and bool((repaired[free] != tags[free]).all()))


def split_tag(name: str) -> tuple[str, str] | None:
    """`B-PER` -> ("B", "PER"), with the letter of BIOES for that of another scheme; None for a tag of no span."""
    match = TAG.fullmatch(name)
    return (match[1].translate(OTHER_LETTERS), match[2] or UNTYPED) if match else None


def scheme_of(names: Iterable[str]) -> TagScheme:
    """The scheme of these tags: `plain` unless all but O are letters of BIO, BIOES, BILOU or BMES, all with types or all bare."""
    inside = [name for name in dict.fromkeys(names) if name != OUTSIDE]
    parts = [split_tag(name) for name in inside]
    if not parts or None in parts:
        return "plain"
    letters = {part[0] for part in parts if part}
    bare = {name for name in inside if len(name) == 1}
    if bare and (len(bare) < len(inside) or "B" not in bare):
        return "plain"
    return "bio" if letters <= set(LETTERS["bio"]) else "bioes"


def tags_of(names: Sequence[str], scheme: TagScheme | None = None) -> Tags:
    """The tags of a head with these names, of a scheme that is recognized by them if it is None."""
    return Tags(tuple(names), scheme or scheme_of(names))


def complete_tags(names: Iterable[str], scheme: TagScheme | None = None) -> Tags:
    """The tags of a new head for data with these names of tags: of a scheme of spans, O and every tag of every type that occurs,
    as O, B-PER, I-PER, B-LOC, I-LOC."""
    names = tuple(dict.fromkeys(names))
    scheme = scheme or scheme_of(names)
    if scheme == "plain":
        return Tags(names, scheme)
    types = dict.fromkeys(part[1] for name in names if (part := split_tag(name)))
    return Tags((OUTSIDE, *(tag_name(letter, kind) for kind in types for letter in LETTERS[scheme])), scheme)


def tag_name(letter: str, kind: str) -> str:
    """The tag with this letter and type."""
    return letter if kind == UNTYPED else f"{letter}-{kind}"
