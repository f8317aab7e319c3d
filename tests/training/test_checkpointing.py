"""When a training is saved, and how it is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlkit.config.save_every import SaveEvery
from mtlkit.errors import StoppedError
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.training import checkpointing as resume
from mtlkit.training.checkpointing import FolderSaver, Interrupts, reached, resuming
from mtlkit.training.state_dict import StateDict

ABOUT = {"command": "train-mtl"}
Make = Callable[..., FolderSaver]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[CheckpointManager]:
    folder = CheckpointManager(tmp_path / "run")
    with folder.lock("mtlkit train-mtl"):
        folder.log.touch()
        yield folder


@pytest.fixture
def make(folder: CheckpointManager) -> Make:
    def make(**every: Any) -> FolderSaver:
        return FolderSaver(folder, SaveEvery(**every), Interrupts(), ABOUT, "mtlkit train-mtl --resume runs/x")

    return make


def at(step: int) -> Callable[[], StateDict]:
    return lambda: StateDict({"weight": torch.tensor([float(step)])}, {"step": step})


def saved(folder: CheckpointManager) -> list[int]:
    return sorted(int(path.name.partition("-")[2]) for path in folder.path.glob("step-*"))


def test_every_so_many_steps(folder: CheckpointManager, make: Make) -> None:
    saver, found = make(steps=3), []
    for step in range(10):
        saver.after(step, at(step))
        found.append(saver.saved)
    assert found == [-1, -1, -1, 3, 3, 3, 6, 6, 6, 9]
    assert saved(folder) == [6, 9]
    state, warnings = folder.newest()
    assert (state.step, state.plain, warnings) == (9, {"about": ABOUT, "training": {"step": 9}}, [])
    assert state.tensors["weight"].tolist() == [9.0]


def test_every_so_many_minutes_from_the_last_on(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(resume, "time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])}))
    saver, found = make(minutes=0.5), []
    for step, seconds in enumerate([0, 29, 1, 29, 0.5, 0.5, 100], 0):
        now[0] += seconds
        saver.after(step, at(step))
        found.append(saver.saved)
    assert found == [-1, -1, 2, 2, 2, 5, 6]
    assert time.monotonic() != now[0]


def test_what_is_saved_already_is_not_saved_again(make: Make) -> None:
    """A resumed training checks before its first step, too."""
    saver = make(steps=2)
    saver.begin(4, StateDict(plain={}))
    saver.after(4, lambda: pytest.fail("a snapshot was asked for"))
    saver.after(5, lambda: pytest.fail("a snapshot was asked for"))
    saver.after(6, at(6))
    assert saver.saved == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heeded_between_two_steps(number: signal.Signals, folder: CheckpointManager, make: Make) -> None:
    saver, before = make(steps=100), signal.getsignal(number)
    with saver.interrupts:
        saver.after(0, at(0))
        saver.after(1, at(1))
        signal.raise_signal(number)
        assert saved(folder) == []
        with pytest.raises(StoppedError, match="saved after step 2; resume with: mtlkit train-mtl --resume runs/x") as caught:
            saver.after(2, at(2))
    assert caught.value.exit_code == 128 + number
    assert saved(folder) == [2]
    assert signal.getsignal(number) is before


def test_a_signal_after_a_step_that_was_saved_saves_nothing_more(make: Make) -> None:
    saver = make(steps=1)
    with saver.interrupts:
        saver.after(1, at(1))
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StoppedError, match="saved after step 1;"):
            saver.after(1, lambda: pytest.fail("a snapshot was asked for"))


def test_before_the_first_step_it_stops_at_once() -> None:
    interrupts = Interrupts()
    interrupts.message = "nothing was lost"
    with interrupts, pytest.raises(StoppedError, match=r"^nothing was lost$"):
        signal.raise_signal(signal.SIGINT)


def test_the_second_signal_does_what_it_does_without(make: Make) -> None:
    saver = make(steps=1)
    with saver.interrupts:
        saver.after(0, at(0))
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_stopped_solver_names_its_heads() -> None:
    solving = {"trainer": {}, "solver": {"solved": {"topic": {"c": 0.31622}, "stars": {"c": 10.0}}}}
    assert reached(StateDict(plain=solving), 2) == "after solving head:topic (C 0.316), head:stars (C 10)"
    assert reached(StateDict(plain={"solver": {"solved": {}}}), 0) == "before solving the first head"
    assert reached(StateDict(plain={"trainer": {}}), 2) == "after step 2"
    assert resuming(StateDict(plain={"trainer": {}}), 1002) == "resuming from step 1,002"
