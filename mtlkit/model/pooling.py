"""From the states of a text's tokens to its vector."""

from __future__ import annotations

import torch
from torch import Tensor

from mtlkit.batch import Batch


def mean_pool(states_TD: Tensor, batch: Batch) -> Tensor:
    """Mean over each text's own tokens, BOS and EOS among them: (T, D) -> (N, D).

    This is what sentence-transformers' mean pooling computes under an attention mask: every real token counts once,
    padding never. A blank text is BOS and EOS alone, so its mean is finite.
    """
    parts = torch.split(states_TD, batch.sizes)
    means = [part.view(texts, length, -1).mean(1) for part, (texts, length) in zip(parts, batch.groups, strict=True)]
    return means[0] if len(means) == 1 else torch.cat(means)
