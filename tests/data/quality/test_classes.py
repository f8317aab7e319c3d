"""Problems within the texts and labels of a single split."""

from __future__ import annotations

import random

import pytest

from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.marks import Label
from mtlkit.data.quality.classes import (
    alike_labels,
    blank_texts,
    count_classes,
    one_class,
    sorted_labels,
    uneven_classes,
    unseen_classes,
)
from mtlkit.data.quality.findings import CheckedSplit, Finding, split_of
from mtlkit.data.quality.near_duplicates import TextNumbers


def split(*labels: Label, name: str = "train", texts: list[str] | None = None) -> CheckedSplit:
    """Rows with these labels; results are of them."""
    texts = texts or [f"text {row}" for row in range(len(labels))]
    places = [f"{name}.csv:{row + 2}" for row in range(len(labels))]
    return split_of("t", name, LabelledTable(texts, list(labels), places), TextNumbers(), judged=True)


def test_classes_are_counted_the_largest_first() -> None:
    assert list(count_classes(["b", "a", "b", "c"]).items()) == [("b", 2), ("a", 1), ("c", 1)]
    assert list(count_classes([("a", "b"), (), ("b",)]).items()) == [("b", 2), ("a", 1)]


def test_blank_texts() -> None:
    (found,) = blank_texts(split("x", "y", "x", "x", texts=["", "a", " \n", "\u3000"]))
    assert (found.rows, found.of, found.spoils) == (3, 4, True)
    assert [example.places for example in found.examples] == [("train.csv:2",), ("train.csv:4",), ("train.csv:5",)]
    assert list(blank_texts(split("x", texts=["a"]))) == []


def test_one_class() -> None:
    (found,) = one_class(split("x", "x", "x"))
    assert (found.labels, found.rows, found.spoils) == (("x",), 3, True)
    assert list(one_class(split("x", "y"))) == []
    (none,) = one_class(split((), ()))
    assert (none.labels, none.rows) == ((), 2)
    assert list(one_class(split(("x",), ()))) == []  # there or not


def test_uneven_classes() -> None:
    rare, skew = uneven_classes(split(*"a" * 25, "b", "c", "d", "d"))
    assert (rare.problem, rare.rows, rare.labels) == ("rare", 2, ("b", "c"))
    assert (skew.problem, skew.rows, skew.labels, skew.figure) == ("skew", 25, ("a", "c"), 25)
    assert list(uneven_classes(split(*"aaaaaaaaabbb"))) == []
    assert list(uneven_classes(split((), ()))) == []


def test_unseen_classes_are_named_with_their_rows() -> None:
    (found,) = unseen_classes(split("a", "b"), split("a", "c", "d", "c", name="test"))
    assert (found.split, found.rows, found.labels, found.spoils) == ("test", 3, ("c", "d"), True)
    assert found.examples[0].places == ("test.csv:3",)
    assert list(unseen_classes(split("a", "b"), split("a", name="test"))) == []
    (found,) = unseen_classes(split(("a",)), split(("a", "c"), (), name="test"))
    assert (found.rows, found.labels) == (1, ("c",))


@pytest.mark.parametrize(
    ("labels", "sorted_by_label"),
    [
        ("a" * 40 + "b" * 40, True),
        ("a" * 40 + "b" * 40 + "a", True),
        ("ab" * 40, False),
        ("aabb", False),
        ("a" * 50, False),
        ("".join(random.Random(0).sample("a" * 40 + "b" * 40, 80)), False),
        ("a" * 1000 + "b", False),
    ],
)
def test_rows_sorted_by_label(labels: str, sorted_by_label: bool) -> None:
    found: list[Finding] = list(sorted_labels(split(*labels)))
    assert [one.problem for one in found] == ["sorted"] * sorted_by_label


def test_a_label_of_a_page_costs_no_room_for_the_others() -> None:
    labels = ["a" * 3_000_000, *("b" for _ in range(5_000))]  # as an array of text of one width: 60 GB
    assert [one.problem for one in sorted_labels(split(*labels))] == []


def test_labels_that_differ_only_in_case_blanks_or_unicode_form() -> None:
    train = split("ham", "spam", "Spam", "spam", "cafe\u0301")
    other = split("caf\u00e9", "spam\u00a0", name="test")
    (found,) = alike_labels([train, other])
    assert set(found.labels) == {"spam", "Spam", "spam\u00a0", "caf\u00e9", "cafe\u0301"}
    assert (found.spoils, found.labels.index("spam") < found.labels.index("Spam")) == (True, True)
    assert list(alike_labels([split("ham", "spam", "1", "01")])) == []


def test_one_spelling_of_booleans_and_numbers_is_not_unseen() -> None:
    assert list(unseen_classes(split("true", "false"), split("True", name="test"))) == []
    assert list(unseen_classes(split(0.0, 1.0), split("1.0", "0", name="test"))) == []
