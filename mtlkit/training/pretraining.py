"""Next-token training of a base: step after step from wherever it stands, with all that it needs to go on later from there."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.from_json import to_json
from mtlkit.config.training import PretrainOptions
from mtlkit.data.batching import WindowSampler
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss
from mtlkit.training.checkpointing import Saver
from mtlkit.training.events import Event, Progress
from mtlkit.training.loop import DivergedStep, Step, train
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.rng import RandomState
from mtlkit.training.spikes import skipped
from mtlkit.training.state_dict import StateDict
from mtlkit.training.train_state import TrainState, Updates


def window_batch(ids: NDArray[np.int64], targets: NDArray[np.int64], length: int, device: torch.device) -> tuple[Batch, Tensor]:
    """Windows of equal length as a batch, with the target of each token."""
    count = len(ids) // length
    return Batch.flat(ids, [length] * count, np.arange(count)).to(device), torch.from_numpy(targets).to(device)


@dataclass(frozen=True)
class TokenMicroBatch:
    """The work of one step: token ids and targets, (windows * length,)."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    epoch: int


class NextTokenTraining:
    """Trains a base on windows of text for `steps` steps (None: as many as its epochs have), and writes each to the log."""

    def __init__(self, model: Encoder, windows: WindowSampler, options: PretrainOptions, compute: Compute) -> None:
        self.model, self.windows, self.options, self.compute = model, windows, options, compute
        self.per_batch = max(1, options.batch_tokens // options.context)
        self.batch_tokens = self.per_batch * options.context
        each = math.ceil(len(windows) / self.per_batch)
        self.steps = options.epochs * each if options.tokens is None else max(1, options.tokens // self.batch_tokens)
        self.epochs = math.ceil(self.steps / each)
        random = RandomState(model, compute.device, options.seed)
        self.updates = Updates(model, options.weight_decay, options.on_spike, compute, random=random)
        self.reached = TrainState()

    def _work(self) -> Iterator[TokenMicroBatch]:
        """All of it from the first step on. A batch is cut when it is asked for."""
        epoch = 0
        while True:
            batches, shift = self.windows.epoch(epoch, self.options.seed, self.per_batch)
            for batch in batches:
                yield TokenMicroBatch(*self.windows.take(batch, shift), epoch)
            epoch += 1

    def _loss(self, pieces: TokenMicroBatch) -> dict[str, Tensor]:
        batch, targets = window_batch(pieces.ids, pieces.targets, self.options.context, self.compute.device)
        return {"next token": next_token_loss(self.model, batch, targets)}

    def events(self, log: TextIO, saver: Saver | None) -> Iterator[Event]:
        """Trains to the end. Raises DivergedStep, and StoppedError after a signal."""
        options, reached = self.options, self.reached
        self.model.train()
        begun = time.monotonic() - reached.seconds
        if saver:
            saver.after(reached.step, self.snapshot)
        try:
            for step in train(
                self.model,
                islice(self._work(), reached.step, self.steps),
                self._loss,
                LearningRate(options.learning_rate, self.steps, options.warmup),
                weight_decay=options.weight_decay,
                clip=options.clip,
                compute=self.compute,
                describe=lambda pieces: f"epoch {pieces.epoch + 1}",
                begun=self.updates.begun(reached.step),
            ):
                reached.step, reached.seen = step.index + 1, reached.seen + len(step.work.ids)
                reached.seconds = time.monotonic() - begun
                if step.skipped:
                    reached.skipped += 1
                    yield skipped(reached.step, step.spike, reached.skipped)
                yield self._progress(step, log)
                if saver:
                    saver.after(reached.step, self.snapshot)
        except DivergedStep:
            if saver and self.updates.stops:
                saver.save(reached.step, self.snapshot())
            raise

    def _progress(self, step: Step[TokenMicroBatch], log: TextIO) -> Progress:
        loss, reached = step.losses["next token"], self.reached
        figures = {
            "perplexity": math.exp(min(50.0, loss)),
            "learning rate": step.rate,
            "gradient norm": step.gradient_norm,
        }
        line = {"step": reached.step, "tokens": reached.seen, "loss": loss, **figures}
        print(to_json({**line, **({"skipped": True} if step.skipped else {})}), file=log)
        epoch = min(step.work.epoch + 1, self.epochs)  # shifted windows can be one fewer, so the last steps begin another pass
        return Progress(reached.step, self.steps, epoch, self.epochs, reached.seconds, reached.seen, step.losses, figures)

    def snapshot(self, *, complete: bool = False) -> StateDict:
        """All that `load` needs, between two steps; `complete`: after the last."""
        own = {"reached": vars(self.reached), "complete": complete}
        return StateDict.join({"own": StateDict(plain=own), **self.updates.parts()})

    def load(self, state: StateDict) -> None:
        """Goes on from there."""
        self.reached = TrainState(**state.part("own").plain["reached"])
        self.updates.load(state)
