"""The findings of `check-data`, as tables and sentences."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console, RenderableType

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.quality.findings import (
    MOST_TOKENS,
    Example,
    Finding,
    LengthSummary,
    Problem,
    ScoreSummary,
    SplitSummary,
    TaskSummary,
)
from mtlkit.evaluation.bag_of_words import WordsBaseline
from mtlkit.report.check_data import absences, baseline_message, task_tables
from mtlkit.report.findings import conclusion, example_lines, finding_message


def shown(tables: list[RenderableType], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def task(classes: dict[str, int], *, kind: str = "classification", name: str = "t") -> TaskSummary:
    """Three splits; test lacks the first class."""
    test = dict(list(classes.items())[1:])
    rows = sum(classes.values()) or 120_000
    return TaskSummary(
        name,
        "some/folder",
        kind,  # type: ignore[arg-type]
        (
            SplitSummary("train", rows, False, classes, LengthSummary(53.5, 88.0, MOST_TOKENS, rows // 3, rows)),
            SplitSummary("validation", rows, True, classes, LengthSummary(53.0, 88.0, 100, 0, rows)),
            SplitSummary("test", sum(test.values()) or 7600, False, test, LengthSummary(53.0, 88.0, 100, 0, rows)),
        ),
        ("validation",),
    )


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("count", [2, 10, 150])
def test_tables_fit_and_cut_no_figure(width: int, count: int) -> None:
    classes = {f"a class [/] {place} with quite a long name \x1b[2J indeed": 123_456 - place for place in range(count)}
    text = shown(task_tables(task(classes), width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "65,536+" in text
    assert "33.3" in text
    assert "validation (held out)" in text
    assert f"t: {count} classes (largest / smallest in train: 1.0)" in text
    assert text.count("a class [/]") == min(count, 10)
    assert "123,456" in text
    assert f"{123_456 - count + 1:,}" in text
    assert ("…  " in text) == (count == 150 or width == 80)


def test_a_class_that_a_split_lacks_has_no_rows() -> None:
    text = shown(task_tables(task({"x": 3, "y": 1}), 80), 80)
    (row,) = [line.split() for line in text.splitlines() if line.startswith(" x ")]
    assert row == ["x", "3", "75.0", "3", "75.0", "0", "0.0"]
    assert "largest / smallest in train: 3.0" in text


def test_a_class_called_by_three_dots_is_a_class() -> None:
    text = shown(task_tables(task({"…": 3, "y": 1}), 80), 80)
    (row,) = [line.split() for line in text.splitlines() if line.startswith(" … ")]
    assert row[:3] == ["…", "3", "75.0"]


def test_numbers_have_no_table_of_classes() -> None:
    assert len(task_tables(task({}, kind="regression"), 80)) == 1


def test_missing_parts_are_reported() -> None:
    both = TaskSummary("t", "a.csv", "classification", (), ("validation", "test"))
    validation, test = absences(both)
    assert "no validation split" in validation
    assert "stratified" in validation
    assert "no test split" in test
    assert absences(TaskSummary("t", "a.csv", "classification", (), ())) == []


def test_pairs_have_two_texts_a_row_and_a_table_of_scores() -> None:
    lengths = LengthSummary(9.0, 12.0, 20, 5, 20)
    splits = (
        SplitSummary("train", 10, False, {}, lengths, ScoreSummary(-0.5, 2.25, 5.0, 1234)),
        SplitSummary("validation", 10, True, {}, lengths, ScoreSummary(0.0, 1.0, 4.0, 3)),
    )
    text = shown(task_tables(TaskSummary("t", "a.csv", "similarity", splits, (), SourceRecord("a.csv", label=("gold",))), 80), 80)
    lines = [line.split() for line in text.splitlines()]
    assert ["train", "10", "9", "12", "20", "25.0"] in lines
    assert "t: scores (column 'gold')" in text
    assert ["train", "-0.5", "2.25", "5", "1,234"] in lines
    assert ["validation", "0", "1", "4", "3"] in lines
    unscored = TaskSummary("t", "a.csv", "pairs", tuple(replace(split, scores=None) for split in splits), ("validation",))
    assert len(task_tables(unscored, 80)) == 1
    (absence,) = absences(unscored)
    assert "2,000 pairs" in absence


def finding(problem: Problem, rows: int = 3, split: str = "test", against: str = "train") -> Finding:
    labels = ("a", "[b]")
    figures = {"skew": 12.3, "sorted": 2, "cut": 256}
    return Finding(problem, "t", split, rows, 1200, against=against, another="u", labels=labels, figure=figures.get(problem))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (finding("blank"), "3 of 1,200 test texts are blank"),
        (finding("blank", 1), "1 of 1,200 test texts is blank"),
        (finding("rare", 2, "train"), "2 classes have a single row of train ('a', '[b]')"),
        (finding("rare", 1, "train"), "1 class has a single row of train ('a', '[b]')"),
        (finding("skew", split="train"), "the class 'a' has 12 times the rows of '[b]' in train"),
        (finding("unseen"), "3 of 1,200 test rows have a label that is not in train ('a', '[b]')"),
        (finding("cut", split="train"), "3 of 1,200 train texts are longer than 256 tokens"),
        (finding("repeated"), "3 of 1,200 test rows repeat the text of an earlier row"),
        (finding("two labels", against="test"), "3 texts of test have two labels"),
        (finding("two labels", 1), "1 text of test has another label in train"),
        (finding("overlap"), "3 of 1,200 test texts are also in train"),
        (finding("near", 1), "1 of 1,200 test texts is nearly identical to one in train"),
        (finding("shared"), "3 of 1,200 test texts are also in train of u"),
    ],
)
def test_a_finding_in_one_sentence(found: Finding, words: str) -> None:
    message = finding_message(found)
    assert message.startswith("t: ")
    assert words in message


@pytest.mark.parametrize(
    ("problem", "split", "more", "words"),
    [
        ("repeated", "train", {}, "3 of 9 train rows repeat the pair of an earlier row"),
        ("two labels", "train", {"value": "score"}, "3 pairs of train have two scores"),
        ("two labels", "train", {}, "3 pairs of train have two labels"),
        ("two labels", "test", {"value": "score"}, "3 pairs of test have another score in train"),
        ("overlap", "test", {"rows": 1}, "1 of 9 test pairs is also in train"),
        ("near", "test", {}, "3 of 9 test pairs are nearly identical to one in train"),
        ("unusable", "train", {"reason": "column 'a' is 3"}, "train: column 'a' is 3"),
        ("unusable", "test", {"reason": "column 'a' is 3"}, "test: column 'a' is 3"),
        ("same sides", "train", {"rows": 1}, "1 of 9 train pairs has the same text on both sides"),
        ("outside", "test", {"labels": ("0", "5")}, "3 of 9 test scores are outside the range of train (0 to 5)"),
        (
            "few negatives",
            "train",
            {"figure": 0.1},
            "3 of 9 train pairs share a text with more than 10% of the others",
        ),
    ],
)
def test_a_finding_of_pairs_in_one_sentence(problem: Problem, split: str, more: dict[str, Any], words: str) -> None:
    found = replace(Finding(problem, "t", split, 3, 9, against="train", noun="pair"), **more)
    message = finding_message(found)
    assert message.startswith("t: ")
    assert words in message


def test_sorted_rows_and_one_class() -> None:
    assert finding_message(finding("sorted", split="train")).startswith(
        "t: the rows of train are sorted by label (2 runs in 1,200 rows)"
    )
    assert finding_message(Finding("one class", "t", "train", 9, 9, labels=("x" * 99,))) == (
        f"t: all 9 train rows have the label '{'x' * 39}…'"
    )


@pytest.mark.parametrize(
    ("example", "lines"),
    [
        (Example(("a/test.csv:2", "a/train.csv:4"), ("x", "x"), "A  text"), ["test.csv:2 and train.csv:4: A text"]),
        (
            Example(("test.csv:2", "train.csv:4"), ("x", "y"), "A text"),
            ["test.csv:2 'x' and train.csv:4 'y': A text"],
        ),
        (Example(("train.csv:4",), ("x",), " "), ["train.csv:4"]),
        (
            Example(("test.csv:2", "train.csv:4"), ("x", "x"), "A text", "The text", 0.857),
            ["test.csv:2: A text", "train.csv:4 (0.86): The text"],
        ),
    ],
)
def test_examples_say_where(example: Example, lines: list[str]) -> None:
    assert example_lines(example, 80) == lines


def test_examples_of_pairs_show_both_texts() -> None:
    long = Example(("test.csv:2", "train.csv:4"), ("", ""), "A " * 99, partner="B " * 99)
    (line,) = example_lines(long, 80)
    first, second = line.removeprefix("test.csv:2 and train.csv:4: ").split(" | ")
    assert (set(first), set(second)) == (set("A …"), set("B …"))
    assert abs(len(first) - len(second)) < 3
    near = Example(("test.csv:2", "train.csv:4"), ("3.0", "3.0"), "a", "b", 0.9, "c", "d")
    assert example_lines(near, 80) == ["test.csv:2: a | c", "train.csv:4 (0.90): b | d"]


@pytest.mark.parametrize("partners", [{}, {"partner": "pair " * 99, "other_partner": "pairs " * 99}])
def test_examples_fit(partners: dict[str, str]) -> None:
    example = Example(("test.csv:2", "train.csv:4"), ("x", "y"), "word " * 99, "words " * 99, 0.9, **partners)
    assert [len(line) <= 60 for line in example_lines(example, 60)] == [True, True]


def test_the_last_sentence() -> None:
    assert conclusion([]) == "no problems found"
    assert conclusion([finding("blank")]).startswith("1 finding, none")
    spoiling = Finding("blank", "t", "test", 1, 2, spoils=True)
    assert conclusion([spoiling, finding("cut")]).startswith("2 findings, 1 ")


def test_the_baseline_in_words() -> None:
    split, folds = (WordsBaseline.of(np.arange(100) < 80, 400, number) for number in (0, 5))
    assert "accuracy 0.800 (95 %: 0.711 to 0.867); trained on 400 rows, scored on 100 val" in baseline_message("t", split)
    assert baseline_message("t", folds).endswith("cross-validated on 400 rows, 5 folds")
    assert "needs one class per row" in baseline_message("t", None)
