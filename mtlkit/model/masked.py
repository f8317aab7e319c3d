"""Masked-token prediction (Devlin et al. 2019): a head on the states of masked tokens, whose output layer is the token embedding.

The head is kept in a file of its own, as only more of the same training needs it.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError
from mtlkit.model.encoder import Encoder
from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.language import TiedCrossEntropy
from mtlkit.runs import atomic as disk

MASKED_HEAD = "masked_head.safetensors"


class MaskedHead(nn.Module):
    """A linear layer, the activation of the encoder and LayerNorm before the output layer, which has a bias for each token."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.dense = nn.Linear(architecture.dim, architecture.token_dim)
        self.norm = nn.LayerNorm(architecture.token_dim, architecture.epsilon)
        self.bias = nn.Parameter(torch.zeros(architecture.vocab_size))
        self.activation = ACTIVATIONS[architecture.activation]
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)

    @torch.no_grad()
    def fit_scale(self, tokens_VD: Tensor) -> MaskedHead:
        """Scales the outputs so that logits have a deviation of about 1 with these token embeddings, however large they are."""
        self.norm.weight.fill_(1 / (math.sqrt(tokens_VD.shape[1]) * max(float(tokens_VD.square().mean().sqrt()), 1e-6)))
        return self

    def forward(self, states_MD: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.activation(self.dense(states_MD)))
        return normed


class MaskedLanguageModel(nn.Module):
    """An encoder with the head that predicts masked tokens. Its dropout is that of the encoder."""

    def __init__(self, encoder: Encoder, head: MaskedHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def loss(self, batch: Batch, places_M: Tensor, targets_M: Tensor) -> Tensor:
        """Mean loss in nats of predicting the tokens `targets_M` at M places of the batch."""
        outputs_MD = self.head(self.encoder(batch)[places_M])
        weights = self.encoder.tokens.weight
        loss: Tensor = TiedCrossEntropy.apply(outputs_MD, weights, targets_M, self.head.bias)  # type: ignore[no-untyped-call]
        return loss

    @torch.no_grad()
    def scored(self, batch: Batch, places_M: Tensor, targets_M: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each target in nats, and whether it is the most probable token, (M,) each."""
        outputs_MD = self.head(self.encoder(batch)[places_M])
        logits_MV = functional.linear(outputs_MD, self.encoder.tokens.weight.to(outputs_MD.dtype)).float() + self.head.bias
        return functional.cross_entropy(logits_MV, targets_M, reduction="none"), logits_MV.argmax(1) == targets_M


def write_masked_head(folder: Path, head: MaskedHead) -> None:
    """Writes the file. Raises OSError."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in head.state_dict().items()}
    disk.write(folder / MASKED_HEAD, save(weights))


def read_masked_head(folder: Path, architecture: Architecture) -> MaskedHead | None:
    """The head of a base that predicts masked tokens; None if the folder has none. Raises IntegrityError."""
    path = folder / MASKED_HEAD
    if not path.exists():
        return None
    head = MaskedHead(architecture)
    try:
        check_file(path)
        head.load_state_dict({"bias": head.bias.detach(), **load(path.read_bytes())})  # files of 0.1.0 have no bias
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}") from None
    except (SafetensorError, RuntimeError) as error:
        raise IntegrityError(f"{path}: damaged ({str(error).splitlines()[-1].strip()})") from None
    return head
