from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.objectives.contrastive import DistillObjective, SimilarityObjective
from mtlkit.training.objectives.pairs import PairsObjective


def test_a_task_is_an_objective_with_the_metric_of_its_kind(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    found = {name: (one.kind, one.metric, one.head) for name, one in head_objectives(tiny_model, tasks).items()}
    assert found == {
        "topic": ("classification", "accuracy", "head:topic"),
        "tags": ("multi-label", "macro_f1", "head:tags"),
        "stars": ("regression", "spearman", "head:stars"),
    }


@pytest.mark.parametrize("name", ["topic", "tags", "stars"])
def test_its_loss_is_that_of_the_head_with_the_labels_of_the_rows(
    name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData]
) -> None:
    vectors, rows = torch.randn(3, tiny_model.vector_dim), np.array([7, 0, 4])
    head = tiny_model.head(name)
    expected = head.loss(head(vectors), torch.from_numpy(tasks[name].train.labels[[7, 0, 4]]))
    assert torch.equal(head_objectives(tiny_model, tasks)[name].loss(vectors, rows), expected)


def test_it_is_evaluated_on_validation_labels(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    objective = head_objectives(tiny_model, tasks)["topic"]
    vectors = encode_all(tiny_model, objective.validation.encoded, compute)
    with torch.no_grad():
        outputs = tiny_model.head("topic")(vectors)
    labels = torch.from_numpy(tasks["topic"].validation.labels)
    found = objective.evaluate(vectors)
    assert found["accuracy"] == pytest.approx(float((outputs.argmax(1) == labels).float().mean()))
    assert found["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(outputs, labels)))


def test_objectives_without_a_head_have_a_metric_of_their_own() -> None:
    assert [(one.kind, one.metric, one.head) for one in (DistillObjective, PairsObjective, SimilarityObjective)] == [
        ("distill", "spearman", None),
        ("pairs", "accuracy", None),
        ("similarity", "spearman", None),
    ]
