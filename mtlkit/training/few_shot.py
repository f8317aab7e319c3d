"""`train-mtl --few-shot`: brings texts with the same label together by contrast, then solves the heads on the frozen backbone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
from torch import Tensor

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.task_training import MAX_PAIRS
from mtlkit.errors import UsageError, counted, listed
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.checkpointing import Saver
from mtlkit.training.events import Chosen, Event, Note
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.objectives.labels import LabelsObjective, labels_objective, rows_of_labels
from mtlkit.training.objectives.router import routed, take_router
from mtlkit.training.phases import FirstPhaseSaver, SecondPhaseSaver, joined, none_of
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.solver.choice import without_optimum
from mtlkit.training.solver.trainer import HeadSolver, is_solver_state
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.trainer import Trainer
from mtlkit.training.validation.best_weights import FEW
from mtlkit.training.validation.small_data import NotMeasured

TEMPERATURE = 0.1
STRENGTH = 1.0  # of the regularization of heads, as in `training/solver/strength.py`
EPOCHS = 10  # of the contrast, instead of the default of other trainings
CONTRAST = "contrast"  # in the state of the second phase: the weights that the first one trained
MANY = 100  # rows per label from which on training the backbone with its heads usually does better


def contrast_plan(plan: TrainPlan) -> TrainPlan:
    """The plan of the first phase."""
    usual, options = TrainMtlOptions(), _options(plan)
    epochs = EPOCHS if options.epochs == usual.epochs else options.epochs
    changed = replace(options, objective="labels", epochs=epochs, router=False)
    return replace(plan, options=changed)


def heads_plan(plan: TrainPlan) -> TrainPlan:
    """The plan of the second phase."""
    return replace(plan, freezing=parse_freeze(["backbone"], None, plan.freezing.weights, [], ()), adapter=None)


def _options(plan: TrainPlan) -> TrainMtlOptions:
    assert isinstance(plan.options, TrainMtlOptions)
    return plan.options


class FewShotTrainer:
    """Trains in two phases, with the interface of `Trainer`, and can be resumed in either.

    Rows that were held out for validation are given back to both phases if they are fewer than FEW: too few to choose an epoch or
    to tell how good the model is. Raises UsageError for labels or heads that do not fit.
    """

    def __init__(self, plan: TrainPlan, model: MultiTaskModel, data: TrainData, cache: Path | None = None) -> None:
        if reason := next(without_optimum(heads_plan(plan), data), None):
            raise UsageError(f"--few-shot solves linear heads, and {reason}; omit it, or name a new task")
        self.model, self.cache = model, cache
        heads = {name: _head(objective) for name, objective in data.objectives.items()}
        self.router = take_router(model, list(routed(heads)), _options(plan).router)
        self.given_back = [name for name, objective in heads.items() if gives_back(objective)]
        self.objectives: Mapping[str, Objective] = {
            name: contrast_of(objective, model.vector_dim) for name, objective in heads.items()
        }
        self.contrast = Trainer(contrast_plan(plan), model, TrainData(self.objectives), cache)
        # the rows of a larger held-out part stay for validation: the contrast has not seen them
        self.heads = {name: _with_held_out(objective, name in self.given_back) for name, objective in heads.items()}
        options = replace(_options(plan), router=self.router.wanted)
        if self.given_back:  # no rows are left out whose probabilities could be trusted
            options = replace(options, calibrate="none", prototypes=0)
        self.plan, self.classes = replace(heads_plan(plan), options=options), data.classes
        self._resumed: StateDict | None = None

    def resume(self, state: StateDict, *, extended: bool = False) -> None:
        """Continues from a saved state once `events` begins."""
        self._resumed = state

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Trains to the end. Raises DivergedStep, and StoppedError after a signal."""
        if self.router.dropped:
            yield self.router.dropped
        yield from self._advice()
        solving = self._resumed is not None and is_solver_state(self._resumed)
        if self._resumed and not solving:
            self.contrast.resume(self._resumed)
        if not solving:
            yield Note(f"phase 1 of 2: contrast, {self._steps()}: texts with the same label get similar vectors")
            for event in self.contrast.events(log, FirstPhaseSaver(saver) if saver else None):
                if not isinstance(event, Chosen | NotMeasured):
                    yield event
        yield Note("phase 2 of 2: heads, solved on the vectors of the frozen backbone")
        trained = self._trained_weights()
        if self._resumed and solving:
            copy_into(trained, self._resumed.tensors_of(CONTRAST))
        solver = HeadSolver(
            self.plan, self.model, TrainData(self.heads, classes=self.classes), self.cache,
            steps=self.contrast.schedule.steps, strength=STRENGTH,
        )  # fmt: skip
        if self._resumed and solving:
            solver.resume(self._resumed)
        yield from solver.events(log, SecondPhaseSaver(saver, CONTRAST, StateDict(trained)) if saver else None)

    def _steps(self) -> str:
        return counted(self.contrast.schedule.steps, "step")

    def _trained_weights(self) -> dict[str, Tensor]:
        """The weights that the contrast trains."""
        frozen = self.contrast.setup.frozen_params
        return {name: weight for name, weight in self.model.named_parameters() if name not in frozen}

    def _advice(self) -> Iterator[Note]:
        if self.given_back:
            rest = [name for name in self.heads if name not in self.given_back]
            others = f", nor are those of {listed(rest)}" if rest else ""
            yield Note(
                f"{listed(self.given_back)}: trains on all rows, as fewer than {FEW} held-out ones cannot tell how good the "
                "model is; scores below are of rows that it was trained on, and heads are neither calibrated nor able to reject"
                f"{others}; measure with mtlkit eval on other rows",
                warning=True,
            )
        for name, objective in self.heads.items():
            counts = [len(rows) for rows in rows_of_labels(objective.task.train.labels)]
            if (median := int(np.median(counts))) > MANY:
                yield Note(
                    f"{name}: --few-shot is for few rows per label, and the median here is {median:,}; training without it "
                    "usually does better",
                    warning=True,
                )


def gives_back(objective: HeadObjective) -> bool:
    """Whether the rows that were held out of a task are trained on."""
    return objective.task.held_out and len(objective.task.validation) < FEW


def contrast_of(objective: HeadObjective, dim: int) -> LabelsObjective:
    """The contrastive objective of a task. Raises UsageError, DataError."""
    task = objective.task
    if gives_back(objective):
        task = replace(task, train=joined(task.train, task.validation), validation=none_of(task.validation))
    return labels_objective(task, TEMPERATURE, [dim], MAX_PAIRS, "--few-shot")


def _head(objective: Objective) -> HeadObjective:
    assert isinstance(objective, HeadObjective)
    return objective


def _with_held_out(objective: HeadObjective, held_out: bool) -> HeadObjective:
    return HeadObjective(objective.model, replace(objective.task, held_out=held_out), objective.options)
