"""How well a base predicts masked tokens of held-out text, with masks that are the same for every model of a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.data.encoded import ranges
from mtlkit.data.masking import Masking
from mtlkit.data.windows import Pieces
from mtlkit.errors import DataError
from mtlkit.evaluation.figures import ENDING, UNDEFINED
from mtlkit.evaluation.intervals import Interval, bootstrap_interval
from mtlkit.inference.compute import Compute
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.recipes.evaluation.perplexity import BATCH_WINDOWS, LEAST, HeldOutTexts, exp_of, finite_exp
from mtlkit.seeding import generator
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.objectives.language import placed
from mtlkit.training.pretraining import pieces_batch


@torch.no_grad()
def masked_perplexity(
    model: MaskedLanguageModel,
    held_out: HeldOutTexts,
    masking: Masking,
    context: int,
    compute: Compute,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Loss in nats per masked token, its exponential, and the share of masked tokens that are predicted right. Intervals are by
    bootstrap over windows; None if there are few. Raises DataError for texts that are too short, IntegrityError if the loss is
    not finite. Several processes, `ranks`, compute a part each.
    """
    model.eval()
    pieces = _pieces(held_out, context)
    if not (~np.isin(held_out.ids, list(held_out.special))).any():
        raise DataError("the held-out texts are too short to measure masked tokens on; add text")
    parts = ranks.in_order(list(_scored(model, held_out.ids, pieces, masking, compute, ranks)))
    windows, losses, right = (np.concatenate(values) for values in zip(*parts, strict=True))
    sizes, sums, hits = (np.bincount(windows, values, len(pieces.starts)) for values in (np.ones(len(windows)), losses, right))
    loss = float(losses.mean())
    figures = {"loss": loss, "perplexity": finite_exp(loss), "masked_accuracy": float(right.mean())}
    spans = {"loss": _interval(sums, sizes), "masked_accuracy": _interval(hits, sizes)}
    spans["perplexity"] = exp_of(spans["loss"])
    return {**figures, "tokens_scored": len(losses), **{f"{name}{ENDING}": span.to_json() for name, span in spans.items()}}


def _pieces(held_out: HeldOutTexts, context: int) -> Pieces:
    """What the tokens are predicted in: windows of the stream, or each text, in parts if it is longer than the context."""
    if held_out.offsets is None:
        context = min(context, len(held_out.ids))
        starts = np.arange(0, len(held_out.ids) - context + 1, context)
        return Pieces(starts, np.full(len(starts), context))
    sizes = np.diff(held_out.offsets)
    counts = -(-sizes // context)
    numbers = ranges(np.zeros_like(counts), counts)  # of a part in its text
    starts = np.repeat(held_out.offsets[:-1], counts) + numbers * context
    return Pieces(starts, np.minimum(context, np.repeat(held_out.offsets[1:], counts) - starts))


def _interval(sums: NDArray[Any], sizes: NDArray[Any]) -> Interval:
    """The 95 % interval of a mean, from its sum and size in each window."""
    if len(sizes) < LEAST:
        return UNDEFINED
    return bootstrap_interval(lambda counts: counts @ sums / (counts @ sizes), len(sizes), generator(0, "masked"))


def _scored(
    model: MaskedLanguageModel,
    ids: NDArray[np.unsignedinteger],
    pieces: Pieces,
    masking: Masking,
    compute: Compute,
    ranks: Ranks,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """The window of each masked token, its loss, and whether it is predicted right, of the batches of this rank."""
    for first in range(ranks.rank * BATCH_WINDOWS, len(pieces.starts), ranks.size * BATCH_WINDOWS):
        group = pieces.between(first, first + BATCH_WINDOWS)
        own = ids[ranges(group.starts, group.lengths)].astype(np.int64)
        hidden, places = masking(own, generator(0, "held-out masks", first))
        batch, targets = pieces_batch(hidden, own[places], group.lengths.tolist(), compute.device)
        where = placed(places, compute.device)
        assert where is not None
        with compute.autocast():
            losses, right = model.scored(batch, where, targets)
        own_piece = np.searchsorted(np.cumsum(group.lengths), places, side="right")
        yield first + own_piece, losses.double().cpu().numpy(), right.cpu().numpy()
