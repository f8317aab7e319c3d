"""What a base predicts: the next token of each, or masked tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.data.masking import Masking
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import LanguageModel, next_token_loss
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.seeding import generator

NEXT_TOKEN, MASKED_TOKEN = "next token", "masked token"

Ids = NDArray[np.int64]


class LanguageObjective(Protocol):
    """A loss on T tokens of text. `name` is that of the loss, and `model` all that trains."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> nn.Module: ...

    def inputs(self, ids: Ids, following: Ids, epoch: int, number: int) -> tuple[Ids, Ids, Ids | None]:
        """What the model reads, (T,), what it predicts, (M,), and at which places, (M,), None for all. `following` are the
        tokens after `ids`, and `number` is that of the batch in its epoch."""
        ...

    def loss(self, batch: Batch, targets_M: Tensor, places_M: Tensor | None) -> Tensor:
        """The mean loss in nats."""
        ...


class NextToken:
    """Predicts the token after each from those before it, through a head if the model has one."""

    name = NEXT_TOKEN

    def __init__(self, encoder: Encoder, head: PredictionHead | None = None) -> None:
        self.encoder, self.head = encoder, head
        self.model: nn.Module = encoder if head is None else LanguageModel(encoder, head)

    def inputs(self, ids: Ids, following: Ids, epoch: int, number: int) -> tuple[Ids, Ids, None]:
        del epoch, number
        return ids, following, None

    def loss(self, batch: Batch, targets_M: Tensor, places_M: Tensor | None) -> Tensor:
        del places_M
        return next_token_loss(self.encoder, batch, targets_M, self.head)


class MaskedTokens:
    """Predicts masked tokens from all others. Each batch of each epoch draws its own."""

    name = MASKED_TOKEN

    def __init__(self, model: MaskedLanguageModel, masking: Masking, seed: int) -> None:
        self.model, self.masking, self.seed = model, masking, seed

    def inputs(self, ids: Ids, following: Ids, epoch: int, number: int) -> tuple[Ids, Ids, Ids]:
        del following
        hidden, places = self.masking(ids, generator(self.seed, "masks", epoch, number))
        return hidden, ids[places], places

    def loss(self, batch: Batch, targets_M: Tensor, places_M: Tensor | None) -> Tensor:
        assert places_M is not None
        return self.model.loss(batch, places_M, targets_M)


def placed(values: Ids | None, device: torch.device) -> Tensor | None:
    """An array on the device."""
    return None if values is None else torch.from_numpy(values).to(device)
