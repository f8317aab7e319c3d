"""Losses of heads: of classes, of labels that are there or not, and of numbers; and what a training may change about them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LossOptions:
    """Options of a training, no part of the saved model. As they stand here the loss is the plain one.

    class_weights  of each class's texts, where a row has one class in one row: ((w_0, ..., w_C-1),); where it may have several, a
                   row for each label: the weights of its absence and of its presence. None weighs all alike.
    focal          gamma of the focal loss (Lin et al. 2017, who take 2): each text's loss times (1 - p)^gamma, so that easy
                   texts count less
    smoothing      label smoothing (Szegedy et al. 2016, who take 0.1): a share of the target that goes to all classes alike

    Numbers have no classes: none of the options changes their loss.
    """

    class_weights: tuple[tuple[float, ...], ...] | None = None
    focal: float = 0.0
    smoothing: float = 0.0


PLAIN = LossOptions()


def cross_entropy(logits: Tensor, classes: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean over N texts, from logits (N, C) and the number of each text's class, (N,)."""
    if options == PLAIN:
        return functional.cross_entropy(logits, classes)
    return _of_classes(functional.log_softmax(logits, -1)[:, None], classes[:, None], options)


def binary_cross_entropy(logits: Tensor, marks: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean over N texts and L labels, from logits and marks of 0 and 1, both (N, L)."""
    if options == PLAIN:
        return functional.binary_cross_entropy_with_logits(logits, marks.float())
    both = torch.stack([functional.logsigmoid(-logits), functional.logsigmoid(logits)], -1)  # each label is two classes
    return _of_classes(both, marks.long(), options)


def squared_error(values: Tensor, numbers: Tensor, spread: float) -> Tensor:
    """Mean over N texts of the squared difference of predicted values (N, 1) and numbers (N,), in units of `spread`."""
    return functional.mse_loss(values.squeeze(-1) / spread, numbers.float() / spread)


def _of_classes(logs_NQC: Tensor, targets_NQ: Tensor, options: LossOptions) -> Tensor:
    """Mean over N texts and Q questions of C classes, from log-probabilities and right answers:

        w_y * sum_c q_c (1 - p_c)^gamma (-log p_c),    q_c = (1 - smoothing) [c = y] + smoothing / C

    The weight is that of the right answer y. The mean is over N and not, as in PyTorch, over the weights of the batch: a batch
    of rare texts alone would count no more than another. Without smoothing it is the focal loss of Lin et al. (2017), eq. 5,
    their alpha the weight.
    """
    classes = logs_NQC.shape[-1]
    terms = -logs_NQC
    if options.focal:
        rest = (-torch.expm1(logs_NQC)).clamp_min(torch.finfo(logs_NQC.dtype).tiny)  # 1 - p; a power of 0 may have no gradient
        terms = rest**options.focal * terms
    right = terms.gather(-1, targets_NQ[..., None]).squeeze(-1)
    losses = (1 - options.smoothing) * right + options.smoothing / classes * terms.sum(-1)
    if options.class_weights is not None:
        weights_QC = torch.tensor(options.class_weights, dtype=losses.dtype, device=losses.device)
        losses = losses * weights_QC[torch.arange(len(weights_QC), device=losses.device), targets_NQ]
    return losses.mean()
