from __future__ import annotations

import math

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.inference.predictions import answers, prediction_kind, probabilities

TOPIC = TaskSpec("topic", "classification", ("a", "b"))
TAGS = TaskSpec("tags", "multi-label", ("x", "y", "z"))
STARS = TaskSpec("stars", "regression", ())


def test_probabilities_by_kind() -> None:
    outputs = np.array([[0.0, math.log(3)]], np.float32)
    np.testing.assert_allclose(probabilities(TOPIC, outputs), [[0.25, 0.75]], atol=1e-6)
    np.testing.assert_allclose(probabilities(TAGS, outputs), [[0.5, 0.75]], atol=1e-6)
    np.testing.assert_array_equal(probabilities(STARS, outputs), outputs)


def test_large_outputs_stay_finite() -> None:
    outputs = np.array([[1e4, -1e4, 0.0]], np.float32)
    assert probabilities(TAGS, outputs).tolist() == [[1.0, probabilities(TAGS, outputs)[0, 1], 0.5]]
    assert np.isfinite(probabilities(TOPIC, outputs)).all()


def test_answers_by_kind() -> None:
    (topic,) = answers(TOPIC, np.array([[0.0, math.log(3)]], np.float32))
    assert topic["label"] == "b"
    assert abs(topic["probability"] - 0.75) < 1e-6
    assert list(topic["probabilities"]) == ["a", "b"]
    (tags,) = answers(TAGS, np.array([[1.0, -1.0, 2.0]], np.float32))
    assert tags["labels"] == ["x", "z"]
    assert answers(STARS, np.array([[2.5]], np.float32)) == [{"value": 2.5}]


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("regression", {"value": 3.14159}, "3.142"),
        ("classification", {"label": "a", "probability": 0.756, "probabilities": {}}, "a 76%"),
        ("multi-label", {"labels": ["a", "b"], "probabilities": {"a": 0.9, "b": 0.6, "c": 0.1}}, "a 90%, b 60%"),
        ("multi-label", {"labels": [], "probabilities": {"a": 0.1}}, "none"),
    ],
)
def test_answers_in_short(kind: str, answer: dict[str, object], words: str) -> None:
    assert prediction_kind(kind).in_short(answer) == words
