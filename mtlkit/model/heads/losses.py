"""Losses of heads for classes, multiple labels and numbers, and the options that training can set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LossOptions:
    """Training options of the loss, not saved with the model. The defaults give the plain loss.

    class_weights  weights by class: one row ((w_0, ..., w_C-1),) if each text has one class; for multi-label tasks one row per
                   label with the weights of its absence and presence. None weights all classes equally.
    focal          gamma of the focal loss (Lin et al. 2017, who use 2): multiplies each text's loss by (1 - p)^gamma to
                   down-weight easy texts
    smoothing      label smoothing (Szegedy et al. 2016, who use 0.1): the share of the target distributed evenly over all classes

    Regression losses ignore these options.
    """

    class_weights: tuple[tuple[float, ...], ...] | None = None
    focal: float = 0.0
    smoothing: float = 0.0


PLAIN = LossOptions()


def cross_entropy(logits: Tensor, classes: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean over N texts, from logits (N, C) and class indices (N,)."""
    if options == PLAIN:
        return functional.cross_entropy(logits, classes)
    return class_loss(functional.log_softmax(logits, -1)[:, None], classes[:, None], options)


def binary_cross_entropy(logits: Tensor, marks: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean over N texts and L labels, from logits and 0/1 targets, both (N, L)."""
    if options == PLAIN:
        return functional.binary_cross_entropy_with_logits(logits, marks.float())
    both = torch.stack([functional.logsigmoid(-logits), functional.logsigmoid(logits)], -1)  # each label is a two-class problem
    return class_loss(both, marks.long(), options)


def squared_error(values: Tensor, numbers: Tensor, spread: float) -> Tensor:
    """Mean squared difference over N texts of predicted values (N, 1) and targets (N,), in units of `spread`."""
    return functional.mse_loss(values.squeeze(-1) / spread, numbers.float() / spread)


def class_loss(logs_NQC: Tensor, targets_NQ: Tensor, options: LossOptions) -> Tensor:
    """Mean over N texts and Q questions with C classes, from log-probabilities (N, Q, C) and correct classes (N, Q):

        w_y * sum_c q_c (1 - p_c)^gamma (-log p_c),    q_c = (1 - smoothing) [c = y] + smoothing / C

    The weight is that of the correct class y. Unlike in PyTorch, the sum is divided by N and not by the total weight of the
    batch, which would cancel the weights in a batch of rare texts only. Without smoothing it is the focal loss of Lin et al.
    (2017), eq. 5, with the weight as alpha.
    """
    classes = logs_NQC.shape[-1]
    terms = -logs_NQC
    if options.focal:
        rest = (-torch.expm1(logs_NQC)).clamp_min(torch.finfo(logs_NQC.dtype).tiny)  # 1 - p; 0 ** gamma may lack a gradient
        terms = rest**options.focal * terms
    right = terms.gather(-1, targets_NQ[..., None]).squeeze(-1)
    losses = (1 - options.smoothing) * right + options.smoothing / classes * terms.sum(-1)
    if options.class_weights is not None:
        weights_QC = torch.tensor(options.class_weights, dtype=losses.dtype, device=losses.device)
        losses = losses * weights_QC[torch.arange(len(weights_QC), device=losses.device), targets_NQ]
    return losses.mean()
