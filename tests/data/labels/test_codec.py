"""From labels to kinds, label maps and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.data.labels.codec import check_varied, encode_labels, fits, infer_kind, infer_spec, unseen_labels
from mtlkit.errors import DataError

ABC = TaskSpec("task", "classification", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b"], "classification"),
        (["1", "2", "5"], "classification"),
        (["1", "01", "1.0"], "classification"),  # fault 22
        (["1.0", "2.0"], "classification"),
        (["3.75", "-2.5", "4.0"], "regression"),
        (["3.75", "good"], "classification"),
        (["3.5", "2.75", "4", "4.25"], "regression"),  # a decimal anywhere
        (["1e-06", "2", "0.5"], "regression"),
        (["1e-06", "many"], "classification"),
        ([0.5, 3.0], "regression"),
        ([0.0, 1.0, 1.0, 0.0], "classification"),  # integers with a missing value, as pandas writes them
        ([10.0, 20.0, 30.0, 40.0], "regression"),
        (["1", 2.0, 2.0], "classification"),
        ([("a", "b"), ()], "multi-label"),
    ],
)
def test_kind_comes_from_the_labels(labels: list[Any], kind: str) -> None:
    assert infer_kind(labels) == kind


def test_label_map_does_not_depend_on_the_order_of_rows() -> None:  # fault 27
    labels = ["10", "b", "2", "a", "-1", "2"]
    spec = infer_spec("task", labels, "mlp:8")
    assert spec == TaskSpec("task", "classification", ("-1", "2", "10", "a", "b"), "mlp:8")
    assert infer_spec("task", labels[::-1], "mlp:8") == spec


def test_label_map_of_the_model_wins_over_the_order_in_a_file() -> None:  # fault 27
    spec = TaskSpec("task", "classification", ("sports", "world", "business"))
    first, second = ["world", "sports", "business", "world"], ["business", "world", "sports", "world"]
    assert fits(spec, first)
    assert fits(spec, second)
    assert encode_labels(spec, first)[0].tolist() == [1, 0, 2, 1]
    assert encode_labels(spec, second)[0].tolist() == [2, 1, 0, 1]


def test_label_map_of_the_model_wins_where_a_file_has_fewer_classes() -> None:  # fault 27
    assert fits(ABC, ["c", "b"])
    assert encode_labels(ABC, ["c", "b"])[0].tolist() == [2, 1]


def test_label_map_survives_json() -> None:  # fault 27
    spec = TaskSpec("task", "classification", ("z", "01", "1", "é"), "mlp:4")
    value = {"name": "task", "kind": "classification", "labels": ["z", "01", "1", "é"], "head": "mlp:4"}
    assert TaskSpec.from_json(value) == spec


def test_head_fits_only_its_own_kind_and_labels() -> None:
    assert not fits(ABC, ["a", "d"])
    assert not fits(ABC, [("a", "b")])
    assert not fits(ABC, [1.5, 2.5])
    assert fits(TaskSpec("task", "regression", ()), ["1", "2"], "regression")


def test_label_unseen_in_training_is_counted_and_left_out() -> None:  # fault 26
    labels = ["a", "new", "c", "new", "newer", "b"]
    assert unseen_labels(ABC, labels) == {"new": 2, "newer": 1}
    encoded, kept = encode_labels(ABC, labels)
    assert kept.tolist() == [0, 2, 5]
    assert encoded.tolist() == [0, 2, 1]


def test_row_with_one_unseen_label_among_several_is_left_out_whole() -> None:  # fault 26
    spec = TaskSpec("task", "multi-label", ("a", "b", "c"))
    labels = [("c", "a"), ("a", "new"), (), ("b",)]
    encoded, kept = encode_labels(spec, labels)
    assert unseen_labels(spec, labels) == {"new": 1}
    assert kept.tolist() == [0, 2, 3]
    assert encoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert encoded.dtype == np.float32


def test_booleans_and_numbers_have_one_spelling_to_a_head() -> None:
    truth, numbers = TaskSpec("task", "classification", ("false", "true")), TaskSpec("task", "classification", ("0", "1"))
    assert encode_labels(truth, ["True", "False", "true", "TRUE"])[0].tolist() == [1, 0, 1, 1]
    assert encode_labels(numbers, [1.0, "0.0", "1"])[0].tolist() == [1, 0, 1]
    assert infer_spec("task", [0.0, 1.0] * 2, "linear").labels == ("0", "1")
    assert fits(truth, ["True"])
    apart = TaskSpec("task", "classification", ("01", "1", "1.0"))  # three classes stay three
    assert encode_labels(apart, ["1", "1.0", "01"])[0].tolist() == [1, 2, 0]
    assert unseen_labels(numbers, ["01", "1.5", "true"]) == {"01": 1, "1.5": 1, "true": 1}


def test_regression_head_continues_with_whole_numbers() -> None:
    stars = TaskSpec("stars", "regression", ())
    assert fits(stars, ["4", "5"])
    assert fits(stars, [4.0, 4.0, 5.0, 5.0])
    assert not fits(stars, ["good"])


def test_a_head_has_every_label_that_is_named() -> None:
    spec = infer_spec("task", [("b",), ()], "linear", names=("c", "b", "a"))
    assert (spec.kind, spec.labels) == ("multi-label", ("c", "b", "a"))


def test_lists_are_no_classes_of_a_head() -> None:
    with pytest.raises(DataError, match="task 'task': some labels are lists, and its head predicts one class"):
        encode_labels(ABC, [("a", "b")])
    assert encode_labels(ABC, [("b",)])[0].tolist() == [1]


def test_regression_head_keeps_the_scale_of_its_labels() -> None:
    spec = infer_spec("task", ["1.5", "2.5", "3.5"], "linear")
    assert (spec.kind, spec.labels, spec.outputs) == ("regression", (), 1)
    assert spec.center == pytest.approx(2.5)
    assert spec.spread == pytest.approx(np.std([1.5, 2.5, 3.5]))
    assert infer_spec("task", [2.0, 2.0], "linear", "regression").spread == 1.0  # never a division by zero
    values, kept = encode_labels(spec, ["4.25", "1"])
    assert (values.tolist(), kept.tolist()) == ([4.25, 1.0], [0, 1])
    assert values.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        ([3.0, "3", "3.0"], "regression", "column 'stars' is 3 in all 3 rows, so there is nothing to learn"),
        (["2.5"], "regression", "column 'stars' is 2.5 in the only row to train on"),
        ([("a", "b"), ("b", "a")], "multi-label", "column 'stars' is a, b in all 2 rows"),
    ],
)
def test_labels_that_never_differ_are_refused(labels: list[Any], kind: Kind, message: str) -> None:
    spec = infer_spec("task", labels, "linear", kind)
    with pytest.raises(DataError, match=f"^task 'task': {message}"):
        check_varied(spec, labels, "stars")
    check_varied(spec, [*labels, ("a",) if kind == "multi-label" else "3.5"], "stars")


@pytest.mark.parametrize(
    ("labels", "kind", "message"),
    [
        (["same"] * 3, None, "all 3 rows have the label 'same'; a head needs two classes to tell apart"),  # fault 38
        ([(), ()], None, "no row has a label"),
        (["1.5", "high"], "regression", "label 'high' is not a number, as regression needs"),
        ([1.5, ("a",)], "regression", r"label \('a',\) is not a number"),
        ([1.5, float("inf")], None, "row 2 has a label that is not finite"),
        ([("a",), "b"], "classification", "some labels are lists"),
    ],
)
def test_labels_that_allow_no_head_are_explained_in_one_line(labels: list[Any], kind: Kind | None, message: str) -> None:
    with pytest.raises(DataError, match=f"^task 'task': .*{message}") as caught:
        infer_spec("task", labels, "linear", kind)
    assert "\n" not in str(caught.value)
