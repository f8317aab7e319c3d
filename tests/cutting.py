"""Trainings that are cut: a saver that keeps every state in memory, as its files would hold it."""

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
    """What files would give back of it."""
    tensors = {name: value.detach().clone() for name, value in snapshot.tensors.items()}
    return StateDict(tensors, json.loads(json.dumps(snapshot.plain)))


class Keeper:
    """Saves after every step; `lines` counts those that the log had then."""

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
    """Lines of a log without the times in them."""
    found = []
    for line in lines:
        tracked = {name: value for name, value in line.get("tracking", {}).items() if name not in TIMES}
        rest = {name: value for name, value in line.items() if name != "seconds"}
        found.append({**rest, **({"tracking": tracked} if tracked else {})})
    return found


def assert_same_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """To the last bit."""
    assert found.keys() == expected.keys()
    different = [name for name, weight in found.items() if not torch.equal(weight, expected[name])]
    assert not different


def assert_same_end(found: Iterable[Event], expected: Iterable[Event]) -> None:
    """Both trainings reported the same end; the second may have reported more before it."""
    for kind in (Chosen, Forgetting, RowsSeen):
        assert [one for one in found if isinstance(one, kind)] == [one for one in expected if isinstance(one, kind)]
    epochs, others = ([one for one in events if isinstance(one, Epoch)] for events in (found, expected))
    assert epochs == others[len(others) - len(epochs) :]
    bests, other_bests = (next(one for one in events if isinstance(one, Chosen)).bests for events in (found, expected))
    for one, other in zip(bests, other_bests, strict=True):
        assert (one.weights is None) == (other.weights is None)
        assert_same_weights(one.weights or {}, other.weights or {})
