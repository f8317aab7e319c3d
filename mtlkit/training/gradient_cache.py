"""Batches larger than memory allows, by gradient caching (Gao et al. 2021).

A batch is cut into micro-batches. The first pass computes their vectors and keeps nothing else. The loss of the whole batch gives
a gradient for each vector; the second pass computes each micro-batch once more, with the same dropout, and carries its gradient
on to the weights. Memory holds the activations of one micro-batch at a time, and the gradient is that of the whole batch.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mtlkit.data.batching import cut_by_tokens
from mtlkit.training.freezing.features import PartOfBatch, Vectors, WholeBackbone
from mtlkit.training.rng import Moment, RandomState
from mtlkit.training.sampling.mixture import MicroBatch


class Replayed(AbstractContextManager[None]):
    """Within it, the same random numbers are drawn as after `moment`. Can be entered again, as there is a backward pass for each
    task if gradients are compared."""

    def __init__(self, random: RandomState, moment: Moment) -> None:
        self.random, self.moment = random, moment
        self.stack = ExitStack()

    def __enter__(self) -> None:
        self.stack.enter_context(self.random.again(self.moment))

    def __exit__(self, *error: object) -> None:
        self.stack.close()


class GradientCache:
    """Computes the vectors of a batch by a backbone, in micro-batches of at most `tokens` tokens (but at least one text)."""

    def __init__(self, backbone: WholeBackbone, random: RandomState, tokens: int) -> None:
        self.backbone, self.random, self.tokens = backbone, random, tokens

    def __call__(self, piece: MicroBatch) -> Vectors:
        parts = self.backbone.parts(piece)
        if sum(part.batch.tokens for part in parts) <= self.tokens:
            return self.backbone(piece)
        vectors: Vectors = {}
        for part in parts:
            vectors |= part.spread(self._vectors(part))
        return vectors

    def _vectors(self, part: PartOfBatch) -> Tensor:
        """The vectors of the texts of a batch, (N, D), in its order, which is that of lengths."""
        encoded, rows = part.encoded, part.batch.rows
        batches = [encoded.batch(own) for own in cut_by_tokens(rows, encoded.lengths, self.tokens)]
        assert np.array_equal(np.concatenate([batch.rows for batch in batches]), rows)
        return torch.cat([self._encode(replace(part, batch=batch)) for batch in batches])

    def _encode(self, part: PartOfBatch) -> Tensor:
        """The vectors of a micro-batch. Its activations are computed again in the backward pass."""
        replayed = Replayed(self.random, self.random.now())

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), replayed

        batch = part.batch.to(self.backbone.device)
        vectors: Tensor = checkpoint(
            self.backbone.encode, [part], batch, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
        )
        return vectors
