"""Trains to choose an epoch, then again from the same start to that epoch, on the rows that were held out, too."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TextIO

from mtlkit.errors import listed
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.checkpointing import Saver
from mtlkit.training.events import Chosen, Epoch, Event, Note
from mtlkit.training.head_incidents import ScopeFitted
from mtlkit.training.incidents import Refitted, RouterTrained
from mtlkit.training.objectives.base import Objective, head_objectives
from mtlkit.training.objectives.router import routed, take_router
from mtlkit.training.phases import FirstPhaseSaver, SecondPhaseSaver, joined_tasks, none_of
from mtlkit.training.plan import Options, TrainData, TrainPlan
from mtlkit.training.refit.selection import Selection, stop_at
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.class_balance import drawn_classes, options_of_losses
from mtlkit.training.setup import assign_roles
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.trainer import Trainer
from mtlkit.training.validation.evaluator import rank, trained_weights
from mtlkit.training.validation.scope import prototypes_of, scope_moved, scoped
from mtlkit.training.validation.small_data import Overfitted, StillLearning

REFIT = "refit"  # in the state of the second phase: what the first one chose


class RefitTrainer:
    """Trains in two phases, with the interface of `Trainer`, and can be resumed in either.

    The second phase has the same start, seed and learning rates by epoch, and as many passes over the rows as the chosen weights
    had, so that it takes more steps. Scores, calibrations and the thresholds of scopes are those that the held-out rows gave
    before. Raises UsageError.
    """

    def __init__(self, plan: TrainPlan, model: MultiTaskModel, data: TrainData, cache: Path | None = None) -> None:
        self.plan, self.model, self.data, self.cache = plan, model, data, cache
        self.roles = assign_roles(plan, data)
        trained = {name: objective for name, objective in self.roles.labelled.items() if name in self.roles.trained}
        self.given_back = {name: len(own.task.validation) for name, own in trained.items() if own.task.held_out}
        self.router = take_router(model, list(routed(self.roles.labelled)), plan.options.router)
        self.specs = dict(model.tasks)
        self.start = trained_weights(model, plan.freezing.always)
        self.random = RandomState(model, plan.compute.device, plan.options.seed)
        self.moment = self.random.now()
        first = replace(plan, options=_with(plan.options, router=False))
        self.trainer = Trainer(first, model, data, cache)
        self._resumed: StateDict | None = None

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """Those of the current phase."""
        return self.trainer.objectives

    def resume(self, state: StateDict, *, extended: bool = False) -> None:
        """Continues from a saved state once `events` begins."""
        self._resumed = state

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Trains to the end. Raises DivergedStep, and StoppedError after a signal."""
        if self.router.dropped:
            yield self.router.dropped
        if self._resumed and REFIT in self._resumed.plain:
            selection = Selection.from_state(self._resumed.part(REFIT))
        else:
            selection = yield from self._select(log, saver)
            self._resumed = None
        rows = listed(f"{name} {count:,}" for name, count in self.given_back.items())
        yield Note(f"phase 2 of 2: from the start again to epoch {selection.stop.epoch}, with the held-out rows ({rows})")
        yield from self._refit(selection, log, saver)

    def _select(self, log: TextIO, saver: Saver | None) -> Generator[Event, None, Selection]:
        yield Note("phase 1 of 2: choosing the epoch on held-out rows")
        trainer, chosen = self.trainer, None
        if self._resumed:
            trainer.resume(self._resumed)
        scopes: dict[str, ScopeFitted] = {}
        for event in trainer.events(log, FirstPhaseSaver(saver) if saver else None):
            if isinstance(event, Chosen):
                chosen = event
            elif isinstance(event, ScopeFitted):
                scopes[event.task] = event
            elif not isinstance(event, RouterTrained):
                yield event
        assert chosen is not None
        calibrations = {name: spec.calibration for name, spec in self.model.tasks.items() if name in self.given_back}
        lengthened = trainer.setup.lengthened
        return Selection(
            chosen,
            stop_at(trainer.schedule, chosen.epoch.step, lengthened.passes if lengthened else 1),
            {name: calibration for name, calibration in calibrations.items() if calibration},
            {name: scope for name, scope in scopes.items() if name in self.given_back},
            trainer.components.state.step,
            chosen.epoch.epochs,
        )

    def _refit(self, selection: Selection, log: TextIO, saver: Saver | None) -> Iterator[Event]:
        copy_into(dict(self.model.named_parameters()), self.start)
        self.random.back_to(self.moment)
        for name, spec in self.specs.items():
            self.model.head(name).spec = spec
        unscored = {"patience": 0, "task_patience": 0, "eval_every": 0, "track_every": 0}
        options = _with(self.plan.options, router=self.router.wanted, **unscored)
        plan = replace(self.plan, options=options, stop=selection.stop, epoch_steps=None)
        before = {"steps": selection.steps, "epochs": selection.epochs}
        self.trainer = trainer = Trainer(plan, self.model, self._all_rows(), self.cache, **before)
        if self._resumed:
            trainer.resume(self._resumed)
        last: Epoch | None = None
        for event in trainer.events(log, self._second_saver(saver, selection)):
            if isinstance(event, Chosen):
                last = event.epoch
            elif not isinstance(event, StillLearning | Overfitted):  # nothing was chosen by the losses of this phase
                yield event
        assert last is not None
        for name, calibration in selection.calibrations.items():
            head = self.model.head(name)
            head.spec = replace(head.spec, calibration=calibration)
        yield from self._scopes(plan, selection)
        yield Chosen(self._measured(selection, last), selection.chosen.bests)
        rows = {name: len(trainer.objectives[name].train.lengths) for name in self.given_back}
        refitted = Refitted(rows, self.given_back, selection.stop.epoch, trainer.components.state.step)
        trainer.components.log.event(refitted, refitted.steps)
        yield refitted

    def _second_saver(self, saver: Saver | None, selection: Selection) -> Saver | None:
        return SecondPhaseSaver(saver, REFIT, selection.state_dict(), selection.steps) if saver else None

    def _all_rows(self) -> TrainData:
        """The data with held-out rows among the training rows of their tasks."""
        tasks = {name: objective.task for name, objective in self.roles.labelled.items()}
        together = joined_tasks([tasks[name] for name in self.given_back])
        for name in self.given_back:
            task = tasks[name]
            tasks[name] = replace(task, train=together[name], validation=none_of(task.validation), held_out=False)
        trained = {name: task for name, task in tasks.items() if name not in self.plan.watched}
        classes = drawn_classes(trained) if self.data.classes else {}
        losses = options_of_losses(trained, self.plan.options)
        return replace(self.data, objectives=head_objectives(self.model, tasks, losses), classes=classes)

    def _scopes(self, plan: TrainPlan, selection: Selection) -> Iterator[Event]:
        """The scopes of heads whose rows are given back."""
        components = self.trainer.components
        roles = components.setup.roles
        objectives = {name: objective for name, objective in scoped(plan, roles).items() if name in selection.scopes}
        prototypes = prototypes_of(plan, roles, objectives, components.evaluator, components.losses.vectors_of)
        yield from (scope_moved(objectives[name], own, selection.scopes[name]) for name, own in prototypes)

    def _measured(self, selection: Selection, last: Epoch) -> Epoch:
        """The chosen evaluation, with what the model is worth now of tasks that have rows of their own to validate on."""
        chosen, states = selection.chosen.epoch, selection.measured(last)
        if self.given_back.keys() >= self.roles.trained.keys():
            return replace(chosen, tasks=states)
        return replace(chosen, tasks=states, score=rank(states, self.roles.trained, self.plan.options.select).score)


def _with(options: Options, **values: Any) -> Options:
    """The options with other values; `train-sentence` does not have all of them."""
    own = {item.name for item in fields(options)}
    return replace(options, **{name: value for name, value in values.items() if name in own})
