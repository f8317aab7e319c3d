"""Rotary positions turn pairs of channels, and scores depend on distances alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtlkit.model.layers.rotary import Rotary, turned, turned_in_graph

ROTARY = Rotary(100.0, 4, scale=2.0)
HEADS = 3  # that turn, of four


def by_hand(states: Tensor, positions: Tensor) -> Tensor:
    """Each pair of channels of each head, turned one by one."""
    result = states.clone()
    for token, position in enumerate(positions.tolist()):
        for head in range(HEADS):
            for pair in range(2):
                angle = torch.tensor(position * 100.0 ** (-2 * pair / 4) / 2.0)
                place = 4 * head + 2 * pair
                left, right = states[token, place], states[token, place + 1]
                result[token, place] = left * angle.cos() - right * angle.sin()
                result[token, place + 1] = left * angle.sin() + right * angle.cos()
    return result


@pytest.fixture
def states() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(5, 16)


def test_pairs_are_turned_by_their_angles(states: Tensor) -> None:
    positions = torch.tensor([0, 1, 2, 0, 7])
    wanted = by_hand(states, positions)
    torch.testing.assert_close(turned_in_graph(states, ROTARY.angles(positions), HEADS), wanted)
    turns = ROTARY.turns(positions)
    half = turned(states.bfloat16(), turns, HEADS)
    torch.testing.assert_close(half.float(), wanted, atol=2e-2, rtol=0)
    torch.testing.assert_close(turned(states.clone(), turns, HEADS), wanted)


def test_gradients_are_those_of_plain_operators(states: Tensor) -> None:
    positions, weights = torch.arange(5), torch.linspace(-1, 1, 80).view(5, 16)
    gradients = []
    for ours in (True, False):
        leaf = states.clone().requires_grad_()
        qkv = leaf * 1.0  # as of a product: neither a leaf nor a view
        result = turned(qkv, ROTARY.turns(positions), HEADS) if ours else turned_in_graph(qkv, ROTARY.angles(positions), HEADS)
        gradients.append(torch.autograd.grad((result * weights).sum(), leaf)[0])
    torch.testing.assert_close(*gradients)


def test_scores_depend_on_the_distance_alone(states: Tensor) -> None:
    def score(first: int, second: int) -> Tensor:
        pair = turned(states[:2].clone(), ROTARY.turns(torch.tensor([first, second])), HEADS)
        return pair[0, :4] @ pair[1, :4]

    torch.testing.assert_close(score(3, 8), score(1003, 1008), atol=1e-3, rtol=0)
    assert not score(3, 8).isclose(score(3, 9))
