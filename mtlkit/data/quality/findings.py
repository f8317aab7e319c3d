"""Findings about the rows of a task as plain data; `report/` turns them into text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.classes import parts_of
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.tagged_spans import shown_tags
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
    "unread",
]
EXAMPLES = 3  # per finding
MOST_TOKENS = 1 << 16  # tokens to count per text


@dataclass(frozen=True)
class Example:
    """Rows that illustrate a finding: their places, labels and text, and the second row's text as `other` if it differs. For
    pairs, `text` and `other` are the first texts, `partner` and `other_partner` the second texts."""

    places: tuple[str, ...]
    labels: tuple[str, ...]
    text: str
    other: str = ""
    resemblance: float | None = None
    partner: str = ""
    other_partner: str = ""


@dataclass(frozen=True)
class Finding:
    """A problem with `rows` out of `of` rows of a split; `spoils` if it invalidates results.

    `against` is the split that also contains the rows, `another` the task of that split; `labels` are the labels concerned.
    `figure` depends on the problem: the ratio of the largest class to the smallest ("skew"), the number of runs of equal labels
    ("sorted"), the maximum number of tokens ("cut"), or the share of other pairs with a common text ("few negatives").
    `reason` is why a split is "unusable"; `noun` says whether rows are texts or pairs, `value` what they have.
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
    value: Literal["label", "score", "tag"] = "label"


@dataclass(frozen=True)
class LengthSummary:
    """Lengths of the texts of a split in tokens, including BOS and EOS: median, 95th percentile and longest (at most
    MOST_TOKENS), the number of texts that are cut, and of all texts (two per pair)."""

    median: float
    most_are_below: float
    longest: int
    cut: int
    texts: int


@dataclass(frozen=True)
class ScoreSummary:
    """Lowest, median and highest score of a split, and the number of different scores."""

    lowest: float
    median: float
    highest: float
    different: int


@dataclass(frozen=True)
class SplitSummary:
    """Number of rows of a split, whether they are held out of train, rows per class (the largest first), lengths, scores of
    scored pairs, and of a label column of several its gaps: rows with a label in another one only. If words have labels,
    `classes` are words per tag, and `spans` spans per type."""

    name: str
    rows: int
    held_out: bool
    classes: dict[str, int]
    lengths: LengthSummary
    scores: ScoreSummary | None = None
    gaps: int = 0
    words: int = 0
    spans: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskSummary:
    """A task, or texts for pretraining (kind "text"): its splits, those that it has not, and how its source was read. Of data
    without labels, the kind is the objective that it is for."""

    name: str
    source: str
    kind: Kind | Literal["text", "pairs", "triplets", "similarity", "distill"]
    splits: tuple[SplitSummary, ...]
    absent: tuple[str, ...]
    record: SourceRecord = SourceRecord("")

    @property
    def classes(self) -> list[str]:
        """The classes of all splits, the largest in train first."""
        return list(dict.fromkeys(label for split in self.splits for label in split.classes))


@dataclass(frozen=True)
class CheckedSplit:
    """The rows of a split of a task with a number per text: equal texts have the same number, blank texts have -1.

    `judged` if results are measured on this split: test, or validation if there is no test. For pairs, the table has the first
    texts and scores, `partners` are the second texts, and equal pairs have the same number.
    """

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
        """Whether rows are texts or pairs."""
        return "pair" if self.partners else "text"

    def finding(self, problem: Problem, rows: Rows, **more: Any) -> Finding:
        """A finding about these rows, with the first few as examples."""
        examples = tuple(self.example(row) for row in rows[:EXAMPLES].tolist())
        scored = bool(self.partners) and isinstance(self.table.labels[0], float)
        value = "score" if scored else "tag" if self.table.words else "label"
        values = {"rows": len(rows), "of": len(self), "examples": examples, "noun": self.noun, "value": value, **more}
        return Finding(problem, self.task, self.name, **values)

    def example(
        self, row: int, other: CheckedSplit | None = None, other_row: int = 0, resemblance: float | None = None
    ) -> Example:
        """An example of a row, or of a row and a row of another split."""
        pairs = [(self, row)] if other is None else [(self, row), (other, other_row)]
        places = tuple(split.table.places[index] for split, index in pairs if split.table.places)
        labels = tuple(split.label_of(index) for split, index in pairs)
        (text, partner), second = self.texts_of(row), ("", "")
        if other is not None and resemblance is not None:
            second = other.texts_of(other_row)
        return Example(places, labels, text, second[0], resemblance, partner, second[1])

    def label_of(self, row: int) -> str:
        """The label of a row for display."""
        table = self.table
        if not table.words:
            return label_name(table.labels[row])
        return shown_tags(table.texts[row], table.words[row], table.labels[row], table.record.scheme)

    def texts_of(self, row: int) -> tuple[str, str]:
        """The text of a row, and its partner if it is a pair."""
        return self.table.texts[row], self.partners[row] if self.partners else ""


def split_of(task: str, name: str, table: LabelledTable, numbers: TextNumbers, *, judged: bool = False) -> CheckedSplit:
    """A split with its texts, or pairs of texts, numbered."""
    text_numbers = numbers.of(table.examples)
    blank = np.fromiter((not text or text.isspace() for text in table.examples), bool, len(table))
    return CheckedSplit(task, name, table, np.where(blank, -1, text_numbers), judged, table.seconds)


def label_name(label: Label) -> str:
    """A label for display."""
    return ", ".join(parts_of(label))
