"""Lists of 0 and 1: which of a task's labels a row has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mtlkit.data.datasets.values import MultiHotLabels
from mtlkit.errors import DataError, listed

Label = str | float | tuple[str, ...]
RawLabel = Label | MultiHotLabels
WRITTEN_MARKS = re.compile(r"\s*[01](?:[ ,;|\t]*[01])*\s*")


class RowError(DataError):
    """A label that does not fit the others. `row` counts the rows that have been read, from 0; `reason` is for their place."""

    def __init__(self, row: int, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.row, self.reason = row, reason


def repeats(marks: MultiHotLabels) -> bool:
    """Whether a 0 or a 1 is there twice, as in no list of different names."""
    return len(set(marks.marks)) < len(marks)


def written_marks(labels: Sequence[RawLabel]) -> list[MultiHotLabels]:
    """The marks in texts such as `0 1 0`, `0|1|0` and `010`; none unless all are that, and not numbers."""
    if not all(isinstance(label, str) and WRITTEN_MARKS.fullmatch(label) for label in labels):
        return []
    texts = [label.strip() for label in labels if isinstance(label, str)]
    if not any(not text.isdigit() or (len(text) > 1 and text.startswith("0")) for text in texts):
        return []  # 1, 10 and 11 are numbers of classes
    digits = [re.findall("[01]", text) for text in texts]
    return [MultiHotLabels(tuple(mark == "1" for mark in marks), tuple(marks)) for marks in digits]


def marked_labels(
    labels: Sequence[RawLabel], one_class: bool, names: tuple[str, ...], column: str, place: str
) -> tuple[list[Label], tuple[str, ...]]:
    """Lists of which some hold only 0 and 1: marks by place where all have one length, else numbers of classes. With `one_class`
    a list of one is the class of its row.

    Returns the labels of each row, and the names of all marks. Raises RowError, DataError where neither makes sense.
    """
    marks = [label for label in labels if isinstance(label, MultiHotLabels)]
    if len(marks) < len(labels) or len(set(map(len, marks))) > 1:
        if names or any(map(repeats, marks)):
            width = Counter(map(len, marks)).most_common(1)[0][0]
            row, odd = next(
                (row, one) for row, one in enumerate(labels) if not isinstance(one, MultiHotLabels) or len(one) != width
            )
            held = odd.classes if isinstance(odd, MultiHotLabels) else odd if isinstance(odd, tuple) else (str(odd),)
            said = f"holds [{listed(held)}], where other rows hold {width} marks 0 and 1"
            raise RowError(row, place, f"{column} {said}; give this row a mark for each label, or remove it")
        return [label.classes if isinstance(label, MultiHotLabels) else label for label in labels], ()
    width = len(marks[0])
    if one_class and width == 1:
        return [one.classes[0] for one in marks], ()
    if width == 1 and not names and all(one.written for one in marks):
        return [one.classes for one in marks], ()  # one name a row
    if width == 1 and not names:
        raise DataError(
            f"{place}: {column} holds lists of a single 0 or 1: specify ?kind=classification to read it as a class, "
            "or ?names=NAME to read it as a mark"
        )
    if names and len(names) != width:
        raise DataError(f"{place}: {column} holds {width} marks a row, and there are {len(names)} names ({listed(names)})")
    names = names or tuple(map(str, range(width)))
    return [tuple(name for name, mark in zip(names, one.marks, strict=True) if mark) for one in marks], names
