"""Language models: an encoder with the layers that predict tokens, and the loss of the next token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.products import repeated_product
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.model.training_dtype import training_dtype

CHUNK = 256  # tokens per block of logits, small enough to stay in the CPU cache
LEAST = 1e-30  # probability that is well above the least positive float32


class TiedCrossEntropy(torch.autograd.Function):
    """`tied_cross_entropy`, computed in chunks of tokens; with bf16 products if `half`.

    The gradient is computed together with each chunk's logits, so the full (T, vocabulary) matrix, otherwise the largest
    tensor of pretraining, is never allocated.
    """

    @staticmethod
    def forward(ctx: Any, states_TD: Tensor, weight_VD: Tensor, targets_T: Tensor, bias_V: Tensor | None, half: bool) -> Tensor:
        total, dtype = len(targets_T), torch.bfloat16 if half else states_TD.dtype
        loss = states_TD.new_zeros((), dtype=torch.float32)
        grad_states = torch.empty_like(states_TD)
        grad_weight = torch.zeros_like(weight_VD, dtype=states_TD.dtype)
        grad_bias = None if bias_V is None else torch.zeros_like(bias_V, dtype=torch.float32)
        weight = weight_VD.to(dtype)
        logits_of, back = repeated_product(weight, CHUNK, bias_V), repeated_product(weight.T, CHUNK)
        for start in range(0, total, CHUNK):
            states = states_TD[start : start + CHUNK].to(dtype)
            logits = logits_of(states)
            losses, slope = (_half_slope if half else _slope)(logits, targets_T[start : start + CHUNK, None])
            loss += losses
            if grad_bias is not None:
                grad_bias.addmv_(slope.T, slope.new_ones(len(slope)))  # faster than a sum
            slope = slope.to(dtype)
            grad_states[start : start + CHUNK] = back(slope)
            if half:
                grad_weight += slope.T @ states  # sums of products are float32
            else:
                grad_weight.addmm_(slope.T, states)
        grad_bias = None if grad_bias is None or bias_V is None else grad_bias.div_(total).to(bias_V.dtype)
        ctx.save_for_backward(grad_states.div_(total), grad_weight.div_(total).to(weight_VD.dtype), grad_bias)
        return loss / total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor | None, None]:
        grad_states, grad_weight, grad_bias = ctx.saved_tensors
        return grad_states * grads[0], grad_weight * grads[0], None, None if grad_bias is None else grad_bias * grads[0], None


def tied_cross_entropy(states_TD: Tensor, weight_VD: Tensor, targets_T: Tensor, bias_V: Tensor | None = None) -> Tensor:
    """Mean cross-entropy in nats of `states @ weight.T + bias` against `targets`."""
    half = training_dtype(states_TD) == torch.bfloat16
    loss: Tensor = TiedCrossEntropy.apply(states_TD, weight_VD, targets_T, bias_V, half)  # type: ignore[no-untyped-call]
    return loss


def _slope(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of the losses of some tokens, and its gradient with respect to the logits: softmax - one-hot."""
    logits = logits.float()
    logits.sub_(logits.amax(-1, keepdim=True))
    right = logits.gather(1, targets)
    slope = logits.exp_()  # shared by the loss and its gradient
    total_each = slope.sum(-1, keepdim=True)
    losses = (total_each.log() - right).sum()
    slope.div_(total_each)
    return losses, slope.scatter_add_(1, targets, slope.new_full(targets.shape, -1.0))


def _half_slope(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The same with fewer passes over the logits, which are bf16."""
    slope = torch.softmax(logits, -1, dtype=torch.float32)
    chances = slope.gather(1, targets)
    if chances.min() < LEAST:  # would have no logarithm
        losses = functional.cross_entropy(logits.float(), targets[:, 0], reduction="sum")
    else:
        losses = chances.log().sum().neg()
    return losses, slope.scatter_add_(1, targets, slope.new_full(targets.shape, -1.0))


class LanguageModel(nn.Module):
    """An encoder with the head that predicts tokens. Its dropout is that of the encoder."""

    def __init__(self, encoder: Encoder, head: PredictionHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head


def next_token_loss(model: Encoder, batch: Batch, targets_T: Tensor, head: PredictionHead | None = None) -> Tensor:
    """Mean loss in nats of predicting `targets_T`, the next token for each token of the batch; the output layer is the token
    embedding (Press & Wolf 2017), after a head if the model has one.
    """
    states_TD, bias_V = outputs(model(batch), head)
    weight = model.tokens.weight
    if torch.is_grad_enabled():
        return tied_cross_entropy(states_TD, weight, targets_T, bias_V)
    return _losses(states_TD, weight, targets_T, bias_V).mean()


def token_losses(model: Encoder, batch: Batch, targets_T: Tensor, head: PredictionHead | None = None) -> Tensor:
    """The loss per target in nats, (T,), without gradients."""
    states_TD, bias_V = outputs(model(batch), head)
    return _losses(states_TD, model.tokens.weight, targets_T, bias_V)


def token_logits(model: Encoder, batch: Batch, head: PredictionHead | None = None) -> Tensor:
    """The logits at each token of the batch, (T, vocabulary)."""
    states_TD, bias_V = outputs(model(batch), head)
    return tied_logits(states_TD, model.tokens.weight, bias_V)


def outputs(states_TD: Tensor, head: PredictionHead | None) -> tuple[Tensor, Tensor | None]:
    """What the output layer reads, (T, D), and its bias for each token."""
    return (states_TD, None) if head is None else (head(states_TD), head.bias)


def tied_logits(states_TD: Tensor, weight_VD: Tensor, bias_V: Tensor | None) -> Tensor:
    """The logits of all tokens, (T, V) in float32."""
    logits = (states_TD @ weight_VD.to(states_TD.dtype).T).float()
    return logits if bias_V is None else logits.add_(bias_V)


def _losses(states_TD: Tensor, weight_VD: Tensor, targets_T: Tensor, bias_V: Tensor | None) -> Tensor:
    return torch.cat(
        [
            functional.cross_entropy(tied_logits(states, weight_VD, bias_V), targets, reduction="none")
            for states, targets in zip(torch.split(states_TD, CHUNK), torch.split(targets_T, CHUNK), strict=True)
        ]
    )
