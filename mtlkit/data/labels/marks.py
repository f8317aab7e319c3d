"""Multi-hot labels: lists of 0 and 1 that mark which of a task's labels a row has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mtlkit.data.labels.values import MultiHotLabels
from mtlkit.errors import DataError, listed

Label = str | float | tuple[str, ...]
RawLabel = Label | MultiHotLabels
WRITTEN_MARKS = re.compile(r"\s*[01](?:[ ,;|\t]*[01])*\s*")


class RowError(DataError):
    """A label that does not fit the others. `row` is the index of the row that was read; `reason` is the message only."""

    def __init__(self, row: int, location: str, reason: str) -> None:
        super().__init__(f"{location}: {reason}")
        self.row, self.reason = row, reason


def repeats(marks: MultiHotLabels) -> bool:
    """Whether 0 or 1 occurs twice, so that this cannot be a list of different class names."""
    return len(set(marks.marks)) < len(marks)


def written_marks(labels: Sequence[RawLabel]) -> list[MultiHotLabels]:
    """Parses texts such as `0 1 0`, `0|1|0` and `010`; empty unless all labels are such texts and not numbers."""
    if not all(isinstance(label, str) and WRITTEN_MARKS.fullmatch(label) for label in labels):
        return []
    texts = [label.strip() for label in labels if isinstance(label, str)]
    if not any(not text.isdigit() or (len(text) > 1 and text.startswith("0")) for text in texts):
        return []  # 1, 10 and 11 are class numbers
    digits = [re.findall("[01]", text) for text in texts]
    return [MultiHotLabels(tuple(mark == "1" for mark in marks), tuple(marks)) for marks in digits]


def marked_labels(
    labels: Sequence[RawLabel], one_class: bool, names: tuple[str, ...], column: str, location: str
) -> tuple[list[Label], tuple[str, ...]]:
    """Interprets lists of 0 and 1: multi-hot labels if all have the same length, else lists of class numbers. With `one_class` a
    list with one item is the class of its row.

    Returns the labels of each row, and the names of all labels. Raises RowError or DataError if neither fits.
    """
    marks = [label for label in labels if isinstance(label, MultiHotLabels)]
    if len(marks) < len(labels) or len(set(map(len, marks))) > 1:
        if names or any(map(repeats, marks)):
            width = Counter(map(len, marks)).most_common(1)[0][0]
            row, odd = next(
                (row, label) for row, label in enumerate(labels) if not isinstance(label, MultiHotLabels) or len(label) != width
            )
            values = odd.classes if isinstance(odd, MultiHotLabels) else odd if isinstance(odd, tuple) else (str(odd),)
            problem = f"contains [{listed(values)}], but other rows have lists of {width} values 0 or 1"
            raise RowError(row, location, f"{column} {problem}; give a 0 or 1 for each label, or remove this row")
        return [label.classes if isinstance(label, MultiHotLabels) else label for label in labels], ()
    width = len(marks[0])
    if one_class and width == 1:
        return [label.classes[0] for label in marks], ()
    if width == 1 and not names and all(label.written for label in marks):
        return [label.classes for label in marks], ()  # one name per row
    if width == 1 and not names:
        raise DataError(
            f"{location}: {column} contains lists of a single 0 or 1; specify ?kind=classification to read them as classes, "
            "or ?names=NAME to read them as multi-hot labels"
        )
    if names and len(names) != width:
        raise DataError(f"{location}: {column} has {width} values per row, but {len(names)} names are given ({listed(names)})")
    names = names or tuple(map(str, range(width)))
    return [tuple(name for name, mark in zip(names, label.marks, strict=True) if mark) for label in marks], names
