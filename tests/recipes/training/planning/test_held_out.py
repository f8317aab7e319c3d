"""Options that need validation rows are refused where none are held out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import freezing_of

from mtlkit.config.architecture import Architecture
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.held_out import HOLDOUT, holdout_of
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.training.planning.held_out import check_held_out, check_refit
from mtlkit.training.plan import TrainPlan


def plan_of(**options: Any) -> TrainPlan:
    """A plan of two new tasks, of which nothing is checked."""
    model = MultiTaskModel(Encoder(Architecture(300, 1, 16, 1, 16, "bidirectional")), [])
    frozen = freezing_of(model, ())
    return TrainPlan(options=TrainMtlOptions(**options), compute=Compute(torch.device("cpu"), "fp32"), freezing=frozen)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"patience": 2}, "--patience"),
        ({"eval_every": 5}, "--eval-every"),
        ({"task_patience": 2}, "--task-patience"),
        ({"keep_best_per_task": True}, "--keep-best-per-task"),
        ({"baselines": True}, "--baselines"),
        ({"select": "topic"}, "--select topic"),
    ],
)
def test_options_that_need_validation_rows(options: dict[str, Any], words: str) -> None:
    plan = plan_of(holdout=0, **options)
    with pytest.raises(UsageError, match=f"^{words} .*--holdout 0 leaves topic"):
        check_held_out(plan, {"topic", "sentiment"})
    check_held_out(plan, set())  # all sources have a validation split
    check_held_out(plan_of(**options), {"topic", "sentiment"})


def test_patience_needs_one_task_with_validation_rows() -> None:
    check_held_out(plan_of(holdout=0, patience=2), {"topic"})


@pytest.mark.parametrize(
    ("recorded", "share"), [({}, HOLDOUT), ({"holdout": 0}, 0.0), ({"holdout": 0.25}, 0.25), ({"holdout": "x"}, HOLDOUT)]
)
def test_the_recorded_share(recorded: dict[str, Any], share: float) -> None:
    assert holdout_of(recorded) == share


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"holdout": 0}, "--holdout 0"),
        ({"few_shot": True}, "--few-shot"),
        ({"cap": "10"}, "--cap 10"),
        ({"keep_state": True}, "--keep-state"),
        ({"keep_best_per_task": True}, "--keep-best-per-task"),
        ({"baselines": True}, "--baselines"),
        ({"max_forgetting": 1.0}, "--max-forgetting"),
    ],
)
def test_options_that_do_not_fit_a_refit(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=f"^--refit .*{words}"):
        check_refit(plan_of(refit=True, **options))
    check_refit(plan_of(**options))


def test_a_refit_needs_held_out_rows() -> None:
    plan = plan_of(refit=True)
    with pytest.raises(UsageError, match=r"^--refit: nothing is held out of topic, sentiment"):
        check_held_out(plan, set())
    check_held_out(plan, {"topic"})
