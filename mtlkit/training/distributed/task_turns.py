"""The turns of ranks in a training on tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mtlkit.batch import MULTIPLE
from mtlkit.data.batching import Rows, cut_by_tokens
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.model.encoder import Encoder
from mtlkit.training.distributed.draws import BACKBONE, Draws, SeededDraws, Sizes, SkippedDraws, can_skip
from mtlkit.training.distributed.gathering import Gathering, Rounds
from mtlkit.training.distributed.turns import SharedTurns, Turns
from mtlkit.training.objectives.base import Objective
from mtlkit.training.sampling.columns import BatchTexts
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import ModelUpdater

if TYPE_CHECKING:
    from mtlkit.training.components import TrainSetup


def make_turns(setup: TrainSetup, losses: TaskLosses, updater: ModelUpdater) -> Turns[MicroBatch]:
    """Which micro-batches of a step this process computes, and how it draws their random numbers."""
    plan, model, random = setup.plan, setup.model, updater.random
    if plan.ranks.size == 1:
        return Turns()
    draws: Draws[MicroBatch] = SeededDraws(random, plan.options.seed)
    if isinstance(model.backbone, Encoder) and can_skip(model, random):
        apart = any(task in model.adapters for task in setup.roles.mixed)
        sizes = MicroBatchSizes(setup.roles.mixed, apart=apart, limit=plan.options.micro_batch_tokens)
        draws = SkippedDraws(model, random, sizes, losses.alone)
    rounds: Rounds[MicroBatch] = Rounds()
    if compared := [name for name, objective in setup.roles.mixed.items() if objective.compares_texts]:
        rounds = losses.gathering = Gathering(plan.ranks, compared, model.vector_dim, plan.compute.device)
    return SharedTurns(plan.ranks, updater.weights, draws, rounds)


class MicroBatchSizes:
    """How many tokens pass through the backbone for a micro-batch, and how much each head reads.

    `apart`: the texts of each task pass through it on their own. `limit`: more tokens than these are cut, as by `GradientCache`.
    """

    def __init__(self, objectives: Mapping[str, Objective], *, apart: bool, limit: int | None) -> None:
        self.objectives, self.apart, self.limit = objectives, apart, limit
        self.texts = BatchTexts({name: objective.train for name, objective in objectives.items()})

    def __call__(self, piece: MicroBatch) -> Sizes:
        return {BACKBONE: sum(map(round_up, self._passes(piece))), **{name: self._inputs(name, piece[name]) for name in piece}}

    def _passes(self, piece: MicroBatch) -> list[int]:
        """The tokens of each pass through the backbone."""
        parts = [{name: rows} for name, rows in piece.items()] if self.apart else self.texts.together(piece)
        lengths = list(map(self._lengths, parts))
        total = sum(int(own.sum()) for own in lengths)
        if self.limit is not None and total > self.limit:
            return [int(own[cut].sum()) for own in lengths for cut in cut_by_tokens(np.arange(len(own)), own, self.limit)]
        return [int(own.sum()) for own in lengths] if self.apart else [total]

    def _lengths(self, tasks: MicroBatch) -> Rows:
        """The tokens of each text of tasks that share theirs, or of one task, in the order of a batch."""
        name, rows = next(iter(tasks.items()))
        if len(tasks) > 1:
            shared = self.texts.shared[name]
            return np.sort(shared.lengths[shared.texts_of(tasks)])
        examples = self.objectives[name].train
        return np.sort(examples.encoded.lengths[examples.texts_of(rows)])

    def _inputs(self, name: str, rows: Rows) -> int:
        examples = self.objectives[name].train
        pairs = isinstance(examples, LabelledTexts) and examples.pairs is not None
        return len(rows) if pairs else len(examples.encoded.vectors_of(examples.texts_of(rows)))


def round_up(tokens: int) -> int:
    """The tokens of a pass on a CPU, where `Batch.rounded` adds some."""
    return tokens + -tokens % MULTIPLE
