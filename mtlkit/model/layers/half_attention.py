"""Attention for training in bf16 on a CPU: matrix products in bf16, softmax in float32.

torch's attention in one operator is slower there: its gradient takes 2 to 7 times as long in bf16, and 2 times in float32.

Shapes: N texts, H heads, L tokens of a text, E width of a head, D = H * E, T tokens of all texts; M = N * H.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from mtlkit.model.kernels import softmax_backward

Groups = Sequence[tuple[int, int]]  # the number of texts and their length, of texts in a row that are equally long

KEPT = 256  # tokens of a text up to which backward does not compute the probabilities again
LONGEST = 1024  # tokens of a text up to which all probabilities of a head are one matrix
MASKS = 64  # masks that are kept


def half_attention(qkv: Tensor, groups: Groups, heads: int, causal: bool) -> Tensor:
    """Attention within each text from queries, keys and values, (T, 3D), to (T, D), in bf16."""
    result: Tensor = _HalfAttention.apply(qkv, groups, heads, causal)  # type: ignore[no-untyped-call]
    return result


class _HalfAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, groups: Groups, heads: int, causal: bool) -> Tensor:
        qkv = qkv.to(torch.bfloat16)
        mixed = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        kept = []
        for (texts, length), part, out in zip(groups, _parts(qkv, groups), _parts(mixed, groups), strict=True):
            query, key, value = _heads(part, texts, heads)
            probabilities = _probabilities(query, key, causal)
            _write(out, torch.bmm(probabilities, value), texts)
            kept += [probabilities] if length <= KEPT else []
        ctx.save_for_backward(qkv, *kept)
        ctx.groups, ctx.heads, ctx.causal = groups, heads, causal
        return mixed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        qkv, *saved = ctx.saved_tensors
        groups, kept = ctx.groups, iter(saved)
        grad_mixed, grad_qkv = grads[0].to(torch.bfloat16), torch.empty_like(qkv)
        parts = zip(groups, _parts(qkv, groups), _parts(grad_mixed, groups), _parts(grad_qkv, groups), strict=True)
        for (texts, length), part, grad, out in parts:
            query, key, value = _heads(part, texts, ctx.heads)
            probabilities = next(kept) if length <= KEPT else _probabilities(query, key, ctx.causal)
            (grad_MLE,) = _split(grad, texts, ctx.heads, 1)
            grad_value = torch.bmm(probabilities.transpose(1, 2), grad_MLE)
            grad_scores = softmax_backward(torch.bmm(grad_MLE, value.transpose(1, 2)), probabilities)
            grad_query = torch.bmm(grad_scores, key).mul_(_scale(key))
            grad_key = torch.bmm(grad_scores.transpose(1, 2), query)
            for place, grad_part in zip(out.chunk(3, 1), (grad_query, grad_key, grad_value), strict=True):
                _write(place, grad_part, texts)
        return grad_qkv, None, None, None


def _parts(states: Tensor, groups: Groups) -> Iterator[Tensor]:
    """The rows of each group."""
    return iter(torch.split(states, [texts * length for texts, length in groups]))


def _heads(qkv: Tensor, texts: int, heads: int) -> Iterable[Tensor]:
    """Scaled queries, keys and values of a group, each (M, L, E)."""
    query, key, value = _split(qkv, texts, heads, 3)
    return query.mul_(_scale(query)), key, value


def _split(states: Tensor, texts: int, heads: int, count: int) -> Iterable[Tensor]:
    """`count` tensors (M, L, E) from states of a group, (N * L, count * D), as a copy."""
    length, width = len(states) // texts, states.shape[1] // heads // count
    copied = states.view(texts, length, count, heads, width).permute(2, 0, 3, 1, 4).clone(memory_format=torch.contiguous_format)
    return copied.view(count, texts * heads, length, width).unbind(0)


def _write(out: Tensor, states_MLE: Tensor, texts: int) -> None:
    """Writes the states of all heads, (M, L, E), into rows, (N * L, D)."""
    heads, (_, length, width) = len(states_MLE) // texts, states_MLE.shape
    grid = out.as_strided((texts, length, heads, width), (length * out.stride(0), out.stride(0), width, 1))
    grid.copy_(states_MLE.view(texts, heads, length, width).transpose(1, 2))


def _scale(states_MLE: Tensor) -> float:
    return float(states_MLE.shape[2] ** -0.5)


def _probabilities(query: Tensor, key: Tensor, causal: bool) -> Tensor:
    """How much each token attends to each other, (M, L, L)."""
    keys = key.transpose(1, 2)
    scores = torch.baddbmm(_later(query.shape[1]), query, keys) if causal else torch.bmm(query, keys)
    return torch.softmax(scores, -1, out=scores)


@lru_cache(MASKS)
def _later(length: int) -> Tensor:
    """What is added to the scores of later tokens, (L, L)."""
    with torch.inference_mode(False):
        return torch.full((length, length), -torch.inf, dtype=torch.bfloat16).triu_(1)
