"""How ordinal labels are read and encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.labels.codec import fits, infer_spec
from mtlkit.data.labels.marks import Label
from mtlkit.errors import DataError
from mtlkit.model.heads.losses import LossOptions
from mtlkit.tasks.base import kind_of
from mtlkit.tasks.convex import ConvexLoss
from mtlkit.training.solver.linear import Features, fit

ORDINAL = kind_of("ordinal")
NAMED = TaskSpec("mood", "ordinal", ("low", "mid", "high"))


def test_numbers_are_classes_in_their_order() -> None:
    labels: list[Label] = ["10", "2.5", "1", 1.0, "-3", "2.50"]
    spec = infer_spec("stars", labels, "linear", "ordinal")
    assert spec.labels == ("-3", "1", "2.5", "10")
    assert (spec.outputs, ORDINAL.encode(spec, labels)[0].tolist()) == (3, [3, 2, 1, 1, 0, 2])
    assert ORDINAL.unseen(spec, ["1", "4", "4"]) == {"4": 2}


def test_names_are_classes_in_the_given_order() -> None:
    spec = infer_spec("mood", ["high", "low"], "linear", "ordinal", ("low", "mid", "high"))
    assert spec == NAMED
    assert fits(NAMED, ["mid", "low"])  # as the head knows them
    assert not fits(NAMED, ["mid", "top"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["1", "good"], "'good' is not a number; specify [?]order="),
        (["1", "1.0"], "all labels are 1"),
        (["2", "2"], "two classes"),
        ([("1", "2"), "3"], "lists"),
    ],
)
def test_labels_that_have_no_order_are_refused(labels: list[Label], message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_spec("stars", labels, "linear", "ordinal")


def test_a_head_needs_two_labels() -> None:
    with pytest.raises(ValueError, match="needs two"):
        TaskSpec.from_json({"name": "stars", "kind": "ordinal", "labels": ["1"]})


def test_the_answer_is_the_median_class() -> None:
    shares = [0.4, 0.25, 0.35]
    cumulative = np.log(np.cumsum(shares)[:2] / (1 - np.cumsum(shares)[:2]))[None]
    answer = ORDINAL.answer(NAMED, ORDINAL.probabilities(NAMED, cumulative)[0].tolist())
    assert (answer["label"], answer["probability"]) == ("mid", pytest.approx(0.25))
    decided = ORDINAL.decisions(NAMED, cumulative)
    assert decided is not None
    assert decided.tolist() == [1]


def solved(labels: list[int], classes: int) -> tuple[Any, ConvexLoss, Features]:
    random = np.random.default_rng(0)
    spec = TaskSpec("grade", "ordinal", tuple(map(str, range(classes))))
    features = Features(random.normal(size=(len(labels), 4)) + np.array(labels)[:, None] / 2)
    loss = ORDINAL.convex_loss(spec, np.array(labels), LossOptions(), np.ones(len(labels)))
    assert loss is not None
    return fit(features, loss, 0.01), loss, features


def test_the_solver_reaches_the_optimum_of_scores_and_thresholds() -> None:
    found, loss, features = solved([0, 1, 2, 3] * 30, 4)
    gradient = loss.gradient(found.outputs(features.vectors))[1] / 120
    assert found.converged
    assert (np.diff(found.intercepts) > 0).all()
    np.testing.assert_allclose(gradient.sum(0), 0, atol=1e-6)  # by the thresholds, of which the loss is a convex function
    np.testing.assert_allclose(features.vectors.T @ gradient.sum(1) + 0.01 * found.weights[:, 0], 0, atol=1e-6)


@pytest.mark.parametrize("absent", [0, 1, 3])
def test_a_class_without_rows_has_thresholds(absent: int) -> None:
    found, _, features = solved([label for label in [0, 1, 2, 3] * 30 if label != absent], 4)
    assert found.converged
    assert np.abs(found.intercepts).max() < 20
    assert not (ORDINAL.decisions(NAMED, found.outputs(features.vectors)) == absent).any()


def test_an_order_is_extended_where_its_labels_keep_theirs() -> None:
    assert ORDINAL.extended(NAMED, ["top"], ("low", "mid", "high", "top")).labels == ("low", "mid", "high", "top")
    stars = TaskSpec("stars", "ordinal", ("1", "10"))
    assert ORDINAL.extended(stars, ["5", "2.5"], ()).labels == ("1", "2.5", "5", "10")
    with pytest.raises(DataError, match="has to keep the labels of its head in their order, low,mid,high"):
        ORDINAL.extended(NAMED, ["top"], ("high", "mid", "low", "top"))
    with pytest.raises(DataError, match="not a number; specify"):
        ORDINAL.extended(NAMED, ["top"], ())
