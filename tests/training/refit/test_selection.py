"""Where a training on more rows stops, so that it is as long as the one that chose the epoch."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.training.refit.selection import stop_at
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.sampling.steps import StepSchedule


def schedule_of(rows: int, epochs: int, **more: object) -> StepSchedule:
    """Batches of four rows, one task."""
    lengths = {"topic": np.full(rows, 8, np.int64)}
    return StepSchedule(TaskMixture(make_samplers(lengths, 32, 0)), epochs, 1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "epoch", "share", "steps"),
    [(40, 4, 1.0, 60), (20, 2, 1.0, 30), (5, 1, 0.5, 8), (33, 4, 0.3, 49), (1, 1, 0.1, 2)],
)
def test_the_passes_over_the_rows_are_kept(step: int, epoch: int, share: float, steps: int) -> None:
    stop = stop_at(schedule_of(40, epochs=4), step, passes=1)
    assert (stop.epoch, stop.share) == (epoch, pytest.approx(share))
    longer = schedule_of(60, epochs=stop.epoch, share=stop.share)
    assert longer.steps == steps
    assert len(list(longer.micro_batches())) == steps
    assert len(list(longer.micro_batches(steps - 1))) == 1


def test_tasks_that_had_left_stay_away() -> None:
    schedule = schedule_of(40, epochs=4)
    schedule.left = {"early": 1, "late": 3}
    assert stop_at(schedule, 20, passes=2).left == {"early": 1}
