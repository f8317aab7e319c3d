"""Token weights of the pooling `weighted`, in the format of the sentence-transformers module WordWeights.

Its `config.json` has `vocab`, the tokens in order of their ids, and `word_weights`, a factor per token. A token without an
entry uses that of its lowercase form, else `unknown_word_weight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.errors import IntegrityError
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.json_files import read_object


def word_weights(logarithms: Tensor, vocabulary: Sequence[str]) -> dict[str, Any]:
    """The module's configuration, from log weights (V,) and a name for each of the V ids; decimals are exact for float32."""
    weights = logarithms.detach().cpu().float().exp().tolist()
    entries = dict(zip(vocabulary, weights, strict=True))
    return {"vocab": list(vocabulary), "word_weights": entries, "unknown_word_weight": 1.0}


def read_word_weights(folder: Path, vocab_size: int) -> Tensor:
    """The log weights of a module, (V,); ids beyond its vocabulary (matrix padding) have weight 1.

    Raises IntegrityError for a weight without a logarithm.
    """
    path = folder / CONFIG
    config = read_object(path)
    try:
        vocabulary, entries, unknown = config["vocab"], config["word_weights"], config.get("unknown_word_weight", 1)
        raw = [entries.get(token, entries.get(token.lower(), unknown)) for token in vocabulary]
        if not all(isinstance(weight, (int, float)) for weight in raw):
            raise TypeError("a weight is not a number")
        weights = torch.tensor([float(weight) for weight in raw], dtype=torch.float64)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise IntegrityError(f"{path}: damaged ({error!r})") from None
    refused = (~((weights > 0) & weights.isfinite())).nonzero().flatten().tolist()
    if refused:
        token, weight = vocabulary[refused[0]], raw[refused[0]]
        raise IntegrityError(f"{path}: token {token!r} has the weight {weight}; only weights above 0 are supported")
    return functional.pad(weights.log().float(), (0, max(0, vocab_size - len(weights))))
