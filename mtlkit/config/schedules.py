"""How the batches of several tasks follow each other, and how long an epoch is: what `--schedule` and `--epoch-by` may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.numbers import finite, whole
from mtlkit.errors import UsageError, listed, shorten, suggest

ScheduleName = Literal["round-robin", "joint", "sequential", "proportional", "temperature"]
EpochName = Literal["longest", "shortest", "steps"]

FORMS: dict[ScheduleName, str] = {
    "round-robin": "round-robin",
    "joint": "joint",
    "sequential": "sequential",
    "proportional": "proportional",
    "temperature": "temperature:T[:CAP]",
}
EPOCH_FORMS: dict[EpochName, str] = {"longest": "longest", "shortest": "shortest", "steps": "steps:N"}


@dataclass(frozen=True)
class ScheduleChoice:
    """A schedule with its numbers. Those of `temperature`: p_t ~ min(n_t, cap)^(1 / temperature), n_t the rows of task t;
    `proportional` is temperature 1 without a cap."""

    name: ScheduleName = "round-robin"
    temperature: float = 1.0
    cap: int | None = None

    @property
    def drawn(self) -> bool:
        """Whether tasks come in random order, each as often as its weight says."""
        return self.name in ("proportional", "temperature")


@dataclass(frozen=True)
class EpochLength:
    """How long an epoch is: until the last of the tasks has been seen once, or the first, or so many optimiser steps, each of
    which accumulates the gradient of so many pieces of work."""

    name: EpochName = "longest"
    steps: int = 0
    accumulate: int = 1

    @property
    def pieces(self) -> int:
        """Those of an epoch of so many steps."""
        return self.steps * self.accumulate


def parse_schedule(text: str) -> ScheduleChoice:
    """`"temperature:2:10000"` as a choice. Raises UsageError."""
    name, *numbers = text.split(":")
    if name not in FORMS:
        raise UsageError(
            f"--schedule {shorten(text)}: no such schedule; there are {listed(FORMS.values())}{suggest(name, FORMS)}"
        )
    if name != "temperature":
        if numbers:
            raise UsageError(f"--schedule {shorten(text)}: {name} takes no number; write {FORMS[name]}")
        return ScheduleChoice(name)
    if not 1 <= len(numbers) <= 2 or not _at_least_one(numbers[0]) or not all(whole(cap, 1) for cap in numbers[1:]):
        raise UsageError(
            f"--schedule {shorten(text)}: write {FORMS[name]}; T is a number from 1 (in proportion to the rows) upwards (more "
            "even), CAP a number of rows"
        )
    return ScheduleChoice(name, float(numbers[0]), int(numbers[1]) if numbers[1:] else None)


def parse_epoch_length(text: str) -> EpochLength:
    """`"steps:500"` as a length. Raises UsageError."""
    name, *numbers = text.split(":")
    if name not in EPOCH_FORMS:
        forms = listed(EPOCH_FORMS.values())
        raise UsageError(f"--epoch-by {shorten(text)}: no such length; there are {forms}{suggest(name, EPOCH_FORMS)}")
    if len(numbers) != (name == "steps") or not all(whole(number, 1) for number in numbers):
        number = ", N a whole number above 0" if name == "steps" else ""
        raise UsageError(f"--epoch-by {shorten(text)}: write {EPOCH_FORMS[name]}{number}")
    return EpochLength(name, *map(int, numbers))


def check_epoch_length(schedule: ScheduleChoice, length: EpochLength, tasks: int) -> None:
    """Raises UsageError where an epoch has no room for a batch of each task, those that are rehearsed among them."""
    if length.name == "steps" and schedule.name != "joint" and length.pieces < tasks:
        raise UsageError(
            f"--epoch-by steps:{length.steps} has no room for a batch of each of {tasks} tasks; "
            f"give {-(-tasks // length.accumulate)} steps or more"
        )


def _at_least_one(text: str) -> bool:
    value = finite(text)
    return value is not None and value >= 1
