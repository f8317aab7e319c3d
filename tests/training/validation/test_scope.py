from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.fast import fastest
from mtlkit.inference.scope.scope import unit
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.head_incidents import ScopeFitted
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.validation.scope import Prototypes, draw, scope_fitted, scope_moved

Run = Callable[..., Any]


def test_prototypes_are_drawn_per_class_and_fewer_if_they_are_too_many() -> None:
    classes = np.repeat([0, 1, 2], [50, 5, 20])
    drawn = draw(classes, 10, 1000, "topic", 0)
    assert np.bincount(classes[drawn]).tolist() == [10, 5, 10]
    assert np.array_equal(drawn, np.sort(drawn))
    assert np.array_equal(drawn, draw(classes, 10, 1000, "topic", 0))
    assert not np.array_equal(drawn, draw(classes, 10, 1000, "topic", 1))
    assert np.bincount(classes[draw(classes, 2**60, 12, "topic", 0)]).tolist() == [4, 4, 4]
    assert np.bincount(classes[draw(classes, 10, 1, "topic", 0)]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("frozen", [(), ("backbone",)])
def test_prototypes_are_vectors_of_the_trained_model(
    frozen: tuple[str, ...], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, compute: Any
) -> None:
    done = run(tiny_model, tasks, frozen, epochs=1)
    (event,) = [event for event in done.events if isinstance(event, ScopeFitted)]
    assert (event.task, event.prototypes, event.rows) == ("topic", 60, 20)
    vectors = encode_all(fastest(tiny_model, compute), tasks["topic"].train.encoded, compute).numpy()
    np.testing.assert_allclose(event.scope.prototypes, unit(vectors), atol=2e-3)
    assert np.array_equal(event.scope.classes, tasks["topic"].train.labels)


def test_no_prototypes_on_request(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, {"topic": tasks["topic"]}, epochs=1, prototypes=0)
    assert not [event for event in done.events if isinstance(event, ScopeFitted)]


def test_a_frozen_head_gets_new_prototypes_only_if_the_backbone_moves(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    both = {name: tasks[name] for name in ("topic", "tags")}
    for frozen, count in ((["head:topic"], 1), (["head:topic", "backbone"], 0)):
        done = run(tiny_model, both, frozen, epochs=1)
        assert len([event for event in done.events if isinstance(event, ScopeFitted)]) == count


def test_the_scope_of_an_ordinal_head_has_all_of_its_classes(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    """Such a head has one output fewer than classes."""
    spec = TaskSpec("mood", "ordinal", ("low", "mid", "high"))
    tiny_model.add_task(spec)
    objective = HeadObjective(tiny_model, replace(tasks["topic"], spec=spec))
    draw = np.random.default_rng(0)
    rows = Prototypes(draw.normal(size=(12, 32)).astype(np.float32), np.arange(12) % 3)
    fitted = scope_fitted(objective, rows, draw.normal(size=(12, 2)).astype(np.float32), rows.vectors)
    moved = scope_moved(objective, rows, fitted)
    assert (moved.prototypes, moved.rows) == (12, 12)
    assert moved.scope.classes.tolist() == fitted.scope.classes.tolist()
