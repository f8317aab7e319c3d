"""Finds problems with the tags of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

import numpy as np

from mtlkit.data.labels.tag_schemes import complete_tags
from mtlkit.data.quality.findings import CheckedSplit, Finding


def unseen_tags(train: CheckedSplit, other: CheckedSplit) -> Iterator[Finding]:
    """Texts of a split with a type of spans, or a plain tag, that does not occur in training. A tag is known if another one of
    its type is, as heads have all of them."""
    known = set(complete_tags(sorted(tags_in(train)), train.table.record.scheme).names)
    unseen = Counter(tag for label in other.table.labels if isinstance(label, tuple) for tag in set(label) - known)
    if unseen:
        rows = [row for row, label in enumerate(other.table.labels) if isinstance(label, tuple) and not known.issuperset(label)]
        labels = tuple(sorted(unseen, key=lambda tag: (-unseen[tag], tag)))
        yield other.finding("unseen", np.array(rows, np.int64), spoils=other.judged, labels=labels)


def one_tag(train: CheckedSplit) -> Iterator[Finding]:
    """All words have the same tag."""
    tags = tags_in(train)
    if len(tags) < 2:
        yield train.finding("one class", np.arange(len(train)), spoils=True, labels=tuple(tags))


def tags_in(split: CheckedSplit) -> set[str]:
    return set(chain.from_iterable(label for label in split.table.labels if isinstance(label, tuple)))
