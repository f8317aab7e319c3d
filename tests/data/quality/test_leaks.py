"""Texts of one split or task that also occur in another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.config.architecture import Kind
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.marks import Label
from mtlkit.data.quality.findings import CheckedSplit, Finding, split_of
from mtlkit.data.quality.leaks import near_texts, overlap, repeated_texts, shared_texts, two_labels
from mtlkit.data.quality.near_duplicates import TextNumbers

Rows = list[tuple[str, Label]]


def splits(*rows: Rows, task: str = "t", numbers: TextNumbers | None = None) -> list[CheckedSplit]:
    """Train, then test, of these texts and labels, each row with its place; results are of the last."""
    numbers = numbers or TextNumbers()
    made = []
    for name, part in zip(("train", "test"), rows, strict=False):
        places = [f"{name}.csv:{row}" for row in range(2, len(part) + 2)]
        table = LabelledTable([text for text, _ in part], [label for _, label in part], places)
        made.append(split_of(task, name, table, numbers, judged=part is rows[-1]))
    return made


def places(finding: Finding) -> list[tuple[str, ...]]:
    return [example.places for example in finding.examples]


def test_test_text_found_in_train() -> None:
    numbers = TextNumbers()
    rows: Rows = [("A fox", "x"), (" a  CAT", "x"), ("", "x"), ("\t", "x")]
    train, test = splits([("A cat", "x"), ("A dog", "x"), ("", "x")], rows, numbers=numbers)
    (found,) = overlap(train, test)
    assert (found.problem, found.split, found.against) == ("overlap", "test", "train")
    assert (found.rows, found.of, found.spoils) == (1, 4, True)
    assert places(found) == [("test.csv:3", "train.csv:2")]
    assert found.examples[0].text == " a  CAT"
    assert list(overlap(test, splits([("new", "x"), ("", "x")], numbers=numbers)[0])) == []


def test_repeated_texts_point_at_the_first_one() -> None:
    (train,) = splits([("b", "x"), ("a", "x"), ("B", "y"), (" ", "x"), ("", "x"), ("a ", "x"), ("b", "x")])
    (found,) = repeated_texts(train)
    assert (found.rows, found.of, found.spoils) == (3, 7, False)
    assert places(found) == [("train.csv:4", "train.csv:2"), ("train.csv:7", "train.csv:3"), ("train.csv:8", "train.csv:2")]
    assert list(repeated_texts(splits([("a", "x"), ("", "x"), ("", "y")])[0])) == []


def test_two_labels_within_a_split_and_between_two() -> None:
    train, test = splits(
        [("a", "x"), ("b", "x"), ("c", "x"), ("A", "y"), ("", "x"), ("", "y"), ("b", "x")],
        [("a", "z"), ("b", "y"), ("c", "x"), ("d", "x"), ("d", "y"), ("d", "x")],
    )
    within, other, between = two_labels([train, test], "classification")
    assert [(one.split, one.against, one.rows) for one in (within, other, between)] == [
        ("train", "train", 1),
        ("test", "test", 1),
        ("test", "train", 1),
    ]
    assert within.examples[0].labels == ("x", "y")
    assert places(within) == [("train.csv:2", "train.csv:5")]
    assert places(between) == [("test.csv:3", "train.csv:3")]
    assert between.examples[0].labels == ("y", "x")
    assert all(one.spoils for one in (within, other, between))


@pytest.mark.parametrize(
    ("kind", "labels", "found"),
    [
        ("multi-label", [("a", "b"), ("b", "a"), ("c",)], 0),
        ("multi-label", [("a", "b"), ("a",), ("c",)], 1),
        ("regression", [3.0, 3.2, 0.0], 0),
        ("regression", [0.1, 4.9, 2.0], 1),
        ("regression", ["3.00", "3.0", "0.5"], 0),
        ("classification", ["3.00", "3.0", "0.5"], 1),
    ],
)
def test_what_two_labels_are_depends_on_their_kind(kind: Kind, labels: list[Label], found: int) -> None:
    (train,) = splits([("same", labels[0]), ("same", labels[1]), ("other", labels[2])])
    assert len(list(two_labels([train], kind))) == found


TEXTS = st.lists(st.tuples(st.sampled_from("abcd "), st.sampled_from("xyz")), min_size=1, max_size=12)


@given(TEXTS, TEXTS)
def test_two_labels_are_what_comparing_all_pairs_finds(train: Rows, test: Rows) -> None:
    both = splits(train, test)
    found = {(one.split, one.against): one.rows for one in two_labels(both, "classification")}
    for name, rows in (("train", train), ("test", test)):
        texts = {a[0] for a, b in combinations(rows, 2) if a[0] == b[0] != " " and a[1] != b[1]}
        assert found.pop((name, name), 0) == len(texts)
        train, test = ([row for row in part if row[0] not in texts] for part in (train, test))
    between = {a[0] for a in train for b in test if a[0] == b[0] != " " and a[1] != b[1]}
    assert found == ({("test", "train"): len(between)} if between else {})


def test_near_texts_and_how_near() -> None:
    text = "The harbour master said that the storm took the roofs of eleven houses."
    numbers = TextNumbers()
    train, test = splits(
        [("Something else entirely stands here.", "x"), (text, "x")],
        [(text.upper(), "x"), (text.replace("eleven", "elevan"), "y"), ("Nothing like it.", "x"), ("", "x")],
        numbers=numbers,
    )
    (found,) = near_texts(train, test, numbers.texts())
    assert (found.rows, found.of, found.spoils) == (1, 4, True)  # the first one is the same, not near
    (example,) = found.examples
    assert example.places == ("test.csv:3", "train.csv:3")
    assert (example.other, example.labels) == (text, ("y", "x"))
    assert example.resemblance is not None
    assert 0.8 <= example.resemblance < 1


def test_texts_that_another_task_is_trained_on() -> None:
    numbers = TextNumbers()
    train, _ = splits([("a", "x"), ("b", "x"), ("", "x")], [("c", "x")], task="one", numbers=numbers)
    own, test = splits([("b", "x")], [("A", "n"), ("b", "n"), ("", "n")], task="two", numbers=numbers)
    (found,) = shared_texts(train, test, own)
    assert (found.task, found.another, found.rows, found.spoils) == ("two", "one", 1, True)  # `b` is what `overlap` tells of
    assert places(found) == [("test.csv:2", "train.csv:2")]
    assert list(shared_texts(own, train, train)) == []


def test_without_places_there_is_still_a_count() -> None:
    numbers = TextNumbers()
    train, test = (split_of("t", name, LabelledTable(["a"], ["x"]), numbers) for name in ("train", "test"))
    (found,) = overlap(train, test)
    assert found.rows == 1
    assert found.examples[0].places == ()
    assert np.array_equal(train.numbers, test.numbers)
