from __future__ import annotations

import numpy as np
import pytest

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import MtlkitError
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training.diverged_batch import texts_of
from mtlkit.recipes.training.result import TrainResult, check_unchanged
from mtlkit.training.events import BestOfTask, Chosen, Epoch, Note, Part, Parts, TaskState
from mtlkit.training.objectives.base import head_objectives


def chosen(*bests: BestOfTask, **weights: float) -> Chosen:
    state = TaskState("topic", "classification", 0.5, {"loss": 0.25, "accuracy": 0.75}, 3, 3, False)
    return Chosen(Epoch(2, 4, (state,), 0.75, True, "epoch 2, step 7", weights, 7), bests)


def test_metrics_are_those_of_the_evaluation_that_was_chosen() -> None:
    outcome = TrainResult()
    topic = BestOfTask("topic", 0.75, 2, 7)
    for event in (Note("text"), chosen(topic)):
        outcome.add(event)
    expected = {
        "validation": {"topic": {"loss": 0.25, "accuracy": 0.75}},
        "score": 0.75,
        "best_epoch": 2,
        "best_step": 7,
    }
    assert outcome.metrics() == expected  # the best of one task is that of all
    outcome.add(chosen(topic, BestOfTask("stars", 0.5, 1, 3)))
    each = {"topic": {"score": 0.75, "epoch": 2, "step": 7}, "stars": {"score": 0.5, "epoch": 1, "step": 3}}
    assert outcome.metrics() == {**expected, "best_per_task": each}
    outcome.add(chosen(topic=1.25, stars=0.75))
    assert outcome.metrics()["loss_weights"] == {"topic": 1.25, "stars": 0.75}


def test_a_frozen_part_that_changed_is_a_bug_and_ends_all() -> None:
    same = Part("backbone", 10, 0, before="aa", after="aa")
    TrainResult().add(Parts((same,)))
    with pytest.raises(MtlkitError, match=r"^frozen but changed: a\.weight, b \(SHA-256 of head:a was aa and is bb\); nothing"):
        check_unchanged(Parts((same, Part("head:a", 10, 0, before="aa", after="bb", changed=("a.weight", "b")))))


def test_texts_of_rows_are_as_the_model_reads_them(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], text_encoder: TextEncoder
) -> None:
    objectives = head_objectives(tiny_model, tasks)
    found = texts_of(
        [{"topic": np.array([1, 0])}, {"topic": np.array([1]), "stars": np.array([2])}], text_encoder.tokenizer, objectives
    )
    texts = ["The cat lies near the river.", "The cat lies near the barn."]
    assert found["topic"] == [{"row": row, "texts": [texts[row]]} for row in (1, 0, 1)]
    assert found["stars"] == [{"row": 2, "texts": ["The cat lies near the hill."]}]
