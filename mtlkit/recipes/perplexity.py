"""How well a base predicts text that it has not seen."""

from __future__ import annotations

import math
import sys

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.data.batching import Windows
from mtlkit.errors import DataError, IntegrityError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss
from mtlkit.training.next_token import window_batch

AT_ONCE = 16  # windows
LARGEST_LOSS = math.log(sys.float_info.max)


def held_out_windows(ids: NDArray[np.unsignedinteger], context: int) -> Windows:
    """The packed held-out text in windows of the context, or one shorter window. Raises DataError when it is too short."""
    if len(ids) < 3:
        raise DataError("the held-out texts are too short to measure perplexity on; add text")
    return Windows(ids, min(context, len(ids) - 1))


@torch.no_grad()
def perplexity(model: Encoder, windows: Windows, texts: list[str], compute: Compute) -> dict[str, float]:
    """Mean loss in nats a token, perplexity a token, and bits per byte of UTF-8, which does not depend on the tokenizer.
    Raises IntegrityError where the loss is not finite."""
    model.eval()
    total, count = 0.0, 0
    for start in range(0, len(windows), AT_ONCE):
        ids, targets = windows.take(np.arange(start, min(start + AT_ONCE, len(windows))))
        batch, wanted = window_batch(ids, targets, windows.length, compute.device)
        with compute.autocast():
            total += next_token_loss(model, batch, wanted).item() * len(wanted)
        count += len(wanted)
    loss = total / count
    if not loss < LARGEST_LOSS:
        raise IntegrityError(f"the loss on the held-out texts is {loss:.3g}, so there is no perplexity; the weights are damaged")
    bytes_per_token = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) / len(windows.ids)
    return {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": loss / math.log(2) / bytes_per_token}
