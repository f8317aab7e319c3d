"""Options that need validation rows are refused where none are held out."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.held_out import HOLDOUT, holdout_of
from mtlkit.config.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.train_mtl import SPEC
from mtlkit.recipes.training.validate import make_plan
from mtlkit.recipes.training.validate_held_out import check_held_out


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
    plan = make_plan(TrainMtlOptions(holdout=0, **options), SPEC, "mini")
    with pytest.raises(UsageError, match=f"^{words} .*--holdout 0 leaves topic"):
        check_held_out(plan, {"topic", "sentiment"})
    check_held_out(plan, set())  # all sources have a validation split
    check_held_out(make_plan(TrainMtlOptions(**options), SPEC, "mini"), {"topic", "sentiment"})


def test_patience_needs_one_task_with_validation_rows() -> None:
    check_held_out(make_plan(TrainMtlOptions(holdout=0, patience=2), SPEC, "mini"), {"topic"})


@pytest.mark.parametrize(
    ("recorded", "share"), [({}, HOLDOUT), ({"holdout": 0}, 0.0), ({"holdout": 0.25}, 0.25), ({"holdout": "x"}, HOLDOUT)]
)
def test_the_recorded_share(recorded: dict[str, Any], share: float) -> None:
    assert holdout_of(recorded) == share
