"""The schedules of `--schedule` by name, and the length of an epoch, `--epoch-by`.

Schedules are defined in `mtlkit/training/sampling/schedules/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mtlkit.config.option import whole
from mtlkit.config.registries.methods import forms
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError, listed, shorten, suggest

SCHEDULES: Registry[Any] = Registry("schedule", "mtlkit.training.sampling.schedules")

EpochName = Literal["longest", "shortest", "steps"]
EPOCH_FORMS: dict[EpochName, str] = {"longest": "longest", "shortest": "shortest", "steps": "steps:N"}


@dataclass(frozen=True)
class ScheduleChoice:
    """A chosen schedule with its parameters; missing ones use the schedule's defaults."""

    name: str = "round-robin"
    parameters: tuple[Any, ...] = ()

    @property
    def definition(self) -> Any:
        """The registry's entry with this name."""
        return SCHEDULES[self.name]


@dataclass(frozen=True)
class EpochLength:
    """Length of an epoch: until every task (`longest`) or any task (`shortest`) has been seen once, or a number of optimizer
    steps, each of which accumulates the gradients of `accumulate` micro-batches."""

    name: EpochName = "longest"
    steps: int = 0
    accumulate: int = 1

    @property
    def micro_batches(self) -> int:
        """Micro-batches in an epoch of `steps` steps."""
        return self.steps * self.accumulate


def parse_schedule(text: str) -> ScheduleChoice:
    """Parses a schedule such as `temperature:2:10000`. Raises UsageError."""
    where = f"--schedule {shorten(text)}"
    name, colon, value = text.partition(":")
    if name not in SCHEDULES:
        known = listed(forms(SCHEDULES), len(SCHEDULES))
        raise UsageError(f"{where}: unknown schedule; choose from {known}{suggest(name, SCHEDULES)}")
    schedule = SCHEDULES[name]
    if schedule.parse is not None:
        return ScheduleChoice(name, schedule.parse(where, value))
    if colon:
        raise UsageError(f"{where}: {name} takes no parameter; use {name}")
    return ScheduleChoice(name)


def parse_epoch_length(text: str) -> EpochLength:
    """Parses an epoch length such as `steps:500`. Raises UsageError."""
    name, *numbers = text.split(":")
    if name not in EPOCH_FORMS:
        known = listed(EPOCH_FORMS.values())
        raise UsageError(f"--epoch-by {shorten(text)}: unknown epoch length; choose from {known}{suggest(name, EPOCH_FORMS)}")
    if len(numbers) != (name == "steps") or not all(whole(number, 1) for number in numbers):
        number = ", where N is a whole number above 0" if name == "steps" else ""
        raise UsageError(f"--epoch-by {shorten(text)}: use {EPOCH_FORMS[name]}{number}")
    return EpochLength(name, *map(int, numbers))


def check_epoch_length(schedule: ScheduleChoice, length: EpochLength, tasks: int) -> None:
    """Raises UsageError if an epoch is too short for one batch of each task, including rehearsed ones."""
    if length.name == "steps" and not schedule.definition.joint and length.micro_batches < tasks:
        raise UsageError(
            f"--epoch-by steps:{length.steps} is too short for one batch of each of the {tasks} tasks; "
            f"use at least {-(-tasks // length.accumulate)} steps"
        )
