"""The trainer of every command but `pretrain`: trains a model on its tasks. Can be saved and resumed between two steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.checkpointing import Saver
from mtlkit.training.components import TrainComponents, make_components, make_setup
from mtlkit.training.distributed.task_turns import make_turns
from mtlkit.training.events import Chosen, Event, Forgetting, Parts, Progress, Tracking
from mtlkit.training.freezing.apply import FreezeProof, training_mode
from mtlkit.training.incidents import LimitExceeded, StepSkipped, TrainingStopped
from mtlkit.training.loop import DivergedStep, Step, train
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import Objective
from mtlkit.training.objectives.router import teach_router
from mtlkit.training.pair_heads import start_pair_heads
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.sampling.columns import BatchTexts
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.setup import make_features
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.validation.evaluator import trained_weights
from mtlkit.training.validation.fitted_heads import FittedHeads


class Trainer:
    """Trains `model` in place according to the plan and leaves the best weights in it.

    `events` runs the training; it can be iterated once. A trainer of the same plan, model and data that `resume`s a saved
    state continues from there, bit for bit. `cache` is a folder for cached features that do not fit in memory (None: all stay
    in memory). `steps` and `epochs` are those of a training before it, after which the log counts its own. Raises UsageError.
    """

    def __init__(
        self,
        plan: TrainPlan,
        model: MultiTaskModel,
        data: TrainData,
        cache: Path | None = None,
        *,
        steps: int = 0,
        epochs: int = 0,
    ) -> None:
        self.before = {"steps": steps, "epochs": epochs}
        self.plan, self.model, self.cache = plan, model, cache
        self.setup = setup = make_setup(plan, model, data)
        self.schedule, self.freezing = setup.schedule, setup.freezing
        self.proof = FreezeProof(model, plan.freezing, setup.frozen_params, plan.learning_rate, setup.lr_scales)
        self.texts = BatchTexts({name: objective.train for name, objective in setup.roles.mixed.items()})
        self._resumed: StateDict | None = None
        self._extended = False

    @property
    def objectives(self) -> Mapping[str, Objective]:
        return self.setup.data.objectives

    def resume(self, state: StateDict, *, extended: bool = False) -> None:
        """Makes `events` continue from a saved state. `extended`: past what was the last epoch."""
        self._resumed, self._extended = state, extended

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Trains to the end, or until there is a reason to stop. Raises DivergedStep, and StoppedError after a signal."""
        setup = self.setup
        yield Parts(self.proof.parts(self.freezing.weights))
        if setup.router.dropped:
            yield setup.router.dropped
        features = make_features(self.plan, self.model, setup.roles, setup.frozen_params, self.cache, setup.random)
        if features.cached:
            yield features.cached
        self.components = components = make_components(setup, MetricsLog(log, **self.before), features.source)
        state = components.state
        if self._resumed:
            components.load_state_dict(self._resumed, extended=self._extended)
        else:
            start_pair_heads(self.plan, setup.roles, components.evaluator, components.losses.vectors_of)
            yield from self._logged(components, setup.lengthened)
            if len(setup.roles.mixed) > 1:
                yield self.schedule.plan_of_epoch()
            if setup.roles.watched or setup.roles.known:
                yield components.validation.epoch(0, 0)
            if self.plan.options.epochs > 1 or self.plan.options.eval_every:
                yield from self._logged(components, components.best_weights.few_rows)
        if saver:
            saver.after(state.step, components.state_dict)
        if not state.ended and components.stopping.all_stopped:
            yield TrainingStopped("nothing to train")
        try:
            for step in self._steps(components):
                yield self._progress(step)
                for event in self._after(step):
                    components.log.event(event, step.index + 1)
                    yield event
                if state.ended:
                    break
                training_mode(self.model, self.freezing.weights)
                if saver:
                    saver.after(state.step, components.state_dict)
        except DivergedStep:
            if saver and components.updater.stops_on_spike:
                saver.save(state.step, components.state_dict())
            raise
        if saver:
            self._keep_last(saver)
        yield from self._finish()

    def _logged(self, components: TrainComponents, *events: Event | None) -> Iterator[Event]:
        """Logs and yields those events that are not None."""
        for event in events:
            if event is not None:
                components.log.event(event, components.state.step)
                yield event

    def _steps(self, components: TrainComponents) -> Iterator[Step[MicroBatch]]:
        """The remaining steps."""
        state = components.state
        if state.ended or components.stopping.all_stopped:
            return iter(())
        training_mode(self.model, self.freezing.weights)
        self._started = time.monotonic() - state.seconds
        return train(
            self.schedule.micro_batches(state.step),
            components.losses,
            components.updater,
            self.setup.weighting,
            components.tracker,
            first=state.step,
            names_of=list,
            describe=components.losses.describe,
            turns=make_turns(self.setup, components.losses, components.updater),
        )

    def _progress(self, step: Step[MicroBatch]) -> Progress:
        """Counts and logs a step, and returns its event."""
        components, state = self.components, self.components.state
        tokens = sum(self.texts.tokens(piece) for piece in step.pieces)
        state.add(tokens=tokens, seconds=time.monotonic() - self._started, skipped=step.skipped)
        components.validation.add(step)
        epoch, epochs = self.schedule.locate(step.index)[0] + 1, self.schedule.epochs
        components.log.step(step, state, epoch, weights=self.setup.weighting.changes)
        return Progress(state.step, self.schedule.steps, epoch, epochs, state.seconds, state.seen, step.losses, step.figures)

    def _after(self, step: Step[MicroBatch]) -> list[Event]:
        """What follows a step: changes of freezing, evaluation, the end of an epoch or of the training."""
        components, limit = self.components, self.components.limit
        done, epoch = step.index + 1, self.schedule.locate(step.index)[0] + 1
        next_epoch, steps_in_epoch = self.schedule.locate(done)
        every = self.plan.options.eval_every
        evaluates = every > 0 and done % every == 0
        change = self.freezing.update(self.model, next_epoch, done)
        events: list[Event] = [StepSkipped(done, step.spike, components.state.skipped)] if step.skipped else []
        events += [change] if change else []
        if limit and (evaluates or limit.due(steps_in_epoch)) and (exceeded := limit.check(done)):
            copy_into(components.updater.weights, limit.kept)
            return [*events, exceeded, self._end_exceeded(exceeded, epoch)]
        if steps_in_epoch == 0:
            events += self._end_epoch(epoch, done)
        elif done == self.schedule.steps:
            events.append(components.validation.epoch(epoch, done, f"step {done} of epoch {epoch}"))
        elif evaluates:
            events.append(components.validation.within_epoch(epoch, done))
        return events

    def _end_epoch(self, epoch: int, done: int) -> list[Event]:
        components = self.components
        events: list[Event] = [components.validation.epoch(epoch, done)]
        if summary := components.tracker.summary():
            events.append(Tracking(summary))
        stops = components.stopping.after_epoch(epoch)
        components.state.ended = any(isinstance(stop, TrainingStopped) for stop in stops)
        components.tracker.without(self.schedule.left)
        return [*events, *stops]

    def _end_exceeded(self, exceeded: LimitExceeded, epoch: int) -> Event:
        """Ends the training with the last weights within the limit on forgetting, whatever their score."""
        components = self.components
        components.evaluator.moved()
        components.best_weights.best = None
        components.state.ended = True
        return components.validation.epoch(epoch, exceeded.kept, f"step {exceeded.kept}, within the limit")

    def _keep_last(self, saver: Saver) -> None:
        """Lets the saver save the last weights later, although the best ones will be in the model then."""
        components, last = self.components, trained_weights(self.model, self.setup.frozen_params)

        def state_dict() -> StateDict:
            copy_into(dict(self.model.named_parameters()), last)
            return components.state_dict()

        saver.ended(components.state.step, state_dict)
        if self.plan.options.keep_state:
            saver.save(components.state.step, components.state_dict(complete=True))

    def _finish(self) -> Iterator[Event]:
        """Puts the best weights into the model, trains the router and reports."""
        components, best = self.components, self.components.best_weights
        assert best.best is not None
        assert best.chosen is not None
        self.model.load_state_dict(best.best.weights, strict=False)
        self.model.eval()
        yield Parts(self.proof.parts(self.freezing.weights, final=True), final=True)
        if best.chosen.step != components.state.step:  # else the vectors of the last evaluation are still valid
            components.evaluator.moved()
        source, evaluator = components.losses.vectors_of, components.evaluator
        heads = FittedHeads(self.plan, self.model, self.setup.roles, evaluator, source)
        for fitted in heads.fit():
            yield from self._logged(components, fitted)
        yield from heads.intervals()
        if self.setup.router.wanted:
            yield teach_router(self.model, self.setup.roles.labelled, self.plan.compute, self.plan.options.seed)
        if components.start_model:
            yield Forgetting(components.start_model.report(self.model, best.best.scores))
        yield Chosen(best.chosen, heads.with_bests(best.per_task(), best.chosen.step))
        if not components.state.ended:
            steps = self.schedule.steps if self.setup.lengthened else 0
            yield from self._logged(components, *components.validation.trends.events(self.plan.options.epochs, steps))
        yield from self._logged(components, best.not_measured)
        yield components.validation.rows_seen()
