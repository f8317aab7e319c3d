from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.fast import fastest
from mtlkit.inference.scope.scope import unit
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Chosen
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.state_dict import copy_into
from mtlkit.training.validation.calibrate import calibrate

Run = Callable[..., Any]


def calibrations(specs: Mapping[str, TaskSpec]) -> dict[str, Calibration | None]:
    return {name: spec.calibration for name, spec in specs.items()}


def test_the_best_weights_of_each_task_have_a_calibration_and_a_scope_of_their_own(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, compute: Any
) -> None:
    done = run(tiny_model, tasks, epochs=2, eval_every=4, learning_rate=1e-2, mixing={"keep_best": True, "select": "tags"})
    chosen = next(event for event in done.events if isinstance(event, Chosen))
    expected, weights = calibrations(tiny_model.tasks), dict(tiny_model.named_parameters())
    same, others = [], []
    for best in chosen.bests:
        (same if best.step == chosen.epoch.step else others).append(best)
    assert same
    assert others
    for best in same:  # the model is left with these
        assert calibrations(best.specs) == expected
        assert all((weight == best.weights[name]).all() for name, weight in weights.items())
    for best in others:
        copy_into(weights, best.weights)
        for name in ("topic", "tags"):
            objective = HeadObjective(tiny_model, tasks[name])
            vectors = encode_all(fastest(tiny_model, compute), objective.validation.encoded, compute)
            calibrate(tiny_model, name, objective.outputs(vectors), objective.validation.labels, "validation")
        assert calibrations(best.specs) == calibrations(tiny_model.tasks) != expected
        vectors = encode_all(fastest(tiny_model, compute), tasks["topic"].train.encoded, compute).numpy()
        np.testing.assert_allclose(best.scopes["topic"].prototypes, unit(vectors), atol=2e-3)
