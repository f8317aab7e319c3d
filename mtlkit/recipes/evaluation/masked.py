"""How well a base predicts masked tokens of held-out text, with masks that are the same for every model of a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.data.masking import Masking
from mtlkit.errors import DataError
from mtlkit.evaluation.figures import ENDING, UNDEFINED
from mtlkit.evaluation.intervals import Interval, bootstrap_interval
from mtlkit.inference.compute import Compute
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.recipes.evaluation.perplexity import BATCH_WINDOWS, LEAST, HeldOutTexts, exp_of, finite_exp
from mtlkit.seeding import generator
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.objectives.language import placed
from mtlkit.training.pretraining import window_batch


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
    context = min(context, len(held_out.ids))
    starts = np.arange(0, len(held_out.ids) - context + 1, context)
    if not (~np.isin(held_out.ids, list(held_out.special))).any():
        raise DataError("the held-out texts are too short to measure masked tokens on; add text")
    parts = ranks.in_order(list(_scored(model, held_out.ids, starts, masking, context, compute, ranks)))
    windows, losses, right = (np.concatenate(values) for values in zip(*parts, strict=True))
    sizes, sums, hits = (np.bincount(windows, values, len(starts)) for values in (np.ones(len(windows)), losses, right))
    loss = float(losses.mean())
    figures = {"loss": loss, "perplexity": finite_exp(loss), "masked_accuracy": float(right.mean())}
    spans = {"loss": _interval(sums, sizes), "masked_accuracy": _interval(hits, sizes)}
    spans["perplexity"] = exp_of(spans["loss"])
    return {**figures, "tokens_scored": len(losses), **{f"{name}{ENDING}": span.to_json() for name, span in spans.items()}}


def _interval(sums: NDArray[Any], sizes: NDArray[Any]) -> Interval:
    """The 95 % interval of a mean, from its sum and size in each window."""
    if len(sizes) < LEAST:
        return UNDEFINED
    return bootstrap_interval(lambda counts: counts @ sums / (counts @ sizes), len(sizes), generator(0, "masked"))


def _scored(
    model: MaskedLanguageModel,
    ids: NDArray[np.unsignedinteger],
    starts: NDArray[np.int64],
    masking: Masking,
    context: int,
    compute: Compute,
    ranks: Ranks,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]]:
    """The window of each masked token, its loss, and whether it is predicted right, of the batches of this rank."""
    for first in range(ranks.rank * BATCH_WINDOWS, len(starts), ranks.size * BATCH_WINDOWS):
        group = starts[first : first + BATCH_WINDOWS]
        own = ids[(group[:, None] + np.arange(context)).ravel()].astype(np.int64)
        hidden, places = masking(own, generator(0, "held-out masks", first))
        batch, targets = window_batch(hidden, own[places], context, compute.device)
        where = placed(places, compute.device)
        assert where is not None
        with compute.autocast():
            losses, right = model.scored(batch, where, targets)
        yield first + places // context, losses.double().cpu().numpy(), right.cpu().numpy()
