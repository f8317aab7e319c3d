"""The head of tags that are predicted together: a linear-chain conditional random field over the words of a text."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import CUT, TEXT, WINDOW
from mtlkit.model.heads.base import Affine, Head, HeadLayer
from mtlkit.model.heads.crf import crf_loss
from mtlkit.model.heads.losses import PLAIN, LossOptions
from mtlkit.model.heads.tag_sequences import log_marginals


class CrfLayer(HeadLayer):
    """The scores of C tags, (W, C), from the states of words, (W, D), and of their transitions.

    `bias`, (C (C + 3)), holds the biases of the tags, then how likely each tag is at the start and at the end of a text, and
    after each tag: a layer has no other weights than the other heads have. New transitions are all equally likely.
    """

    def __init__(self, dim: int, tags: int) -> None:
        super().__init__(dim, tags)
        self.bias = nn.Parameter(torch.zeros(tags * (tags + 3)))

    @property
    def tags(self) -> int:
        return len(self.weight)

    @property
    def transitions(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the first tag, (C,), from one tag to the next, (C, C), and of the last tag, (C,)."""
        count = self.tags
        start, end, pairs = torch.split(self.bias[count:], [count, count, count * count])
        return start, pairs.view(count, count), end

    @property
    def table(self) -> Tensor:
        """All transitions, (C + 1, C + 1), as `tag_sequences` takes them."""
        start, pairs, end = (part.detach() for part in self.transitions)
        return torch.cat([torch.cat([pairs, end[:, None]], 1), torch.cat([start, start.new_zeros(1)])[None]])

    @torch.no_grad()
    def set_table(self, table_CC: Tensor) -> None:
        """Gives the layer these transitions, (C + 1, C + 1), in place. Raises ValueError if they are not as many."""
        if table_CC.shape != (self.tags + 1, self.tags + 1):
            raise ValueError(f"transitions of shape {tuple(table_CC.shape)} for {self.tags} tags")
        for part, values in zip(self.transitions, (table_CC[-1, :-1], table_CC[:-1, :-1], table_CC[:-1, -1]), strict=True):
            part.copy_(values)

    def forward(self, states_WD: Tensor) -> Tensor:
        return functional.linear(states_WD, self.weight, self.bias[: self.tags])

    @property
    def affine(self) -> Affine:
        return Affine(self.weight.detach(), self.bias[: self.tags].detach())

    def _store(self, affine: Affine) -> None:
        self.weight.copy_(affine.weight)
        self.bias[: self.tags].copy_(affine.bias)


class CrfHead(Head):
    """A head that ends in a `CrfLayer`. Its outputs for whole texts are the log-probabilities of the tags of each word."""

    def last_layer(self, dim: int) -> HeadLayer:
        return CrfLayer(dim, self.spec.outputs)

    @torch.no_grad()
    def grow_from(self, old: Head) -> None:
        """As for other heads; the transitions of a new tag begin as the mean of those of the old ones."""
        super().grow_from(old)
        assert isinstance(old, CrfHead)
        before, count = old.crf.table, old.crf.tags
        places = torch.tensor([self.spec.labels.index(label) for label in old.spec.labels])
        sources = torch.full((len(self.spec.labels) + 1,), count + 1)  # rows of `grown` for new tags: the mean
        sources[places] = torch.arange(count)
        sources[-1] = count
        grown = torch.cat([before, before[:count].mean(0, keepdim=True)])
        grown = torch.cat([grown, grown[:, :count].mean(1, keepdim=True)], 1)
        self.crf.set_table(grown[sources][:, sources])

    @property
    def crf(self) -> CrfLayer:
        layer = self.linear_layers()[-1]
        assert isinstance(layer, CrfLayer)
        return layer

    def loss(self, outputs: Tensor, labels: Tensor, options: LossOptions = PLAIN) -> Tensor:
        """The negative log-likelihood of the tags of each text or window together, divided by the number of words."""
        tags, marks = labels.T
        begins, opens, closes = (marks & (TEXT | WINDOW)) > 0, (marks & TEXT) > 0, (marks & CUT) == 0
        return crf_loss(outputs.float(), tags, begins, *self.crf.transitions, opens, closes)

    def of_texts(self, outputs: NDArray[np.float32], begins: NDArray[np.bool_]) -> NDArray[np.float32]:
        return log_marginals(outputs, begins, self.crf.table.cpu().numpy())
