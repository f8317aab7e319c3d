"""Masked-token prediction (Devlin et al. 2019): a head on the states of masked tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.model.language import LanguageModel, tied_cross_entropy, tied_logits


class MaskedLanguageModel(LanguageModel):
    """Predicts masked tokens."""

    def loss(self, batch: Batch, places_M: Tensor, targets_M: Tensor) -> Tensor:
        """Mean loss in nats of predicting the tokens `targets_M` at M places of the batch."""
        outputs_MD = self.head(self.encoder(batch)[places_M])
        return tied_cross_entropy(outputs_MD, self.encoder.tokens.weight, targets_M, self.head.bias)

    @torch.no_grad()
    def scored(self, batch: Batch, places_M: Tensor, targets_M: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each target in nats, and whether it is the most probable token, (M,) each."""
        outputs_MD = self.head(self.encoder(batch)[places_M])
        logits_MV = tied_logits(outputs_MD, self.encoder.tokens.weight, self.head.bias)
        return functional.cross_entropy(logits_MV, targets_M, reduction="none"), logits_MV.argmax(1) == targets_M
