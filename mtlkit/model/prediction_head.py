"""The head that predicts tokens from states: masked ones (Devlin et al. 2019), and the next ones of modern blocks. Its output
layer is the token embedding.

The head is kept in a file of its own, as only more of the same training needs it.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mtlkit.config.architecture import Architecture
from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError
from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.layers.products import linear
from mtlkit.runs import atomic as disk

PREDICTION_HEAD = "prediction_head.safetensors"
OLDER = "masked_head.safetensors"  # of heads for masked tokens, before there were others


class PredictionHead(nn.Module):
    """A linear layer, the activation of the encoder and LayerNorm before the output layer, which has a bias for each token. The
    layer and the norm have biases if the norms of the encoder do, unless `dense_bias` and `norm_bias` say otherwise."""

    def __init__(self, architecture: Architecture, *, dense_bias: bool | None = None, norm_bias: bool | None = None) -> None:
        super().__init__()
        usual = architecture.blocks.norm_bias
        self.dense = nn.Linear(architecture.dim, architecture.token_dim, usual if dense_bias is None else dense_bias)
        self.norm = nn.LayerNorm(architecture.token_dim, architecture.epsilon, bias=usual if norm_bias is None else norm_bias)
        self.bias = nn.Parameter(torch.zeros(architecture.vocab_size))
        self.activation = ACTIVATIONS[architecture.activation]
        nn.init.normal_(self.dense.weight, std=0.02)
        if self.dense.bias is not None:
            nn.init.zeros_(self.dense.bias)

    @torch.no_grad()
    def fit_scale(self, tokens_VD: Tensor) -> PredictionHead:
        """Scales the outputs so that logits have a deviation of about 1 with these token embeddings, however large they are."""
        self.norm.weight.fill_(1 / (math.sqrt(tokens_VD.shape[1]) * max(float(tokens_VD.square().mean().sqrt()), 1e-6)))
        return self

    def forward(self, states_MD: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.activation(linear(self.dense, states_MD)))
        return normed


def write_prediction_head(folder: Path, head: PredictionHead) -> None:
    """Writes the file. Raises OSError."""
    weights = {name: weight.detach().cpu().contiguous() for name, weight in head.state_dict().items()}
    disk.write(folder / PREDICTION_HEAD, save(weights))


def read_prediction_head(folder: Path, architecture: Architecture) -> PredictionHead | None:
    """The head of a base that predicts tokens with one; None if the folder has none. Raises IntegrityError."""
    path = next((folder / name for name in (PREDICTION_HEAD, OLDER) if (folder / name).exists()), None)
    if path is None:
        return None
    try:
        check_file(path)
        weights = load(path.read_bytes())
        head = PredictionHead(architecture, dense_bias="dense.bias" in weights, norm_bias="norm.bias" in weights)
        head.load_state_dict({"bias": head.bias.detach(), **weights})  # files of 0.1.0 have no bias
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}") from None
    except (SafetensorError, RuntimeError) as error:
        raise IntegrityError(f"{path}: damaged ({str(error).splitlines()[-1].strip()})") from None
    return head
