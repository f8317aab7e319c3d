"""Perplexity: how well a base predicts held-out text, with every token scored once."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.config.commands.pretrain import Packing
from mtlkit.data.batching import Rows, cut_by_tokens
from mtlkit.data.cache import encode_cached
from mtlkit.data.encoded import ranges
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError, IntegrityError
from mtlkit.evaluation.figures import ENDING, UNDEFINED
from mtlkit.evaluation.intervals import Interval, bootstrap_interval
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import token_losses
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.seeding import generator
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.pretraining import pieces_batch

BATCH_WINDOWS = 16
LEAST = 20  # texts or windows: with fewer, an interval would be too narrow
LARGEST_LOSS = math.log(sys.float_info.max)


@dataclass(frozen=True)
class HeldOutTexts:
    """Held-out texts and their concatenated token ids, (T,). `special` are the ids of tokens that are not text.

    `offsets`, (N + 1,), are where texts begin, if each is predicted on its own; None if all are one stream.
    """

    texts: list[str]
    ids: NDArray[np.unsignedinteger]
    special: Collection[int]
    offsets: Rows | None = None

    @property
    def bounds(self) -> Rows:
        """Where each sequence of tokens begins that is predicted on its own, and where the last one ends."""
        return np.array([0, len(self.ids)]) if self.offsets is None else self.offsets

    def __post_init__(self) -> None:
        if len(self.ids) < 3:
            raise DataError("the held-out texts are too short to measure perplexity on; add text")


def read_held_out(texts: list[str], encoder: TextEncoder, packing: Packing = "stream") -> HeldOutTexts:
    """Tokenizes held-out texts. They are predicted as a base with this `packing` has seen texts. Raises DataError if they are too
    short."""
    special = {number for number, token in encoder.tokenizer.get_added_tokens_decoder().items() if token.special}
    encoded = encode_cached(texts, encoder, whole=True)
    return HeldOutTexts(texts, encoded.ids, special, encoded.offsets if packing == "documents" else None)


@torch.no_grad()
def perplexity(
    model: Encoder, held_out: HeldOutTexts, compute: Compute, ranks: Ranks = ALONE, head: PredictionHead | None = None
) -> dict[str, Any]:
    """Loss in nats per token, perplexity per token, and bits per byte of UTF-8, which do not depend on the tokenizer.

    All tokens but the first are scored once, each with at least half a context before it if there is as much text. Tokens that
    begin or end a text are only counted in the figures `..._with_special`, as they have no bytes and are often certain. Where
    each text is predicted on its own, its first token counts as certain if it is such a token, else as one of all. Intervals
    are by bootstrap over texts, or over windows if there are few; None if these are few, too. Raises DataError if the texts are
    too short, IntegrityError if the loss is not finite. Several processes, `ranks`, compute a part of the losses each.
    """
    model.eval()
    losses = _losses(model, held_out, compute, ranks, head)
    is_text = ~np.isin(held_out.ids[1:], list(held_out.special))
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in held_out.texts)
    if not is_text.any() or not size:
        raise DataError("the held-out texts are too short to measure perplexity on; add text")
    figures = _figures(losses[is_text], size)
    whole = {f"{name}_with_special": value for name, value in _figures(losses, size).items()}
    interval = loss_interval(losses, is_text, model.architecture.max_length)
    ends = {"loss": interval.to_json(), "perplexity": exp_of(interval).to_json()}
    intervals = {f"{name}{ENDING}": values for name, values in ends.items()}
    return {**figures, **whole, "tokens_scored": int(is_text.sum()), **intervals}


def loss_interval(losses: NDArray[np.float64], is_text: NDArray[np.bool_], window: int) -> Interval:
    """The 95 % interval of the mean loss of those of T tokens that are text; others separate the texts. Losses within a text are
    alike, so that whole texts are drawn, or windows of tokens where there are fewer than LEAST texts."""
    texts = np.unique(np.cumsum(~is_text)[is_text], return_inverse=True)[1]
    units = texts if texts[-1] + 1 >= LEAST else np.arange(len(texts)) // window
    sizes = np.bincount(units).astype(np.float64)
    if len(sizes) < LEAST:
        return UNDEFINED
    sums = np.bincount(units, losses[is_text])
    return bootstrap_interval(lambda counts: counts @ sums / (counts @ sizes), len(sizes), generator(0, "perplexity"))


def exp_of(interval: Interval) -> Interval:
    return Interval(*(math.exp(min(end, LARGEST_LOSS)) for end in interval.ends))


def _figures(losses: NDArray[np.float64], size: int) -> dict[str, float]:
    total = float(losses.sum())
    loss = total / len(losses)
    return {"loss": loss, "perplexity": finite_exp(loss), "bits_per_byte": total / math.log(2) / size}


def finite_exp(loss: float) -> float:
    """The perplexity of a mean loss. Raises IntegrityError if there is none."""
    if not loss < LARGEST_LOSS:
        raise IntegrityError(f"the loss on the held-out texts is {loss:.3g}, so there is no perplexity; the weights are damaged")
    return math.exp(loss)


def _losses(
    model: Encoder, held_out: HeldOutTexts, compute: Compute, ranks: Ranks, head: PredictionHead | None
) -> NDArray[np.float64]:
    """The losses of all tokens but the first, in order."""
    ids, bounds, longest = held_out.ids, held_out.bounds, model.architecture.max_length
    windows = np.array(
        [
            (begin + start, min(longest, end - begin - 1), scored)
            for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
            for start, scored in (strides(end - begin - 1, min(longest, end - begin - 1)) if end - begin > 1 else ())
        ],
        np.int64,
    ).reshape(-1, 3)
    starts, lengths, scored = windows[np.argsort(windows[:, 1], kind="stable")].T
    losses = np.full(len(ids), math.log(model.architecture.vocab_size))
    losses[bounds[:-1][np.isin(ids[bounds[:-1]], list(held_out.special))]] = 0.0
    batches = cut_by_tokens(np.arange(len(starts)), lengths, BATCH_WINDOWS * longest)
    own = []
    for batch in [batch for number, batch in enumerate(batches) if ranks.owns(number)]:
        inside = ranges(starts[batch], lengths[batch])
        texts, targets = pieces_batch(
            ids[inside].astype(np.int64), ids[inside + 1].astype(np.int64), lengths[batch].tolist(), compute.device
        )
        with compute.autocast():
            found = token_losses(model, texts, targets, head).double().cpu().numpy()
        ends = np.cumsum(lengths[batch])
        own.append(found[ranges(ends - scored[batch], scored[batch])])
    targets_of = ranges(starts + lengths - scored + 1, scored)
    losses[targets_of] = np.concatenate(ranks.in_order(own))
    return losses[1:]


def strides(targets: int, context: int) -> list[tuple[int, int]]:
    """Overlapping windows over `targets` targets: the start of each, and how many of its last targets it scores. The first window
    scores all of its targets, the others half a context each, the last one the remaining targets.
    """
    step = max(1, context // 2)
    windows = [(0, context)]
    done = context
    while done < targets:
        scored = min(step, targets - done)
        done += scored
        windows.append((done - context, scored))
    return windows
