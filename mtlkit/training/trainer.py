"""The trainer of every command but `pretrain`: trains a model on its tasks, and can be saved and resumed between two steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.methods.base import BalanceContext
from mtlkit.training.balancing.registry import make_balance
from mtlkit.training.best_weights import BestWeights
from mtlkit.training.checkpointing import Saver
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.evaluator import Evaluator, trained_weights
from mtlkit.training.events import Chosen, Event, Forgetting, Parts, Progress, Tracking
from mtlkit.training.freezing.apply import FreezeProof, lr_scales_of, training_mode
from mtlkit.training.freezing.features import FeatureSource
from mtlkit.training.freezing.schedule import FreezeSchedule
from mtlkit.training.incidents import LimitExceeded, StepSkipped, TrainingStopped
from mtlkit.training.loop import DivergedStep, Step, train
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.router import take_router, teach_router
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.mixture import Piece, from_lists, to_lists
from mtlkit.training.setup import (
    assign_roles,
    idle_heads,
    make_features,
    make_guards,
    make_limit,
    make_step_schedule,
    make_updater,
)
from mtlkit.training.state_dict import StateDict, copy_into, upgraded
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import TrainState
from mtlkit.training.validation import EarlyStopping, ValidationLoop


class Trainer:
    """Trains `model` in place as planned and leaves the best weights in it.

    `events` yields what happens, once. A trainer of the same plan, model and data that `resume`s a saved state continues from
    there, bit for bit. `cache` is a folder for cached features that do not fit in memory (None: all stay in memory).
    """

    def __init__(self, plan: TrainPlan, model: MultiTaskModel, data: TrainData, cache: Path | None = None) -> None:
        options = plan.options
        model.to(plan.compute.device)
        self.plan, self.model, self.data, self.cache = plan, model, data, cache
        self.random = RandomState(model, plan.compute.device, options.seed)
        self.roles = roles = assign_roles(plan, data)
        self.router = take_router(model, list(roles.labelled), options.router)
        idle = idle_heads(model, roles.trained)
        self.frozen_params = plan.freezing.always | idle
        self.schedule = make_step_schedule(plan, data, roles.mixed)
        mixed, balance = list(roles.mixed), plan.balance
        context = BalanceContext(model, mixed, balance.weights, options.balance_on, self.random.cpu)
        self.weighting = make_balance(balance, context)
        self.guards = make_guards(plan, model, data, roles, self.frozen_params)
        self.freezing = FreezeSchedule(plan.freezing, idle)
        self.freezing.go_to(model, 0, 0)
        self.lr_scales = lr_scales_of(model, options.head_rate, options.layer_lr_decay)
        self.proof = FreezeProof(model, plan.freezing, self.frozen_params, options.learning_rate, self.lr_scales)
        self.lengths = {name: one.train.lengths for name, one in roles.mixed.items()}
        self.state = TrainState()
        self._resumed: StateDict | None = None
        self._extended = False

    def resume(self, state: StateDict, *, extended: bool = False) -> None:
        """Continues from a saved state once `events` begins; `extended`: past what was the last epoch."""
        self._resumed, self._extended = state, extended

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Trains to the end, or until there is a reason to stop. Raises DivergedStep, and StoppedError after a signal."""
        yield Parts(self.proof.parts(self.freezing.weights))
        if self.router.dropped:
            yield self.router.dropped
        features = make_features(self.plan, self.model, self.roles, self.frozen_params, self.cache)
        if features.cached:
            yield features.cached
        self._begin(MetricsLog(log), features.source)
        if self._resumed:
            self.load_state_dict(self._resumed, extended=self._extended)
        else:
            if len(self.roles.mixed) > 1:
                yield self.schedule.plan_of_epoch()
            if self.roles.watched or self.roles.known:
                yield self.validation.epoch(0, 0)
        if saver:
            saver.after(self.state.step, self.state_dict)
        if not self.state.ended and self.stopping.all_stopped:
            yield TrainingStopped("nothing to train")
        try:
            for step in self._steps():
                yield self._progress(step)
                for event in self._after(step):
                    self.log.event(event, step.index + 1)
                    yield event
                if self.state.ended:
                    break
                training_mode(self.model, self.freezing.weights)
                if saver:
                    saver.after(self.state.step, self.state_dict)
        except DivergedStep:
            if saver and self.updater.stops_on_spike:
                saver.save(self.state.step, self.state_dict())
            raise
        if saver:
            self._keep_last(saver)
        yield from self._finish()

    def _begin(self, log: MetricsLog, source: FeatureSource) -> None:
        """Makes what measures the model as it starts, and the optimizer."""
        plan, model, options, roles = self.plan, self.model, self.plan.options, self.roles
        evaluator = Evaluator(model, roles.all, plan.compute, plan.freezing.keeps("backbone"))
        probe = self.data.probe
        self.start_model = StartModel(model, roles.known, probe, evaluator) if probe is not None else None
        best = BestWeights(model, roles.trained, options.select, self.frozen_params, options.keep_best_per_task)
        self.log, self.best_weights, self.evaluator = log, best, evaluator
        self.validation = ValidationLoop(evaluator, best, self.schedule, self.weighting, log, self.start_model)
        self.stopping = EarlyStopping(options, best, self.schedule)
        self.losses = TaskLosses(roles.mixed, source, self.guards)
        self.limit = make_limit(plan, model, roles, self.schedule.full, self.frozen_params, evaluator)
        replaces_decay = any(guard.replaces_decay for guard in self.guards.values())
        decay = 0.0 if replaces_decay else options.weight_decay
        self.updater = make_updater(plan, model, self.schedule, self.random, decay, self.lr_scales, self.frozen_params)
        self.tracker: GradientTracker[Piece] = GradientTracker(
            model, list(roles.mixed), self.losses, plan.compute, options.track_every
        )

    def _steps(self) -> Iterator[Step[Piece]]:
        """The steps that are left."""
        if self.state.ended or self.stopping.all_stopped:
            return iter(())
        training_mode(self.model, self.freezing.weights)
        self._begun = time.monotonic() - self.state.seconds
        return train(
            self.schedule.micro_batches(self.state.step),
            self.losses,
            self.updater,
            self.weighting,
            self.tracker,
            first=self.state.step,
            names_of=list,
            describe=self.losses.describe,
        )

    def _progress(self, step: Step[Piece]) -> Progress:
        """Counts and logs a step."""
        state = self.state
        tokens = sum(int(self.lengths[name][rows].sum()) for piece in step.pieces for name, rows in piece.items())
        state.add(tokens=tokens, seconds=time.monotonic() - self._begun, skipped=step.skipped)
        self.validation.add(step)
        epoch, epochs = self.schedule.locate(step.index)[0] + 1, self.plan.options.epochs
        self.log.step(step, state, epoch, weights=self.weighting.changes)
        return Progress(state.step, self.schedule.steps, epoch, epochs, state.seconds, state.seen, step.losses, step.figures)

    def _after(self, step: Step[Piece]) -> list[Event]:
        """What follows a step: freezing, evaluation, the end of an epoch or of the training."""
        done, epoch = step.index + 1, self.schedule.locate(step.index)[0] + 1
        next_epoch, place = self.schedule.locate(done)
        every = self.plan.options.eval_every
        evaluates = every > 0 and done % every == 0
        change = self.freezing.update(self.model, next_epoch, done)
        events: list[Event] = [StepSkipped(done, step.spike, self.state.skipped)] if step.skipped else []
        events += [change] if change else []
        if self.limit and (evaluates or self.limit.due(place)) and (exceeded := self.limit.check(done)):
            return [*events, exceeded, self._restore(exceeded, epoch)]
        if place == 0:
            events += self._end_epoch(epoch, done)
        elif evaluates:
            events.append(self.validation.within_epoch(epoch, done))
        return events

    def _end_epoch(self, epoch: int, done: int) -> list[Event]:
        events: list[Event] = [self.validation.epoch(epoch, done)]
        if summary := self.tracker.summary():
            events.append(Tracking(summary))
        stops = self.stopping.after_epoch(epoch)
        self.state.ended = any(isinstance(one, TrainingStopped) for one in stops)
        self.tracker.without(self.schedule.left)
        return [*events, *stops]

    def _restore(self, exceeded: LimitExceeded, epoch: int) -> Event:
        """Restores the last weights within the limit on forgetting, whatever their score, and ends the training."""
        assert self.limit is not None
        copy_into(self.updater.weights, self.limit.kept)
        self.evaluator.moved()
        self.best_weights.best = None
        self.state.ended = True
        return self.validation.epoch(epoch, exceeded.kept, f"step {exceeded.kept}, within the bound")

    def _keep_last(self, saver: Saver) -> None:
        """Lets the saver save the last weights later, too, once the best ones are in the model."""
        last = trained_weights(self.model, self.frozen_params)

        def state_dict() -> StateDict:
            copy_into(dict(self.model.named_parameters()), last)
            return self.state_dict()

        saver.ended(self.state.step, state_dict)
        if self.plan.options.keep_state:
            saver.save(self.state.step, self.state_dict(complete=True))

    def _finish(self) -> Iterator[Event]:
        """Puts the best weights into the model and reports on them."""
        best = self.best_weights
        assert best.best is not None
        assert best.chosen is not None
        self.model.load_state_dict(best.best.weights, strict=False)
        self.model.eval()
        yield Parts(self.proof.parts(self.freezing.weights, final=True))
        if self.router.wanted:
            yield teach_router(self.model, self.roles.labelled, self.plan.compute, self.plan.options.seed)
        if self.start_model:
            yield Forgetting(self.start_model.report(self.model, best.best.scores))
        yield Chosen(best.chosen, best.per_task())
        yield self.validation.rows_seen()

    def state_dict(self, *, complete: bool = False) -> StateDict:
        """All that `resume` needs, between two steps; `complete`: after the last."""
        parts = {
            "trainer": self.state.state_dict(complete=complete),
            "schedule": self.schedule.state_dict(),
            "weighting": StateDict(plain=self.weighting.state_dict()),
            "tracker": StateDict(plain={**self.tracker.state_dict(), "last": to_lists(self.tracker.pairs.last)}),
            "validation": self.validation.state_dict(),
            **({"limit": self.limit.state_dict()} if self.limit else {}),
            "updater": self.updater.state_dict(),
        }
        return StateDict.join(parts)

    def load_state_dict(self, state: StateDict, *, extended: bool) -> None:
        """Restores a saved state. All components were made from the same start before."""
        state = upgraded(state)
        self.state.load_state_dict(state.part("trainer"))
        self.schedule.load_state_dict(state.part("schedule"))
        self.freezing.go_to(self.model, self.schedule.locate(self.state.step)[0], self.state.step)
        self.weighting.load_state_dict(dict(state.plain["weighting"]))
        self.tracker.load_state_dict(state.plain["tracker"], from_lists(state.plain["tracker"]["last"]))
        self.tracker.without(self.schedule.left)
        self.validation.load_state_dict(state.part("validation"))
        if self.limit:
            self.limit.load_state_dict(state.part("limit"))
        self.evaluator.moved()
        if extended:
            self.state.ended, self.best_weights.worse = False, 0
        self.updater.load_state_dict(state.part("updater"))
