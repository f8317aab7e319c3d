"""Interrupted trainings: a saver that keeps every checkpoint in memory, as its files would store it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from mtlkit.training.events import Chosen, Epoch, Event, Forgetting
from mtlkit.training.incidents import RowsSeen
from mtlkit.training.state_dict import StateDict

TIMES = ("seconds", "total", "cost")  # in the log; they differ from training to training


def as_saved(snapshot: StateDict) -> StateDict:
    """The state as it would be read from files."""
    tensors = {name: value.detach().clone() for name, value in snapshot.tensors.items()}
    return StateDict(tensors, json.loads(json.dumps(snapshot.plain)))


class Keeper:
    """Saves after every step; `lines` counts the lines of the log at that time."""

    def __init__(self, log: io.StringIO) -> None:
        self.log = log
        self.states: dict[int, StateDict] = {}
        self.lines: dict[int, int] = {}

    def after(self, step: int, snapshot: Callable[[], StateDict]) -> None:
        if step:
            self.save(step, snapshot())

    def save(self, step: int, snapshot: StateDict) -> None:
        self.states[step] = as_saved(snapshot)
        self.lines[step] = self.log.getvalue().count("\n")

    def ended(self, step: int, snapshot: Callable[[], StateDict]) -> None:
        """Nothing can fail after the last step."""


def timeless(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records of a log without times."""
    records = []
    for line in lines:
        tracked = {name: value for name, value in line.get("tracking", {}).items() if name not in TIMES}
        rest = {name: value for name, value in line.items() if name not in ("seconds", "started")}
        records.append({**rest, **({"tracking": tracked} if tracked else {})})
    return records


def assert_same_weights(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Asserts that weights are bitwise equal."""
    assert actual.keys() == expected.keys()
    different = [name for name, weight in actual.items() if not torch.equal(weight, expected[name])]
    assert not different


def assert_same_end(actual: Iterable[Event], expected: Iterable[Event]) -> None:
    """Both trainings reported the same end; the second may have reported more before it."""
    for kind in (Chosen, Forgetting, RowsSeen):
        assert [event for event in actual if isinstance(event, kind)] == [event for event in expected if isinstance(event, kind)]
    epochs, others = ([event for event in events if isinstance(event, Epoch)] for events in (actual, expected))
    assert epochs == others[len(others) - len(epochs) :]
    bests, other_bests = (next(event for event in events if isinstance(event, Chosen)).bests for events in (actual, expected))
    for best, other_best in zip(bests, other_bests, strict=True):
        assert (best.weights is None) == (other_best.weights is None)
        assert_same_weights(best.weights or {}, other_best.weights or {})
