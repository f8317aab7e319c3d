"""Compares the predictions of transformers for an exported base with those of mtlkit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mtlkit.errors import IntegrityError, UsageError, listed, shorten
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop.silence import silence
from mtlkit.model.language import token_logits
from mtlkit.recipes.exporting.verify import Outputs
from mtlkit.training.pretraining import window_batch

LOSS, LOGITS = "loss", "logits"  # per text: mean loss in nats of its tokens and its end; logits at its last token


@torch.no_grad()
def base_outputs(weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Losses and logits of the base: {"loss": (N,), "logits": (N, vocabulary)}."""
    encoder, causal, outputs = own_encoder(weights.model.backbone), _is_causal(weights), []
    for ids in _token_ids(weights, texts):
        read, targets = _split(ids, causal=causal)
        batch, wanted = window_batch(read, targets, len(read), torch.device("cpu"))
        logits = token_logits(encoder, batch, weights.head)
        outputs.append((functional.cross_entropy(logits, wanted), logits[-1]))
    return _outputs(outputs)


@torch.no_grad()
def transformers_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """The same by transformers. Raises IntegrityError if it cannot load the folder or tokenizes a prompt differently from
    pretraining, UsageError if it cannot be imported."""
    try:
        with silence():
            from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer
    except Exception as error:
        raise UsageError(
            f"transformers, which checks the export, cannot be imported ({error}); reinstall it, or uninstall it"
        ) from error
    causal, outputs = _is_causal(weights), []
    try:
        with silence():
            auto: Any = AutoModelForCausalLM if causal else AutoModelForMaskedLM
            model = auto.from_pretrained(folder, local_files_only=True).float().eval()
            prompts = AutoTokenizer.from_pretrained(folder, local_files_only=True)(list(texts))["input_ids"]
            for text, prompt, ids in zip(texts, prompts, _token_ids(weights, texts), strict=True):
                read, targets = _split(ids, causal=causal)
                if prompt != (ours := read.tolist()):
                    tokens = f"tokens {listed(map(str, prompt), 8)}, not {listed(map(str, ours), 8)}"
                    raise IntegrityError(f"transformers reads the prompt {shorten(text)!r} as {tokens}; nothing was written")
                logits = model(torch.from_numpy(read)[None]).logits[0]
                outputs.append((functional.cross_entropy(logits, torch.from_numpy(targets)), logits[-1]))
    except IntegrityError:
        raise
    except Exception as error:  # whatever its class, the export cannot be used
        raise IntegrityError(f"transformers cannot load the export ({error})") from error
    return _outputs(outputs)


def _is_causal(weights: LoadedWeights) -> bool:
    return weights.checkpoint.architecture.attention == "causal"


def _split(ids: NDArray[np.int64], *, causal: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the base reads of a text, and what it predicts there: the next tokens, or those that it reads."""
    return (ids[:-1], ids[1:]) if causal else (ids, ids)


def _token_ids(weights: LoadedWeights, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """The tokens of each text, BOS and EOS included. A base for masked tokens reads special tokens as such."""
    encoder = weights.encoder if _is_causal(weights) else weights.encoder.with_literal(False)
    encoded = encoder.encode(texts)
    return np.split(encoded.ids.astype(np.int64), encoded.offsets[1:-1])


def _outputs(outputs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> Outputs:
    """Stacks the loss and the logits of each text."""
    losses, logits = (torch.stack(values).numpy() for values in zip(*outputs, strict=True))
    return {LOSS: losses, LOGITS: logits}
