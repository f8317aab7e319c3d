"""The contrastive loss of labels, against numbers worked out by numpy and by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.task_data import LabelledTexts, TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError, UsageError
from mtlkit.training.objectives.labels import LabelsObjective, labels_objective, positives, rows_of_labels


@pytest.fixture
def encoder(text_encoder: TextEncoder) -> TextEncoder:
    return text_encoder


def texts_of(encoder: TextEncoder, labels: NDArray[Any]) -> LabelledTexts:
    encoded = encoder.encode([f"The cat sleeps {row}." for row in range(len(labels))])
    return LabelledTexts(encoded, labels, np.arange(len(labels)), Counter())


def objective(
    encoder: TextEncoder, labels: list[Any], temperature: float = 0.5, widths: tuple[int, ...] = (4,)
) -> LabelsObjective:
    texts = texts_of(encoder, np.array(labels))
    return LabelsObjective(texts, texts, temperature, widths, 8)


def expected(vectors: NDArray[np.float64], same: NDArray[np.bool_], temperature: float) -> float:
    """The loss with loops."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T / temperature
    losses = []
    for row in range(len(units)):
        others = [other for other in range(len(units)) if other != row]
        total = math.log(sum(math.exp(cosines[row, other]) for other in others))
        if wanted := [other for other in others if same[row, other]]:
            losses.append(-sum(cosines[row, other] - total for other in wanted) / len(wanted))
    return sum(losses) / len(losses)


def test_two_equal_texts_and_an_opposite_one(encoder: TextEncoder) -> None:
    """By hand: for both of label 0, log(1 + e^(-2 / 0.5)); the single text of label 1 has no positive."""
    vectors = torch.tensor([[1.0, 0, 0, 0], [3.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    loss = objective(encoder, [0, 0, 1]).loss(vectors, np.array([0, 1, 2]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-4)), abs=1e-6)


@pytest.mark.parametrize(("batch_texts", "budget", "size"), [(6, 10_000, 6), (0, 50, 10), (6, 20, 4), (0, 1, 2)])
def test_texts_and_tokens_limit_a_batch(encoder: TextEncoder, batch_texts: int, budget: int, size: int) -> None:
    encoded = encoder.encode(["saw"] * 20)
    texts = LabelledTexts(encoded, np.arange(20) % 2, np.arange(20), Counter())
    tokens = budget * int(encoded.lengths[0]) // 5  # as if a text had 5
    assert LabelsObjective(texts, texts, 0.5, (4,), batch_texts).sampler("task", tokens, 0).size == size


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1, 0, 2, 3], [[1, 0], [1, 1], [0, 1], [0, 0], [0, 1], [1, 0], [0, 0], [1, 1]]])
def test_the_loss_is_that_of_loops_over_all_widths(encoder: TextEncoder, labels: list[Any]) -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 4))
    rows = np.random.default_rng(1).permutation(8)
    contrast = objective(encoder, labels, 0.3, (4, 2))
    same = positives(np.array(labels, np.float32 if isinstance(labels[0], list) else np.int64))
    loss = contrast.loss(torch.from_numpy(vectors[rows].astype(np.float32)), rows)
    whole, half = (expected(vectors[:, :width], same, 0.3) for width in (4, 2))
    assert float(loss) == pytest.approx((whole + half) / 2, abs=1e-5)


def test_a_step_pulls_the_same_label_together_and_others_apart(encoder: TextEncoder) -> None:
    vectors = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    contrast, rows = objective(encoder, [0, 0, 0, 1, 1, 1]), np.arange(6)
    contrast.loss(vectors, rows).backward()  # type: ignore[no-untyped-call]
    assert vectors.grad is not None
    same = torch.from_numpy(positives(contrast.train.labels))

    def gap(values: torch.Tensor) -> float:
        units = torch.nn.functional.normalize(values, dim=1)
        cosines = units @ units.T
        return float(cosines[same].mean() - cosines[~same & ~torch.eye(6, dtype=torch.bool)].mean())

    assert gap(vectors.detach() - 0.1 * vectors.grad) > gap(vectors.detach())


def test_a_batch_without_positives_teaches_nothing(encoder: TextEncoder) -> None:
    vectors = torch.randn(3, 4, requires_grad=True)
    contrast = objective(encoder, [0, 1, 2, 0, 0])
    loss = contrast.loss(vectors, np.array([0, 1, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()
    assert contrast.untaught(np.array([0, 1, 2])) == 3
    assert contrast.untaught(np.array([0, 3, 4])) == 3  # all the same: no negatives
    assert contrast.untaught(np.array([0, 3, 1])) == 1


def test_the_nearest_other_text_decides_the_accuracy(encoder: TextEncoder) -> None:
    vectors = torch.tensor([[1.0, 0, 0, 0], [1.0, 0.1, 0, 0], [0, 1.0, 0, 0], [0.9, 0.2, 0, 0], [0, 0, 1.0, 0]])
    metrics = objective(encoder, [0, 0, 1, 1, 2]).evaluate(vectors)
    assert metrics["accuracy"] == 0.75  # row 3 is nearest to row 1, of another label; label 2 has no second text
    assert objective(encoder, [0, 1, 2]).evaluate(vectors[:3]) == {"loss": 0.0, "accuracy": None}
    many = objective(encoder, list(range(60))).evaluate(torch.randn(60, 4, generator=torch.Generator().manual_seed(0)))
    assert "no two of the 60" in many["undefined"]["accuracy"]


def test_rows_without_a_label_are_a_group() -> None:
    groups = rows_of_labels(np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0]], np.float32))
    assert [rows.tolist() for rows in groups] == [[0, 1], [1], [2]]


@pytest.mark.parametrize(
    ("spec", "labels", "error", "words"),
    [
        (TaskSpec("stars", "regression", ()), [1.0, 2.0], UsageError, "'stars' are regression"),
        (TaskSpec("kind", "classification", ("a", "b")), [0, 1], DataError, "a label of its own"),
    ],
)
def test_labels_that_cannot_be_compared(
    encoder: TextEncoder, spec: TaskSpec, labels: list[Any], error: type[Exception], words: str
) -> None:
    texts = texts_of(encoder, np.array(labels))
    task = TaskData(spec, texts, texts, {}, SourceRecord("data.csv"))
    with pytest.raises(error, match=words):
        labels_objective(task, 0.1, [4], 0)
