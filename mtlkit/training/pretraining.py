"""The trainer of `pretrain`. Like `Trainer`, it can be saved and resumed between two steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.windows import Pieces, TokenSampler
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import recompute_blocks
from mtlkit.training.checkpointing import Saver
from mtlkit.training.distributed.language_turns import language_turns
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.events import Epoch, Event, Progress, TaskState
from mtlkit.training.finishing import MaskedFinish, TwoRates
from mtlkit.training.incidents import PhaseEnded, StepSkipped
from mtlkit.training.loop import DivergedStep, Step, train
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.language import LanguageObjective, placed
from mtlkit.training.optimizer import LearningRate, RateSchedule, ScheduledOptimizer
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.steps import group_sizes, groups
from mtlkit.training.state_dict import StateDict, upgraded
from mtlkit.training.train_state import ModelUpdater, TrainState


def window_batch(ids: NDArray[np.int64], targets: NDArray[np.int64], length: int, device: torch.device) -> tuple[Batch, Tensor]:
    """Windows of equal length as a batch, and the target of each token: both from (N * length,) ids, on the device."""
    return pieces_batch(ids, targets, [length] * (len(ids) // length), device)


def pieces_batch(
    ids: NDArray[np.int64], targets: NDArray[np.int64], lengths: Sequence[int], device: torch.device
) -> tuple[Batch, Tensor]:
    """Pieces of text as a batch, from their T tokens and their lengths, (N,), and the targets, on the device."""
    batch = Batch.flat(ids, lengths, np.arange(len(lengths)))
    return batch.to(device), torch.from_numpy(targets).to(device)


@dataclass(frozen=True)
class TokenMicroBatch:
    """Token ids of a step, (T,), from pieces of text of these lengths, (N,), in an epoch (from 0); the targets, (M,), and their
    places, (M,), None for targets of all tokens."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    epoch: int
    lengths: list[int]
    places: NDArray[np.int64] | None = None


class Pretraining:
    """Trains a base on batches of text, for `--epochs` or `--tokens`. `steps` is the total number of optimizer steps, each of
    `step_tokens` tokens, and `ranks` are the processes that train together. The steps from `turn` on are those of `finish`, the
    last phase, if there is one."""

    def __init__(
        self,
        objective: LanguageObjective,
        sampler: TokenSampler,
        options: PretrainOptions,
        compute: Compute,
        ranks: Ranks = ALONE,
        finish: MaskedFinish | None = None,
    ) -> None:
        self.objective, self.sampler, self.options, self.compute = objective, sampler, options, compute
        self.finish = finish
        model = self.model = objective.model if finish is None else finish.model
        self.per_batch = max(1, options.batch_tokens // sampler.length)
        self.step_tokens = self.per_batch * sampler.length * options.batches_per_step
        steps_per_epoch = math.ceil(sampler.batches(self.per_batch) / options.batches_per_step)
        self.steps = options.passes * steps_per_epoch if options.tokens is None else max(1, options.tokens // self.step_tokens)
        self.epochs = math.ceil(self.steps / steps_per_epoch)
        self.turn = self.steps if finish is None else self.steps - finish.steps_of(self.steps)
        recompute_blocks(model, options.recompute)
        random = RandomState(model, compute.device, options.seed)
        rate: RateSchedule = LearningRate(options.peak_rate, self.turn, options.warmup)
        if finish:
            rate = TwoRates(rate, LearningRate(options.peak_rate, self.steps - self.turn, options.warmup), self.turn)
        weights = dict(model.named_parameters())
        optimizer = ScheduledOptimizer(
            weights,
            rate,
            weight_decay=options.weight_decay,
            clip=options.clip,
            muon=options.muon,
            thaw_steps=1,  # as the last phase has a warm-up
        )
        self.updater = ModelUpdater(model, optimizer, compute, random=random, on_spike=options.on_spike)
        self.turns = language_turns(ranks, self.updater, model, self._loss, options.seed)
        self.state = TrainState()

    def _micro_batches(self, first: int) -> Iterator[tuple[TokenMicroBatch, ...]]:
        """The micro-batches of each step, from step `first` on, without end. Batches are built lazily."""
        epoch = step = 0
        while True:
            batches = self.sampler.epoch(epoch, self.options.seed, self.per_batch)
            for group in groups(enumerate(batches), group_sizes(len(batches), self.options.batches_per_step)):
                if step >= first:
                    yield tuple(self._micro_batch(pieces, epoch, number) for number, pieces in group)
                step += 1
            epoch += 1

    def _micro_batch(self, pieces: Pieces, epoch: int, number: int) -> TokenMicroBatch:
        inputs, targets, places = self.objective.inputs(*self.sampler.take(pieces), epoch, number)
        return TokenMicroBatch(inputs, targets, epoch, pieces.lengths.tolist(), places)

    def _loss(self, batch: TokenMicroBatch) -> dict[str, Tensor]:
        device = self.compute.device
        tokens, targets = pieces_batch(batch.ids, batch.targets, batch.lengths, device)
        return {self.objective.name: self.objective.loss(tokens, targets, placed(batch.places, device))}

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Trains to the end. Raises DivergedStep, and StoppedError after a signal."""
        state = self.state
        self.log = MetricsLog(log)
        self.model.train()
        started = time.monotonic() - state.seconds
        if saver:
            saver.after(state.step, self.state_dict)
        if state.step < self.turn:
            yield from self._train(self.turn, started, saver)
        if self.finish:
            yield from self._begin_finish(self.finish)
            yield from self._train(self.steps, started, saver)

    def _begin_finish(self, finish: MaskedFinish) -> Iterator[Event]:
        """Measures what the first phase has reached, unless a resumed training has done so, and turns to the last phase."""
        if finish.metrics is None:
            finish.metrics = finish.measure()
            self.evaluated(finish.metrics)
            self.model.train()
            ended = PhaseEnded(self.objective.name, finish.objective.name, self.steps - self.turn, finish.metrics)
            self.log.event(ended, self.state.step)
            yield ended
        finish.begin(self.sampler.ids, first=self.state.step == self.turn)
        self.objective = finish.objective

    def _train(self, end: int, started: float, saver: Saver | None) -> Iterator[Event]:
        """Trains up to a step."""
        state = self.state
        steps = islice(self._micro_batches(state.step), end - state.step)
        try:
            for step in train(steps, self._loss, self.updater, first=state.step, describe=_epoch_of, turns=self.turns):
                tokens = sum(len(piece.ids) for piece in step.pieces)
                state.add(tokens=tokens, seconds=time.monotonic() - started, skipped=step.skipped)
                yield self._progress(step)
                if step.skipped:
                    skip = StepSkipped(state.step, step.spike, state.skipped)
                    self.log.event(skip, state.step)
                    yield skip
                if saver:
                    saver.after(state.step, self.state_dict)
        except DivergedStep:
            if saver and self.updater.stops_on_spike:
                saver.save(state.step, self.state_dict())
            raise

    def _progress(self, step: Step[TokenMicroBatch]) -> Progress:
        """Logs a step and returns its event."""
        (loss,), state = step.losses.values(), self.state
        figures = {"perplexity": math.exp(min(50.0, loss)), **step.figures}
        epoch = min(
            step.pieces[0].epoch + 1, self.epochs
        )  # shifted windows can be one fewer, so the last steps may be in another pass
        self.log.step(step, state, epoch)
        return Progress(state.step, self.steps, epoch, self.epochs, state.seconds, state.seen, step.losses, figures)

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Logs the metrics of the trained base on held-out texts."""
        task = TaskState(self.objective.name, "language-model", None, dict(metrics), 0, 0, watched=False)
        self.log.evaluation(Epoch(self.epochs, self.epochs, (task,), None, best=True, step=self.state.step), ends=False)

    def state_dict(self, *, complete: bool = False) -> StateDict:
        """The state for `resume`, between two steps. `complete`: after the last one."""
        parts = {"trainer": self.state.state_dict(complete=complete), "updater": self.updater.state_dict()}
        if self.finish:
            parts["finish"] = StateDict(plain={"metrics": self.finish.metrics})
        return StateDict.join(parts)

    def resume(self, state: StateDict) -> None:
        """Continues from a saved state."""
        state = upgraded(state)
        self.state.load_state_dict(state.part("trainer"))
        self.updater.load_state_dict(state.part("updater"))
        if self.finish:
            self.finish.metrics = state.part("finish").plain["metrics"]


def _epoch_of(batch: TokenMicroBatch) -> str:
    return f"epoch {batch.epoch + 1}"
