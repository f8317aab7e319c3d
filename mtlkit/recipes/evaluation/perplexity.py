"""How well a base predicts text that it has not seen: every token of it is scored once."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.data.cache import encode_cached
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError, IntegrityError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import token_losses
from mtlkit.training.pretraining import window_batch

AT_ONCE = 16  # windows
LARGEST_LOSS = math.log(sys.float_info.max)


@dataclass(frozen=True)
class HeldOutTexts:
    """Held-out texts and their tokens, one text after another, (T,); `special` are the ids of tokens that are not text."""

    texts: list[str]
    ids: NDArray[np.unsignedinteger]
    special: Collection[int]

    def __post_init__(self) -> None:
        if len(self.ids) < 3:
            raise DataError("the held-out texts are too short to measure perplexity on; add text")


def read_held_out(texts: list[str], encoder: TextEncoder) -> HeldOutTexts:
    """Texts as tokens. Raises DataError when they are too short to measure anything on."""
    special = {number for number, token in encoder.tokenizer.get_added_tokens_decoder().items() if token.special}
    return HeldOutTexts(texts, encode_cached(texts, encoder, whole=True).ids, special)


@torch.no_grad()
def perplexity(model: Encoder, held_out: HeldOutTexts, compute: Compute) -> dict[str, float]:
    """Loss in nats a token, perplexity a token, and bits per byte of UTF-8, which does not depend on the tokenizer.

    All tokens but the first are scored once, each with at least half a context before it where the text has that. The tokens
    that begin and end a text have no bytes, and the one after an end is certain, so the figures leave them out; those of
    `..._with_special` count them. Raises IntegrityError where the loss is not finite.
    """
    model.eval()
    losses = np.concatenate(list(_losses(model, held_out.ids, compute)))
    is_text = ~np.isin(held_out.ids[1:], list(held_out.special))
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in held_out.texts)
    if not is_text.any() or not size:
        raise DataError("the held-out texts are too short to measure perplexity on; add text")
    figures = _figures(losses[is_text], size)
    whole = {f"{name}_with_special": value for name, value in _figures(losses, size).items()}
    return {**figures, **whole, "tokens_scored": int(is_text.sum())}


def _figures(losses: NDArray[np.float64], size: int) -> dict[str, float]:
    total = float(losses.sum())
    loss = total / len(losses)
    if not loss < LARGEST_LOSS:
        raise IntegrityError(f"the loss on the held-out texts is {loss:.3g}, so there is no perplexity; the weights are damaged")
    return {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": total / math.log(2) / size}


def _losses(model: Encoder, ids: NDArray[np.unsignedinteger], compute: Compute) -> Iterator[NDArray[np.float64]]:
    """The loss of each token but the first, in their order."""
    context = min(model.architecture.max_length, len(ids) - 1)
    places = strides(len(ids) - 1, context)
    for first in range(0, len(places), AT_ONCE):
        some = places[first : first + AT_ONCE]
        inside = np.concatenate([np.arange(start, start + context) for start, _ in some])
        batch, targets = window_batch(ids[inside].astype(np.int64), ids[inside + 1].astype(np.int64), context, compute.device)
        with compute.autocast():
            found = token_losses(model, batch, targets).double().cpu().numpy().reshape(len(some), context)
        for row, (_, scored) in zip(found, some, strict=True):
            yield row[context - scored :]


def strides(targets: int, context: int) -> list[tuple[int, int]]:
    """Windows over so many targets: where each starts, and how many of its last targets it scores. The first one scores all of
    its own, the next ones half a context each, the last one what is left."""
    step = max(1, context // 2)
    windows = [(0, context)]
    done = context
    while done < targets:
        scored = min(step, targets - done)
        done += scored
        windows.append((done - context, scored))
    return windows
