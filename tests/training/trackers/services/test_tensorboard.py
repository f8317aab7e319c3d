"""TensorBoard's event files, read by TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest
from event_files import scalars
from tracked_training import Training


def test_steps_after_the_checkpoint_are_taken_back(tmp_path: Path) -> None:
    """Resumed on another machine, say, the losses after step 3 are others."""
    training = Training(tmp_path, "tensorboard")
    training.stopped_and_resumed(factor=2.0)
    points = scalars(tmp_path)
    expected = [(step, pytest.approx(factor / step)) for step, factor in zip(range(1, 7), [1, 1, 1, 2, 2, 2], strict=True)]
    assert points["loss/topic"] == expected
    assert points["validation/topic/accuracy"] == [(6, 0.75)]
    assert points["final/validation/topic/accuracy"] == [(6, 0.75)]
    assert not training.warnings
