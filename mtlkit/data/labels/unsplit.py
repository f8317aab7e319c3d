"""Labels that are read as names, though they look like several labels, like marks 0 and 1, or like lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtlkit.data.labels.marks import Label, written_marks
from mtlkit.data.labels.values import shown
from mtlkit.data.labels.written import parse_written


def unsplit_remarks(labels: Sequence[Label], sep: str | None, location: str) -> Iterator[str]:
    """Remarks on labels that look like 0-or-1 marks or lists; none if they are lists, or split at `sep`."""
    texts = _texts(labels)
    if sep is not None or not texts:
        return
    if written_marks(texts):
        yield f"{location}: labels such as {shown(texts[0])} are read as names; to read marks 0 and 1, specify kind=multi-label"
    elif written := [text for text in texts if text[:1] in ("[", "(", "{") and parse_written(text) is not None]:
        summary = f"{len(written):,} of {len(texts):,} different labels look like lists, such as {shown(written[0])}"
        yield f"{location}: {summary}, and are read as names; write all labels as lists, or none"


def separator_remarks(labels: Sequence[Label], sep: str | None, location: str) -> Iterator[str]:
    """A remark if every row has a single label although several are possible, and some labels contain what may be a separator."""
    for mark in "|;," if sep is None else "":
        if label := next((text for text in _texts(labels) if mark in text), None):
            yield f"{location}: each row has one label, such as {shown(label)}; to split labels at '{mark}', specify sep={mark}"
            return


def _texts(labels: Sequence[Label]) -> list[str]:
    """The different labels; none if some are not text."""
    distinct = dict.fromkeys(labels)
    texts = [label for label in distinct if isinstance(label, str)]
    return texts if len(texts) == len(distinct) else []
