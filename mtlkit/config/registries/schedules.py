"""Parses `--schedule` (the order of the tasks' batches) and `--epoch-by` (the length of an epoch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.option import finite, whole
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
    """A schedule with its parameters.

    `temperature` samples task t with probability p_t ~ min(n_t, cap)^(1 / temperature), where n_t is its number of rows;
    `proportional` is temperature 1 without a cap.
    """

    name: ScheduleName = "round-robin"
    temperature: float = 1.0
    cap: int | None = None

    @property
    def drawn(self) -> bool:
        """Whether tasks are sampled at random by weight."""
        return self.name in ("proportional", "temperature")


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
    name, *numbers = text.split(":")
    if name not in FORMS:
        raise UsageError(
            f"--schedule {shorten(text)}: unknown schedule; choose from {listed(FORMS.values())}{suggest(name, FORMS)}"
        )
    if name != "temperature":
        if numbers:
            raise UsageError(f"--schedule {shorten(text)}: {name} takes no parameter; use {FORMS[name]}")
        return ScheduleChoice(name)
    if not 1 <= len(numbers) <= 2 or not _at_least_one(numbers[0]) or not all(whole(cap, 1) for cap in numbers[1:]):
        raise UsageError(
            f"--schedule {shorten(text)}: use {FORMS[name]}, where T is a number >= 1 (1: proportional to the rows; larger: more "
            "even) and CAP a number of rows"
        )
    return ScheduleChoice(name, float(numbers[0]), int(numbers[1]) if numbers[1:] else None)


def parse_epoch_length(text: str) -> EpochLength:
    """Parses an epoch length such as `steps:500`. Raises UsageError."""
    name, *numbers = text.split(":")
    if name not in EPOCH_FORMS:
        forms = listed(EPOCH_FORMS.values())
        raise UsageError(f"--epoch-by {shorten(text)}: unknown epoch length; choose from {forms}{suggest(name, EPOCH_FORMS)}")
    if len(numbers) != (name == "steps") or not all(whole(number, 1) for number in numbers):
        number = ", where N is a whole number above 0" if name == "steps" else ""
        raise UsageError(f"--epoch-by {shorten(text)}: use {EPOCH_FORMS[name]}{number}")
    return EpochLength(name, *map(int, numbers))


def check_epoch_length(schedule: ScheduleChoice, length: EpochLength, tasks: int) -> None:
    """Raises UsageError if an epoch is too short for one batch of each task, including rehearsed ones."""
    if length.name == "steps" and schedule.name != "joint" and length.micro_batches < tasks:
        raise UsageError(
            f"--epoch-by steps:{length.steps} is too short for one batch of each of the {tasks} tasks; "
            f"use at least {-(-tasks // length.accumulate)} steps"
        )


def _at_least_one(text: str) -> bool:
    value = finite(text)
    return value is not None and value >= 1
