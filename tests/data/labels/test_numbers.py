"""Labels that look like numbers: remarks and errors."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.data.labels.marks import RowError
from mtlkit.data.labels.numbers import check_classes, check_numbers
from mtlkit.errors import DataError


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        ([f"{10 * row}.00" for row in range(5000)], r"\?kind=regression"),
        ([str(row) for row in range(50)], r"\?kind=regression"),
        ([f"id {row}" for row in range(50)], r"\?label=NAME"),
    ],
)
def test_a_class_for_nearly_every_row_is_an_error(labels: list[Any], way: str) -> None:  # fault 54
    with pytest.raises(DataError, match=rf"different labels .*; specify {way}.*, or \?kind=classification") as caught:
        check_classes(labels, "a.csv")
    assert len(str(caught.value)) < 400
    check_classes([*labels, *labels], "a.csv")


def test_numbers_with_a_decimal_comma_are_no_classes() -> None:  # fault 54
    with pytest.raises(DataError, match=r"a decimal comma \(3,5, 2,75\); write .* specify \?kind="):
        check_numbers(["3,5", "2,75", "3,5"], "a.csv")
    check_numbers(["3,5", "four"], "a.csv")


@pytest.mark.parametrize(
    ("labels", "odd"),
    [
        (["1,250.5", "900", "1.250,75"], "1,250.5"),
        (["50%", "12.5 %"], "50%"),
        (["$10.00", "\u20ac 9"], r"\$10.00"),
    ],
)
def test_numbers_in_another_spelling_are_no_classes(labels: list[Any], odd: str) -> None:  # fault 54
    with pytest.raises(DataError, match=rf"look like numbers .*{odd}.* like 1250.5, or specify \?kind=classification"):
        check_numbers(labels, "a.csv")
    check_numbers([*labels, "cheap"], "a.csv")


@pytest.mark.parametrize(
    ("labels", "row", "odd"),
    [
        ([*(str(1 + row % 9 / 2) for row in range(59)), "N/A"], 59, "'N/A'"),
        (["1.5", "2.75", "good"], 2, "'good'"),
        (["1.5", "nan", "2.75", "inf"], 1, "'nan', 'inf'"),
        ([0.5, 1.0, "unknown"], 2, "'unknown'"),
    ],
)
def test_scores_with_a_few_other_labels_are_refused_with_the_row(labels: list[Any], row: int, odd: str) -> None:  # fault 54
    with pytest.raises(RowError, match=rf"^a.csv: .*not numbers: {odd}; .*kind=regression with --on-bad-row skip") as caught:
        check_numbers(labels, "a.csv")
    assert caught.value.row == row


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["0.0", "1.0", "2.0"] * 2, r"whole numbers \(0, 1, 2\), read as classes"),
        ([0.0, 1.0, 2.0] * 2, r"whole numbers \(0, 1, 2\), read as classes"),
        (["1", "2", "3", "4", "5"] * 2 + ["none"], "10 of 11 labels are numbers, and 'none' are not"),
        (["1.5", "a", "b"], "1 of 3 labels are numbers, and 'a', 'b' are not"),
        (["0", "1"], ""),
        (["1", "a", "b"], ""),
        (["0.5", "1.0"], ""),
        ([("1.0",), ()], ""),
    ],
)
def test_numbers_read_as_classes_are_reported(labels: list[Any], said: str) -> None:  # fault 54
    remarks = list(codec_of(infer_kind(labels)).remarks(labels, SourceRecord("a.csv"), "a.csv"))
    assert [bool(re.search(said, remark)) for remark in remarks] == [True] * bool(said)
    assert not list(codec_of("classification").remarks(labels, SourceRecord("a.csv", kind="classification"), "a.csv"))
