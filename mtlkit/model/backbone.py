"""What everything above a backbone uses of it: the states of tokens, and what heads read of them.

Shapes: T tokens of all texts, N texts, W words, D width, V width of a vector: D unless pooling or dense layers change it.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.pooling import WEIGHTED, pooling_modes
from mtlkit.model.layers.pooling import make_layer, pool, weighted_mean
from mtlkit.model.layouts import TokenLayout


class Backbone(nn.Module):
    """A model that turns texts into vectors: mtlkit's own `Encoder`, or one of transformers (`AutoBackbone`).

    `blocks` are its layers, `norm` is everything between them and the pooling, and `dense` are layers after it. The names of
    weights begin with those of the modules, by which `--freeze` and learning rates refer to them (`model/weight_names.py`).
    """

    architecture: Architecture
    blocks: nn.ModuleList
    norm: nn.Module
    dense: nn.ModuleList
    token_weights: nn.Parameter  # logarithms, so that weights are positive; only with pooling `weighted`

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """One vector per text, (N, V); of a batch with words, what `read` gives."""

    @abstractmethod
    def embeddings(self) -> nn.Module:
        """Everything below the blocks."""

    def train_types(self) -> None:
        """Makes the weights of the second token type train, which only pairs of texts in one sequence have."""

    def add_pooling(self) -> None:
        """Creates the layers after the pooling."""
        architecture = self.architecture
        widths = [architecture.pooled_dim, *(shape.width for shape in architecture.dense)]
        self.dense = nn.ModuleList(make_layer(inputs, shape) for inputs, shape in zip(widths, architecture.dense, strict=False))
        if architecture.pooling == WEIGHTED:
            self.token_weights = nn.Parameter(torch.zeros(architecture.vocab_size))

    def pooling(self) -> nn.Module:
        """Everything between the blocks and the vectors that is a module."""
        return nn.ModuleList([self.norm, self.dense])

    def read(self, batch: Batch, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        """What heads read of a batch, from the last hidden states of its tokens and those that its layout adds: the vectors of
        its texts, (N, V), then the states of its words, (W, D). Without words, or not `pooled`, only one of them. Of both, the
        narrower have zeros at the end of each row."""
        if batch.words is None:
            return self.pool(layout, states_TD)[: len(batch)]
        words_WD = states_TD.index_select(0, batch.words)
        if not batch.pooled:
            return words_WD
        vectors_NV = self.pool(layout, states_TD)[: len(batch)]
        wider = vectors_NV.shape[1] - words_WD.shape[1]
        parts = (vectors_NV, functional.pad(words_WD, (0, wider))) if wider > 0 else (vectors_NV, words_WD)
        return torch.cat((functional.pad(vectors_NV, (0, -wider)), words_WD) if wider < 0 else parts)

    def pool(self, layout: TokenLayout, states_TD: Tensor) -> Tensor:
        """The vector of each text, (N, V), from the hidden states of its tokens: pooled, through the dense layers, scaled."""
        if self.architecture.pooling == WEIGHTED:
            vectors = weighted_mean(layout, states_TD, self.token_weights.exp()[layout.ids, None])
        else:
            vectors = pool(layout, states_TD, pooling_modes(self.architecture.pooling))
        for layer in self.dense:
            vectors = layer(vectors)
        return functional.normalize(vectors, dim=-1) if self.architecture.normalize else vectors
