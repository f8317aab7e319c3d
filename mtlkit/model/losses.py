"""The loss of each kind of task, and what a training may change about it where some classes are rare or labels are unsure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.config.architecture import TaskSpec


@dataclass(frozen=True)
class LossOptions:
    """Options of a training, no part of the saved model. As they stand here the loss is the plain one.

    class_weights  of each class's texts, for classification one row: ((w_0, ..., w_C-1),); for multi-label a row a label: the
                   weights of its absence and of its presence. None weighs all alike.
    focal          gamma of the focal loss (Lin et al. 2017, who take 2): each text's loss times (1 - p)^gamma, so that texts
                   that are told rightly already count less
    smoothing      label smoothing (Szegedy et al. 2016, who take 0.1): a share of the target that goes to all classes alike

    Regression has no classes: none of them changes its loss.
    """

    class_weights: tuple[tuple[float, ...], ...] | None = None
    focal: float = 0.0
    smoothing: float = 0.0


PLAIN = LossOptions()


def loss_of(spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean loss of N texts from a head's outputs, (N, outputs).

    classification: cross-entropy, labels (N,) class numbers. multi-label: binary cross-entropy, labels (N, outputs)
    of 0 and 1. regression: squared error in units of the training labels' spread, labels (N,).
    """
    outputs = outputs.float()
    if spec.kind == "regression":
        return functional.mse_loss(outputs.squeeze(-1) / spec.spread, labels.float() / spec.spread)
    if spec.kind == "classification":
        if options == PLAIN:
            return functional.cross_entropy(outputs, labels)
        return _of_classes(functional.log_softmax(outputs, -1)[:, None], labels[:, None], options)
    if options == PLAIN:
        return functional.binary_cross_entropy_with_logits(outputs, labels.float())
    both = torch.stack([functional.logsigmoid(-outputs), functional.logsigmoid(outputs)], -1)  # each label is two classes
    return _of_classes(both, labels.long(), options)


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
