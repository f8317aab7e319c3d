"""Spans in the tags of texts: their number by type, and for display."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from mtlkit.config.architecture import TagScheme
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.tag_schemes import OUTSIDE, Tags, tags_of
from mtlkit.evaluation.spans import Numbers, Spans


def spans_by_type(labels: Sequence[Label], scheme: TagScheme | None = None) -> dict[str, int]:
    """The number of spans of each type in the tags of texts, the largest first; none for plain tags."""
    tags, spans = read_spans(labels, scheme)
    if tags.scheme == "plain":
        return {}
    counts = np.bincount(spans.types, minlength=len(tags.types)).tolist()
    return dict(sorted(zip(tags.types, counts, strict=True), key=lambda item: (-item[1], item[0])))


def read_spans(labels: Sequence[Label], scheme: TagScheme | None = None) -> tuple[Tags, Spans]:
    """The tags of texts, and their spans in words; with plain tags, each word is one. Without `scheme`, it is recognized."""
    rows = [label if isinstance(label, tuple) else () for label in labels]
    tags = tags_of(sorted(set(chain.from_iterable(rows))), scheme)
    numbers = {name: number for number, name in enumerate(tags.names)}
    flat = np.array([numbers[tag] for tag in chain.from_iterable(rows)], np.int64)
    return tags, tags.spans(flat, np.cumsum([0, *map(len, rows)]))


def shown_tags(text: str, words: Numbers, label: Label, scheme: TagScheme | None = None) -> str:
    """The spans of a text for display, such as `PER Anna, LOC New York`; of plain tags, these."""
    tags, spans = read_spans([label], scheme)
    if tags.scheme == "plain" and isinstance(label, tuple) and set(label) != {OUTSIDE}:
        return " ".join(label)
    shown = zip(spans.types.tolist(), spans.starts.tolist(), spans.ends.tolist(), strict=True)
    names = [f"{tags.types[kind]} {text[words[start, 0] : words[end - 1, 1]]}" for kind, start, end in shown]
    return ", ".join(names) if tags.scheme != "plain" and names else "no spans"
