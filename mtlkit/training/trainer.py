"""A training under way: step after step from wherever it stands, with all that it needs to go on later from there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.checkpointing import Saver
from mtlkit.training.continual.forgetting_limit import ForgettingLimit
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.events import Event, Note, Progress, Tracking
from mtlkit.training.freezing.apply import training_mode
from mtlkit.training.freezing.schedule import FreezeSchedule
from mtlkit.training.loop import DivergedStep, Step, train
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.mixture import Piece
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.spikes import skipped
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import TrainState, Updates


class Trainer:
    """Trains `model` by a timetable. Evaluations, the best weights and the log are the ledger's."""

    def __init__(
        self,
        model: MultiTaskModel,
        step_schedule: StepSchedule,
        losses: TaskLosses,
        balance: LossWeighting,
        metrics_log: MetricsLog,
        frozen: FreezeSchedule,
        options: TaskTrainingOptions,
        compute: Compute,
        *,
        lr_scales: Mapping[str, float],
        bound: ForgettingLimit | None,
        random: RandomState,
        saver: Saver | None,
    ) -> None:
        self.model, self.step_schedule, self.losses, self.balance, self.metrics_log = (
            model,
            step_schedule,
            losses,
            balance,
            metrics_log,
        )
        self.frozen, self.options, self.compute, self.lr_scales = frozen, options, compute, lr_scales
        self.bound, self.saver, self.stand = bound, saver, TrainState()
        self.lengths = {name: one.train.lengths for name, one in losses.objectives.items()}
        self.rate = LearningRate(options.learning_rate, step_schedule.full * options.epochs, options.warmup)
        self.decay = 0.0 if any(guard.replaces_decay for guard in losses.guards.values()) else options.weight_decay
        self.updates = Updates(
            model, self.decay, options.on_spike, compute, lr_scales, metrics_log.best_weights.frozen_params, random
        )
        self.tracker: GradientTracker[Piece] = GradientTracker(
            model, list(losses.objectives), losses, compute, options.track_every
        )

    def at(self, step: int) -> float:
        """The learning rate of a step."""
        return self.rate.at(self.step_schedule.position(step))

    def events(self) -> Iterator[Event]:
        """Trains to the end, or until there is a reason to stop. Raises DivergedStep, and Stopped after a signal."""
        if self.saver:
            self.saver.after(self.stand.step, self.snapshot)
        if self.stand.ended:
            return
        if self.step_schedule.left.keys() >= self.metrics_log.best_weights.objectives.keys():
            yield Note("every task had left the mix: nothing is trained", warning=True)
            return
        for step, progress in self._steps():
            yield from self._after(step, progress)
            if self.stand.ended:
                return
            training_mode(self.model, self.frozen.weights)
            if self.saver:
                self.saver.after(self.stand.step, self.snapshot)

    def _after(self, step: Step[Piece], progress: Progress) -> Iterator[Event]:
        done = step.index + 1
        self.metrics_log.add(step)
        self.metrics_log.evaluator.moved()
        if step.skipped:
            self.stand.skipped += 1
            yield skipped(done, step.spike, self.stand.skipped)
        yield progress
        yield from self.frozen.after(self.model, self.step_schedule.locate(done)[0], done)
        place, every = self.step_schedule.locate(done)[1], self.options.eval_every
        looks = every > 0 and done % every == 0
        if self.bound and (looks or self.bound.due(place)) and (reason := self.bound.broken(done)):
            yield from self._go_back(self.bound, reason, progress.epoch)
        elif place == 0:
            yield from self._epoch(progress.epoch, done)
        elif looks:
            yield self.metrics_log.look(progress.epoch, done)

    def _epoch(self, epoch: int, done: int) -> Iterator[Event]:
        """The end of an epoch, and what follows from it."""
        yield self.metrics_log.epoch(epoch, done)
        if summary := self.tracker.summary():
            self.metrics_log.note({"after_epoch": epoch, "tracking": summary.to_json()})
            yield Tracking(summary)
        best_weights, patience = self.metrics_log.best_weights, self.metrics_log.books.mixing.patience
        if self.options.patience and best_weights.worse == self.options.patience:
            yield Note(f"no better score in {best_weights.worse} epochs: stopped")
            self.stand.ended = True
            return
        if not patience or epoch == self.options.epochs:
            return
        tired = [name for name, waited in best_weights.each.items() if waited >= patience and name not in self.step_schedule.left]
        for name in tired:
            best = best_weights.tasks[name]
            self.step_schedule.left[name] = epoch
            yield Note(f"{name} had its best score, {best.rank}, in epoch {best.epoch}: it leaves the mix")
        self.tracker.without(self.step_schedule.left)
        if self.step_schedule.left.keys() >= best_weights.objectives.keys():
            yield Note("no task is left to train: stopped")
            self.stand.ended = True

    def _go_back(self, bound: ForgettingLimit, reason: str, epoch: int) -> Iterator[Event]:
        """The bound broke: the last weights within it stay, whatever their score."""
        place = f"those of step {bound.step}, the last within the bound" if bound.step else "those of the start: no step kept it"
        yield Note(f"{reason}: stopped; the weights kept are {place}", warning=True)
        copy_into(self.updates.weights, bound.kept)
        self.metrics_log.evaluator.moved()
        self.metrics_log.best_weights.best = None
        yield self.metrics_log.epoch(epoch, bound.step, f"step {bound.step}, within the bound")
        self.stand.ended = True

    def _steps(self) -> Iterator[tuple[Step[Piece], Progress]]:
        options, stand = self.options, self.stand
        training_mode(self.model, self.frozen.weights)
        begun = time.monotonic() - stand.seconds
        try:
            for step in train(
                self.model,
                self.step_schedule.work(stand.step),
                self.losses,
                self,
                weight_decay=self.decay,
                clip=options.clip,
                compute=self.compute,
                lr_scales=self.lr_scales,
                describe=self.losses.describe,
                balance=self.balance,
                takes=self.step_schedule.takes(stand.step),
                names_of=list,
                tracker=self.tracker,
                begun=self.updates.begun(stand.step),
            ):
                stand.seen += sum(int(self.lengths[name][rows].sum()) for piece in step.pieces for name, rows in piece.items())
                stand.step, stand.seconds = step.index + 1, time.monotonic() - begun
                epoch, total, epochs = self.step_schedule.locate(step.index)[0] + 1, self.step_schedule.steps, options.epochs
                yield step, Progress(stand.step, total, epoch, epochs, stand.seconds, stand.seen, step.losses, {})
        except DivergedStep:
            if self.saver and self.updates.stops:
                self.saver.save(stand.step, self.snapshot())
            raise

    def snapshot(self, *, complete: bool = False) -> StateDict:
        """All that `load` needs, between two steps; `complete`: after the last."""
        last = {task: {name: rows.tolist() for name, rows in piece.items()} for task, piece in self.tracker.pairs.last.items()}
        own = {
            "stand": vars(self.stand),
            "complete": complete,
            "left": self.step_schedule.left,
            "balance": self.balance.state(),
            "tracker": self.tracker.state(),
            "last": last,
        }
        parts = {
            "own": StateDict(plain=own),
            **self.updates.parts(),
            "ledger": self.metrics_log.state(),
            **({"bound": self.bound.state()} if self.bound else {}),
        }
        return StateDict.join(parts)

    def load(self, state: StateDict, *, extended: bool) -> None:
        """Goes on from there. Everything was made from the same start before. `extended`: past what had been its end."""
        own = state.part("own").plain
        self.stand = TrainState(**own["stand"])
        self.step_schedule.left = dict(own["left"])
        self.frozen.go_to(self.model, self.step_schedule.locate(self.stand.step)[0], self.stand.step)
        self.balance.load(own["balance"])
        last = {task: {name: np.array(rows, np.int64) for name, rows in piece.items()} for task, piece in own["last"].items()}
        self.tracker.load(own["tracker"], last)
        self.tracker.without(self.step_schedule.left)
        self.metrics_log.load(state.part("ledger"))
        if self.bound:
            self.bound.load(state.part("bound"))
        self.metrics_log.evaluator.moved()
        if extended:
            self.stand.ended, self.metrics_log.best_weights.worse = False, 0
        self.updates.load(state)
