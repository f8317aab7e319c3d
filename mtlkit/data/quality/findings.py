"""What may be wrong with the rows of a task, as plain values and in no words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.class_labels import parts_of
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.marks import Label
from mtlkit.data.quality.near_duplicates import TextNumbers

Problem = Literal[
    "blank",
    "one class",
    "alike",
    "rare",
    "skew",
    "sorted",
    "unseen",
    "cut",
    "repeated",
    "two labels",
    "overlap",
    "near",
    "shared",
    "unusable",
    "same sides",
    "few negatives",
    "outside",
]
EXAMPLES = 3  # of a finding
MOST_TOKENS = 1 << 16  # that are counted of one text


@dataclass(frozen=True)
class Example:
    """Rows that show a finding: where they are, their labels, and their text; that of the second where it is another one. Of
    pairs, `text` and `other` are the first texts, `partner` and `other_partner` the second ones."""

    places: tuple[str, ...]
    labels: tuple[str, ...]
    text: str
    other: str = ""
    resemblance: float | None = None
    partner: str = ""
    other_partner: str = ""


@dataclass(frozen=True)
class Finding:
    """A problem of `rows` out of all rows of a split; `spoils` if a result with it means something else than it says.

    `against` is the split that the rows stand in, too, `another` the task whose split that is; `labels` are those in question;
    `figure` is how many times the rows of the smallest class the largest has ("skew"), how many runs of one label the rows make
    ("sorted"), how many tokens are kept of a text ("cut"), or the share of other pairs with a text in common ("few negatives").
    `reason` is why a split is "unusable"; `noun` is what rows are: texts, or pairs of them.
    """

    problem: Problem
    task: str
    split: str
    rows: int
    of: int
    spoils: bool = False
    against: str = ""
    another: str = ""
    labels: tuple[str, ...] = ()
    figure: float | None = None
    examples: tuple[Example, ...] = ()
    reason: str = ""
    noun: Literal["text", "pair"] = "text"


@dataclass(frozen=True)
class LengthSummary:
    """Of the texts of a split in tokens, BOS and EOS included: median, 95th percentile, longest (MOST_TOKENS at most), how many
    texts are cut, and how many there are (two a row of pairs)."""

    median: float
    most_are_below: float
    longest: int
    cut: int
    texts: int


@dataclass(frozen=True)
class ScoreSummary:
    """Of the scores of a split: lowest, median and highest, and how many different ones there are."""

    lowest: float
    median: float
    highest: float
    different: int


@dataclass(frozen=True)
class SplitSummary:
    """Rows of a split, whether they are held out of train, how many have each class (the largest first), their lengths, and
    their scores where pairs have them."""

    name: str
    rows: int
    held_out: bool
    classes: dict[str, int]
    lengths: LengthSummary
    scores: ScoreSummary | None = None


@dataclass(frozen=True)
class TaskSummary:
    """A task, or texts for pretraining (kind "text"): its splits, those that it has not, and how its source was read. Of data
    without labels, the kind is the objective that it is for."""

    name: str
    source: str
    kind: Kind | Literal["text", "pairs", "similarity", "distill"]
    splits: tuple[SplitSummary, ...]
    absent: tuple[str, ...]
    record: SourceRecord = SourceRecord("")

    @property
    def classes(self) -> list[str]:
        """The classes of all splits, the largest in train first."""
        return list(dict.fromkeys(label for split in self.splits for label in split.classes))


@dataclass(frozen=True)
class CheckedSplit:
    """The rows of a split of a task, and the number of each one's text: equal texts have the same one, a blank one has -1.
    `judged` if results are of this split: test, or validation where there is no test. Of pairs, the table holds first texts and
    scores, `partners` are the second texts, and equal pairs have the same number."""

    task: str
    name: str
    table: LabelledTable
    numbers: Rows
    judged: bool = False
    partners: Sequence[str] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def noun(self) -> Literal["text", "pair"]:
        """What its rows are."""
        return "pair" if self.partners else "text"

    def finding(self, problem: Problem, rows: Rows, **more: Any) -> Finding:
        """A finding of these rows, with the first few as examples."""
        examples = tuple(self.example(row) for row in rows[:EXAMPLES].tolist())
        values = {"rows": len(rows), "of": len(self), "examples": examples, "noun": self.noun, **more}
        return Finding(problem, self.task, self.name, **values)

    def example(self, row: int, other: CheckedSplit | None = None, there: int = 0, resemblance: float | None = None) -> Example:
        """A row, or a row and one of another split."""
        pairs = [(self, row)] if other is None else [(self, row), (other, there)]
        places = tuple(split.table.places[place] for split, place in pairs if split.table.places)
        labels = tuple(label_name(split.table.labels[place]) for split, place in pairs)
        (text, partner), second = self.texts_of(row), ("", "")
        if other is not None and resemblance is not None:
            second = other.texts_of(there)
        return Example(places, labels, text, second[0], resemblance, partner, second[1])

    def texts_of(self, row: int) -> tuple[str, str]:
        """The text of a row, and its partner in a pair."""
        return self.table.texts[row], self.partners[row] if self.partners else ""


def split_of(task: str, name: str, table: LabelledTable, numbers: TextNumbers, *, judged: bool = False) -> CheckedSplit:
    """A table with the numbers of its texts."""
    found = numbers.of(table.texts)
    blank = np.fromiter((not text or text.isspace() for text in table.texts), bool, len(table))
    return CheckedSplit(task, name, table, np.where(blank, -1, found), judged)


def label_name(label: Label) -> str:
    """A label as it is shown."""
    return ", ".join(parts_of(label))
