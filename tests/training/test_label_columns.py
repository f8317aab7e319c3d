"""Tasks that are label columns of one table: their rows are trained on together, once each, and gaps teach nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from cutting import Keeper, assert_same_end, assert_same_weights, timeless
from support import freezing_of
from torchjd_methods import if_installed

from mtlkit.config.registries.balancing import parse_balance
from mtlkit.config.registries.guards import parse_guards
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gradient_methods import VectorGradients
from mtlkit.training.events import Progress
from mtlkit.training.freezing.apply import apply_freeze, prefix_depth
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, FeatureSource, UpperBackbone, WholeBackbone, stores_of_tasks
from mtlkit.training.incidents import RowsSeen, TaskStopped
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.sampling.columns import column_units, different_texts
from mtlkit.training.task_losses import TaskLosses

Run = Callable[..., Any]
CPU = torch.device("cpu")


def examples(columns: dict[str, TaskData]) -> dict[str, Any]:
    return {name: task.train for name, task in columns.items()}


def other(name: str, task: TaskData) -> dict[str, TaskData]:
    """The task without the texts that it shares."""
    return {name: replace(task, train=replace(task.train, pool=None, index=None))}


@pytest.mark.parametrize("frozen", [[], ["embeddings", "layers:0"], ["backbone"]], ids=["whole", "upper", "cached"])
def test_losses_and_gradients_are_those_of_each_column_alone(
    frozen: list[str], tiny_model: MultiTaskModel, columns: dict[str, TaskData], compute: Compute
) -> None:
    weights = freezing_of(tiny_model, frozen).always
    apply_freeze(tiny_model, weights)
    objectives = head_objectives(tiny_model, columns)
    (unit,) = column_units(examples(columns), {}).values()
    piece = unit.expand(np.array([12, 3, 8, 2]))
    assert {name: columns[name].train.index[rows].tolist() for name, rows in piece.items()} == {  # type: ignore[index]
        "topic": [12, 3, 8, 2],
        "tags": [3],
        "stars": [8, 2],
    }
    texts = different_texts(examples(columns))
    assert {name: len(encoded) for name, encoded in texts.items()} == {"topic+tags+stars": 30}
    source: FeatureSource = WholeBackbone(tiny_model, objectives, CPU)
    if frozen == ["backbone"]:
        stores = stores_of_tasks(examples(columns), cache_vectors(tiny_model, texts, compute, None, 0).stores)
        source = CachedVectors(stores, objectives)
    elif frozen:
        depth = prefix_depth([name for name, _ in tiny_model.named_parameters()], weights)
        stores = cache_hidden_states(tiny_model, texts, compute, None, 0, depth).stores
        source = UpperBackbone(tiny_model, objectives, CPU, stores_of_tasks(examples(columns), stores), depth)
    seen: list[int] = []
    encode = tiny_model.backbone.encode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_model.backbone, "encode", lambda batch: (seen.append(len(batch)), encode(batch))[1])
        losses = TaskLosses(objectives, source)(piece)
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert seen in ([], [4])  # no text twice
    together = {name: weight.grad.clone() for name, weight in tiny_model.named_parameters() if weight.grad is not None}
    tiny_model.zero_grad()
    for name, rows in piece.items():
        alone = head_objectives(tiny_model, other(name, columns[name]))
        (loss,) = TaskLosses(alone, WholeBackbone(tiny_model, alone, CPU))({name: rows}).values()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(losses[name], loss, atol=1e-5, rtol=1e-4)
    for name, weight in tiny_model.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(together[name], weight.grad, atol=1e-5, rtol=1e-3)


def test_a_pass_sees_every_row_once_and_counts_its_tokens_once(
    tiny_model: MultiTaskModel, columns: dict[str, TaskData], run: Run
) -> None:
    done = run(tiny_model, columns, epochs=1, batch_tokens=60, track_every=2)
    seen = next(event for event in done.events if isinstance(event, RowsSeen))
    assert {name: (counts.texts, counts.rows, counts.unseen) for name, counts in seen.tasks.items()} == {
        "topic": (30, 30, 0),
        "tags": (15, 15, 0),
        "stars": (20, 20, 0),
    }
    last = [event for event in done.events if isinstance(event, Progress)][-1]
    assert last.tokens == int(columns["topic"].train.lengths.sum())
    steps = [line["losses"] for line in done.log if "losses" in line]
    assert len(steps) > 3
    assert all(np.isfinite(list(losses.values())).all() for losses in steps)
    validation = done.epochs[-1].tasks
    assert [state.texts for state in validation] == [30, 15, 20]


@pytest.mark.parametrize(
    ("mixing", "options"),
    [
        ({"patience": 1}, {"schedule": "proportional", "accumulate": 2}),
        ({"balance": parse_balance("famo", ["topic", "tags", "stars"])}, {"schedule": "joint"}),
        ({"guards": parse_guards(["lwf"])}, {"terms": {"watched": ["stars"], "known": frozenset({"stars"})}}),
        ({"rehearsed": {"stars": Fraction(1, 3)}}, {"terms": {"watched": ["stars"], "known": frozenset({"stars"})}}),
    ],
    ids=["patience", "famo", "lwf", "rehearse"],
)
def test_a_training_resumes_bit_for_bit(
    mixing: dict[str, Any], options: dict[str, Any], tiny_model: MultiTaskModel, columns: dict[str, TaskData], run: Run
) -> None:
    log, settings = io.StringIO(), {"epochs": 3, "batch_tokens": 120, "track_every": 2, **options}
    keeper, model = Keeper(log), deepcopy(tiny_model)
    whole = run(model, columns, log=log, saved={"saver": keeper, "keeps": True}, mixing=dict(mixing), **settings)
    for step in (1, len(keeper.states) // 2, len(keeper.states) - 1):
        again = deepcopy(tiny_model)
        done = run(again, columns, saved={"state": keeper.states[step]}, mixing=dict(mixing), **settings)
        assert_same_weights(again.state_dict(), model.state_dict())
        assert_same_end(done.events, whole.events)
        assert timeless(done.log) == timeless(whole.log)[keeper.lines[step] :]


def test_a_column_whose_head_is_frozen_is_only_evaluated(
    tiny_model: MultiTaskModel, columns: dict[str, TaskData], run: Run
) -> None:
    before = deepcopy(tiny_model.head("topic").state_dict())
    done = run(tiny_model, columns, ["head:topic", "head:stars@until=epoch:1"], epochs=2, batch_tokens=60)
    assert_same_weights(tiny_model.head("topic").state_dict(), before)
    trained = {name for line in done.log if "losses" in line for name in line["losses"]}
    assert trained == {"tags", "stars"}
    assert [state.watched for state in done.epochs[-1].tasks] == [True, False, False]


@pytest.mark.parametrize("method", [if_installed("torchjd:pcgrad")])
def test_gradients_at_shared_vectors_add_up(method: str, tiny_model: MultiTaskModel, columns: dict[str, TaskData]) -> None:
    """With the same weight for all columns, they are those of the sum of the losses."""
    objectives = head_objectives(tiny_model, columns)
    (unit,) = column_units(examples(columns), {}).values()
    losses_of = TaskLosses(objectives, WholeBackbone(tiny_model, objectives, CPU))
    piece = unit.expand(np.arange(8))
    sum(losses_of(piece).values()).backward()  # type: ignore[union-attr]
    expected = {name: weight.grad for name, weight in tiny_model.named_parameters() if weight.grad is not None}
    tiny_model.zero_grad()
    weighting = VectorGradients(method, tiny_model)
    weighting.gradient_weighting = lambda _, tasks: dict.fromkeys(tasks, 1.0)  # type: ignore[assignment]
    weighting.backward(losses_of(piece), dict.fromkeys(piece, 1.0))
    for name, gradient in expected.items():
        torch.testing.assert_close(tiny_model.get_parameter(name).grad, gradient, atol=1e-6, rtol=1e-4)


def test_a_column_that_stops_leaves_the_rows_to_the_others(
    tiny_model: MultiTaskModel, columns: dict[str, TaskData], run: Run
) -> None:
    """`topic`, which has a label in every row, cannot improve: the batches after it have rows with another label only."""
    topic = columns["topic"]
    labels = 1 - topic.validation.labels
    columns = {**columns, "topic": replace(topic, validation=replace(topic.validation, labels=labels))}
    done = run(tiny_model, columns, epochs=6, batch_tokens=40, mixing={"patience": 1}, learning_rate=1e-2)
    stopped = next(event.epoch for event in done.events if isinstance(event, TaskStopped) and event.task == "topic")
    steps = [line for line in done.log if "losses" in line and line["epoch"] > stopped]
    assert steps
    assert all(line["losses"] and "topic" not in line["losses"] for line in steps)
