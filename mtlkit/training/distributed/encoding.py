"""Encodes texts in all processes of a training: each takes every so manieth batch, and then all have the vectors of all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import batches_of, encode_all, encode_hidden_states
from mtlkit.inference.engines.fast import SupportsEncode
from mtlkit.training.distributed.ranks import Ranks


def encode_shared(model: SupportsEncode, encoded: Encoded, compute: Compute, ranks: Ranks) -> Tensor:
    """Like `encode_all`, bit for bit: the batches are the same."""
    own = encode_all(model, encoded, compute, part=slice(ranks.rank, None, ranks.size))
    return _exchanged(own, encoded.vectors_of, encoded, compute, ranks)


def encode_hidden_states_shared(model: SupportsEncode, encoded: Encoded, compute: Compute, depth: int, ranks: Ranks) -> Tensor:
    """Like `encode_hidden_states`, bit for bit."""
    own = encode_hidden_states(model, encoded, compute, depth, part=slice(ranks.rank, None, ranks.size))
    return _exchanged(own, encoded.places, encoded, compute, ranks)


def _exchanged(outputs: Tensor, rows_of: Callable[[Rows], Rows], encoded: Encoded, compute: Compute, ranks: Ranks) -> Tensor:
    """Fills in the outputs of the texts that other ranks have encoded; `rows_of` gives the rows of texts among the outputs."""
    if ranks.size == 1 or not len(encoded):
        return outputs
    batches = batches_of(encoded, compute)
    rows = [[rows_of(texts) for texts in batches[rank :: ranks.size]] for rank in range(ranks.size)]
    places = [torch.from_numpy(np.concatenate([np.empty(0, np.int64), *own])).to(outputs.device) for own in rows]
    for where, values in zip(places, ranks.rows_of_all(outputs[places[ranks.rank]], list(map(len, places))), strict=True):
        outputs[where] = values
    return outputs
