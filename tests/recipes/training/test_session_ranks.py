"""The session of a training in several processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.training.open_session import check_batches
from mtlkit.recipes.training.resuming.point import ResumePoint
from mtlkit.recipes.training.session import RunSession
from mtlkit.runs.checkpoints import Checkpoint, CheckpointManager
from mtlkit.training.distributed.ranks import Ranks


class OtherData(Ranks):
    """Rank 0, and a second one that has read something else."""

    size = 2

    def agreed(self, value: object) -> list[object]:  # type: ignore[override]
        return [value, "something else"]


def session_of(options: TrainMtlOptions, folder: Path, checkpoint: Checkpoint | None = None) -> RunSession[TrainMtlOptions]:
    point = ResumePoint(options, checkpoint=checkpoint)
    return RunSession("train-mtl", folder, CheckpointManager(folder), point, ranks=OtherData())


def test_fewer_batches_than_processes_are_refused_or_noted(tmp_path: Path) -> None:
    fresh = session_of(TrainMtlOptions(accumulate=1), tmp_path)
    with pytest.raises(UsageError, match=r"--accumulate 1 .* fewer batches than there are processes \(2\)"):
        check_batches(fresh, 2)
    check_batches(fresh, 1)
    assert not fresh.notes
    resumed = session_of(TrainMtlOptions(accumulate=1), tmp_path, Checkpoint(3, {}, {}, tmp_path))
    check_batches(resumed, 2)
    assert resumed.notes[0].warning
    check_batches(session_of(TrainMtlOptions(accumulate=4), tmp_path), 2)


def test_ranks_with_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 rank \(1\) read other data"):
        session_of(TrainMtlOptions(), tmp_path).check_inputs(nn.Linear(1, 1), {"topic": "a"})
