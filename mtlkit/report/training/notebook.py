"""The progress of a training in a notebook: one output, updated in place."""

from __future__ import annotations

from collections.abc import Iterable

from mtlkit.notebook import CellOutput, in_kernel
from mtlkit.report.text import one_line
from mtlkit.report.training.epoch_lines import EpochLines, loss_words
from mtlkit.report.training.messages import training_messages
from mtlkit.training.events import BaselineEvent, Epoch, Event, Finished, Progress, result

WIDTH = 100  # columns of a line


def run_shown(events: Iterable[Event]) -> Finished:
    """Runs a recipe to its end. In a notebook, shows a line per epoch and task, warnings, and the current step."""
    return _shown(events, CellOutput()) if in_kernel() else result(events)


def _shown(events: Iterable[Event], output: CellOutput) -> Finished:
    rows, finished = EpochLines(WIDTH), None
    output.show("preparing ...", last=True)
    for event in events:
        match event:
            case Finished():
                finished = event
            case Epoch():
                for line in rows.lines(event):
                    output.add(line.plain)
            case Progress() | BaselineEvent(_, Progress()):
                output.show(_step(event))
            case _:
                for message in training_messages(event):
                    if message.warning:
                        output.add(one_line(message.text).plain)
    output.show("", last=True)
    assert finished is not None
    return finished


def _step(event: Progress | BaselineEvent) -> str:
    """`epoch 2/6  step 40/168  topic loss 0.412`."""
    name, step = (f"{event.baseline}: ", event.event) if isinstance(event, BaselineEvent) else ("", event)
    assert isinstance(step, Progress)
    return "  ".join([f"{name}epoch {step.epoch}/{step.epochs}", f"step {step.step}/{step.steps}", *loss_words(step.losses)])
