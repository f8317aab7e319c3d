from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support import freezing_of

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import dropouts
from mtlkit.training.events import TaskState
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.validation.evaluator import Evaluator, Score, rank, trained_weights


def state(task: str, kind: str, **validation: float) -> TaskState:
    return TaskState(task, kind, None, validation, 0, 0, False)


def test_the_score_is_the_mean_of_the_metric_that_counts_for_each_task(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData]
) -> None:
    objectives = head_objectives(tiny_model, tasks)
    states = [
        state("topic", "classification", accuracy=0.9, macro_f1=0.1, loss=1.0),
        state("tags", "multi-label", accuracy=0.1, macro_f1=0.6, loss=2.0),
        state("stars", "regression", spearman=0.3, pearson=1.0, mse=9.0, loss=4.0),
    ]
    assert rank(states, objectives) == Score(pytest.approx(0.6), 7.0)
    assert rank(states, {"tags": objectives["tags"]}) == Score(0.6, 2.0)  # a watched task is not counted


@pytest.mark.parametrize(
    ("now", "before", "better"),
    [
        (Score(0.9, 5.0), Score(0.8, 1.0), True),
        (Score(0.8, 0.9), Score(0.8, 1.0), True),
        (Score(0.8, 1.0), Score(0.8, 1.0), False),
        (Score(0.8, 1.1), Score(0.8, 1.0), False),
        (Score(0.7, 0.1), Score(0.8, 1.0), False),
    ],
)
def test_the_higher_score_wins_and_the_lower_loss_breaks_a_tie(now: Score, before: Score, better: bool) -> None:
    assert now.beats(before) == better


@pytest.mark.parametrize("frozen_backbone", [False, True])
def test_every_task_is_judged_in_evaluation_mode_with_or_without_the_cache(
    frozen_backbone: bool, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    expected = Evaluator(tiny_model, head_objectives(tiny_model, tasks), compute, False)()
    evaluator = Evaluator(tiny_model.train(), head_objectives(tiny_model, tasks), compute, frozen_backbone)
    tiny_model.train()
    found = evaluator()
    assert list(found) == list(tasks)
    for name, metrics in found.items():
        assert metrics == pytest.approx(expected[name], abs=1e-5)
    assert found["stars"].keys() == {"loss", "pearson", "spearman", "mse"}


def test_the_cache_follows_the_heads(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    evaluator = Evaluator(tiny_model, head_objectives(tiny_model, tasks), compute, True)
    before = evaluator()
    with torch.no_grad():
        for weight in tiny_model.head("topic").parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    after = evaluator()
    assert after["topic"]["loss"] != before["topic"]["loss"]
    assert after["tags"] == before["tags"]


def test_validation_rows_are_judged_and_not_training_rows(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    topic = tasks["topic"]
    turned = replace(topic, validation=replace(topic.validation, labels=1 - topic.validation.labels))
    found, other = (
        Evaluator(tiny_model, head_objectives(tiny_model, {"topic": task}), compute, False)()["topic"]["accuracy"]
        for task in (topic, turned)
    )
    assert other == pytest.approx(1 - found)


def test_a_copy_of_the_trained_weights_holds_what_trains_and_stays(tiny_model: MultiTaskModel) -> None:
    weights = trained_weights(tiny_model, freezing_of(tiny_model, ["backbone,head:tags"]).always)
    assert {name.split(".")[1] for name in weights} == {"topic", "stars"}
    name, kept = next(iter(weights.items()))
    before = kept.clone()
    with torch.no_grad():
        tiny_model.get_parameter(name).add_(1.0)
    assert torch.equal(kept, before)


@pytest.mark.parametrize("frozen", [False, True])
def test_vectors_are_worked_out_once_until_the_weights_move(
    frozen: bool, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    evaluator = Evaluator(tiny_model, head_objectives(tiny_model, tasks), compute, frozen)
    before = evaluator()
    with torch.no_grad():
        for weight in tiny_model.backbone.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    assert evaluator(["topic"]) == {"topic": before["topic"]}  # `moved` was not called
    evaluator.moved()
    assert (evaluator()["topic"]["loss"] == before["topic"]["loss"]) == frozen


@pytest.mark.parametrize("frozen", [False, True])
def test_dropout_is_off_in_whatever_mode_the_model_comes(
    frozen: bool, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    """The judge is asked again between steps, when the vectors may be known already and only heads run."""
    for module in dropouts(tiny_model):
        module.p = 0.5
    evaluator = Evaluator(tiny_model, head_objectives(tiny_model, tasks), compute, frozen)
    wanted = evaluator()
    for _ in range(2):
        tiny_model.train()
        evaluator.moved()
        assert evaluator(["topic"]) == {"topic": wanted["topic"]}
        tiny_model.train()
        assert evaluator() == wanted
        tiny_model.train()
        evaluator.moved()
        vectors = evaluator.encode(tasks["topic"].validation.encoded)
        assert not tiny_model.training
        assert torch.equal(vectors, evaluator.encode(tasks["topic"].validation.encoded))
