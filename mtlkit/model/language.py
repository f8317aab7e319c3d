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

CHUNK = 256  # tokens per block of logits, small enough to stay in the CPU cache


class TiedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of `states @ weight.T + bias` against `targets`, computed in chunks of tokens; `bias` may be None.

    The gradient is computed together with each chunk's logits, so the full (T, vocabulary) matrix, otherwise the largest
    tensor of pretraining, is never allocated.
    """

    @staticmethod
    def forward(ctx: Any, states_TD: Tensor, weight_VD: Tensor, targets_T: Tensor, bias_V: Tensor | None = None) -> Tensor:
        total = len(targets_T)
        loss = states_TD.new_zeros((), dtype=torch.float32)
        grad_states = torch.empty_like(states_TD)
        grad_weight = torch.zeros_like(weight_VD, dtype=states_TD.dtype)
        grad_bias = None if bias_V is None else torch.zeros_like(bias_V, dtype=torch.float32)
        weight = weight_VD.to(states_TD.dtype)
        logits_of, back = repeated_product(weight, CHUNK), repeated_product(weight.T, CHUNK)
        for start in range(0, total, CHUNK):
            states = states_TD[start : start + CHUNK]
            targets = targets_T[start : start + CHUNK, None]
            logits = logits_of(states).float()
            if bias_V is not None:
                logits.add_(bias_V)
            logits.sub_(logits.amax(-1, keepdim=True))
            right = logits.gather(1, targets)
            slope = logits.exp_()  # shared by the loss and its gradient
            total_each = slope.sum(-1, keepdim=True)
            loss += (total_each.log() - right).sum()
            slope.div_(total_each)  # d loss / d logits = softmax - one-hot
            slope.scatter_add_(1, targets, slope.new_full(targets.shape, -1.0))
            if grad_bias is not None:
                grad_bias += slope.sum(0)
            slope = slope.to(states.dtype)
            grad_states[start : start + CHUNK] = back(slope)
            grad_weight.addmm_(slope.T, states)
        grad_bias = None if grad_bias is None or bias_V is None else grad_bias.div_(total).to(bias_V.dtype)
        ctx.save_for_backward(grad_states.div_(total), grad_weight.div_(total).to(weight_VD.dtype), grad_bias)
        return loss / total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, Tensor | None]:
        grad_states, grad_weight, grad_bias = ctx.saved_tensors
        return grad_states * grads[0], grad_weight * grads[0], None, None if grad_bias is None else grad_bias * grads[0]


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
        loss: Tensor = TiedCrossEntropy.apply(states_TD, weight, targets_T, bias_V)  # type: ignore[no-untyped-call]
        return loss
    return _losses(states_TD, weight, targets_T, bias_V).mean()


def token_losses(model: Encoder, batch: Batch, targets_T: Tensor, head: PredictionHead | None = None) -> Tensor:
    """The loss per target in nats, (T,), without gradients."""
    states_TD, bias_V = outputs(model(batch), head)
    return _losses(states_TD, model.tokens.weight, targets_T, bias_V)


def token_logits(model: Encoder, batch: Batch, head: PredictionHead | None = None) -> Tensor:
    """The logits at each token of the batch, (T, vocabulary)."""
    states_TD, bias_V = outputs(model(batch), head)
    return _logits(states_TD, model.tokens.weight, bias_V)


def outputs(states_TD: Tensor, head: PredictionHead | None) -> tuple[Tensor, Tensor | None]:
    """What the output layer reads, (T, D), and its bias for each token."""
    return (states_TD, None) if head is None else (head(states_TD), head.bias)


def _logits(states_TD: Tensor, weight_VD: Tensor, bias_V: Tensor | None) -> Tensor:
    logits = (states_TD @ weight_VD.to(states_TD.dtype).T).float()
    return logits if bias_V is None else logits.add_(bias_V)


def _losses(states_TD: Tensor, weight_VD: Tensor, targets_T: Tensor, bias_V: Tensor | None) -> Tensor:
    return torch.cat(
        [
            functional.cross_entropy(_logits(states, weight_VD, bias_V), targets, reduction="none")
            for states, targets in zip(torch.split(states_TD, CHUNK), torch.split(targets_T, CHUNK), strict=True)
        ]
    )
