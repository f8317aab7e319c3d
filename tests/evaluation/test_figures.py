"""Metrics with their intervals, for every kind of task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation import figures
from mtlkit.evaluation.intervals import wilson
from mtlkit.evaluation.task_metrics import estimate, figures_of, score
from mtlkit.inference.predictions import probabilities

TWO = TaskSpec("two", "classification", ("no", "yes"))
THREE = TaskSpec("three", "classification", ("a", "b", "c"))
TAGS = TaskSpec("tags", "multi-label", ("a", "b", "c"))
STARS = TaskSpec("stars", "regression", ())


def example(spec: TaskSpec, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outputs that are often right, and labels."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(rows, spec.outputs)).astype(np.float32)
    if spec.kind == "regression":
        labels = np.round(random.normal(size=rows), 1).astype(np.float32)
        return noise + labels[:, None], labels
    if spec.kind == "multi-label":
        marks = (random.random((rows, spec.outputs)) < 0.3).astype(np.float32)
        return noise + 2 * marks - 1, marks
    classes = random.integers(spec.outputs, size=rows)
    return noise + np.eye(spec.outputs, dtype=np.float32)[classes], classes


def ends(found: dict[str, Any]) -> dict[str, tuple[float, list[float]]]:
    """Every metric that has an interval."""
    names = [name for name in found if f"{name}_interval" in found]
    return {name: (found[name], found[f"{name}_interval"]) for name in names}


@pytest.mark.parametrize("spec", [TWO, THREE, TAGS, STARS], ids=lambda spec: spec.name)
def test_every_metric_has_an_interval_that_holds_it(spec: TaskSpec) -> None:
    outputs, labels = example(spec, 200)
    found, plain = estimate(spec, outputs, labels, 0), score(spec, outputs, labels)
    numbers = {name for name, value in found.items() if isinstance(value, float)}
    assert numbers == set(ends(found))
    for each in (found, *found.get("per_class", {}).values()):
        for value, (low, high) in ends(each).values():
            assert low < value < high
    assert {name: found[name] for name in plain if name != "per_class"} == {
        name: value for name, value in plain.items() if name != "per_class"
    }
    assert found == estimate(spec, outputs, labels, 0)
    assert found != estimate(spec, outputs, labels, 1)


def test_proportions_have_wilson_intervals() -> None:
    outputs, labels = example(THREE, 60)
    found = estimate(THREE, outputs, labels, 0)
    matrix = np.array(found["confusion"])
    assert found["accuracy_interval"] == wilson(int(np.trace(matrix)), 60).to_json()
    assert found["per_class"]["b"]["recall_interval"] == wilson(int(matrix[1, 1]), int(matrix[1].sum())).to_json()
    assert found["per_class"]["b"]["precision_interval"] == wilson(int(matrix[1, 1]), int(matrix[:, 1].sum())).to_json()


@pytest.mark.parametrize("spec", [TWO, THREE, TAGS], ids=lambda spec: spec.name)
def test_ranking_metrics_are_those_of_scikit_learn(spec: TaskSpec) -> None:
    outputs, labels = example(spec, 150)
    outputs = np.round(outputs)  # ties
    found = estimate(spec, outputs, labels, 0)
    scores = probabilities(spec, outputs.astype(np.float64))
    true = labels if spec.kind == "multi-label" else np.eye(spec.outputs)[labels]
    true, scores = (side[:, 1:] if spec is TWO else side for side in (true, scores))
    assert found["auroc"] == pytest.approx(roc_auc_score(true, scores, average="macro"), abs=1e-6)
    assert found["average_precision"] == pytest.approx(average_precision_score(true, scores, average="macro"), abs=1e-6)
    assert found.get("positive_class") == ("yes" if spec is TWO else None)


def test_each_resample_has_the_metrics_of_its_rows() -> None:
    outputs, labels = example(THREE, 40)
    counts = np.random.default_rng(1).multinomial(40, np.full(40, 1 / 40), size=3).astype(np.float64)
    overall, per_class = figures_of(THREE, outputs, labels).measure(counts)
    for place, weights in enumerate(counts):
        rows = np.repeat(np.arange(40), weights.astype(int))
        true, predicted = labels[rows], outputs[rows].argmax(1)
        assert overall["accuracy"][place] == pytest.approx((true == predicted).mean())
        assert overall["macro_f1"][place] == pytest.approx(f1_score(true, predicted, average="macro"))
        np.testing.assert_allclose(per_class["f1"][place], f1_score(true, predicted, average=None))
    stars, numbers = example(STARS, 40)
    overall, _ = figures_of(STARS, stars, numbers).measure(counts)
    rows = np.repeat(np.arange(40), counts[0].astype(int))
    assert overall["spearman"][0] == pytest.approx(spearmanr(stars[rows, 0], numbers[rows]).statistic)
    assert overall["mse"][0] == pytest.approx(np.mean((stars[rows, 0] - numbers[rows]) ** 2))


@pytest.mark.parametrize("spec", [TWO, THREE, TAGS, STARS], ids=lambda spec: spec.name)
@pytest.mark.parametrize("rows", [0, 1, 2, 3])
@pytest.mark.parametrize("constant", [False, True])
def test_few_rows_and_constant_outputs_give_reasons_and_no_warning(spec: TaskSpec, rows: int, constant: bool) -> None:
    outputs, labels = example(spec, rows)
    found = estimate(spec, np.zeros_like(outputs) if constant else outputs, labels, 0)
    assert found["n"] == rows
    for each in (found, *found.get("per_class", {}).values()):
        missing = {name for name, value in each.items() if value is None and not name.endswith("_interval")}
        assert missing == set(each.get("undefined", {}))
        assert all(each.get(f"{name}_interval") is None for name in missing)


def test_a_split_with_one_class_has_accuracy_and_no_ranking() -> None:
    outputs, _ = example(TWO, 20)
    found = estimate(TWO, outputs, np.zeros(20, np.int64), 0)
    assert found["accuracy_interval"] is not None
    assert (found["auroc"], found["auroc_interval"]) == (None, None)
    assert found["undefined"] == dict.fromkeys(("average_precision", "auroc"), "no row is 'yes'")
    assert found["per_class"]["no"]["undefined"]["auroc"] == "all rows"
    three = estimate(THREE, example(THREE, 20)[0], np.arange(20) % 2, 0)
    assert three["auroc"] is not None  # of the two classes that occur
    assert three["per_class"]["c"]["undefined"]["auroc"] == "no rows"


def test_many_rows_and_classes_get_fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    assert figures_of(THREE, *example(THREE, 40)).draws == figures.RESAMPLES
    monkeypatch.setattr(figures, "WORK", 40 * 3 * 300)
    assert figures_of(THREE, *example(THREE, 40)).draws == 300
    monkeypatch.setattr(figures, "WORK", 40)
    assert figures_of(THREE, *example(THREE, 40)).draws == figures.LEAST_RESAMPLES
