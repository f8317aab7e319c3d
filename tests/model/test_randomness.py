"""Random numbers of one's own are those that torch's global generator would give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.config.architecture import Architecture
from mtlkit.model.encoder import Encoder
from mtlkit.model.randomness import Dropout, draw_from, drawing_from

DRAWS: dict[str, Callable[[], Tensor]] = {
    "linear": lambda: nn.Linear(3, 4).weight.detach(),
    "embedding": lambda: nn.Embedding(3, 4).weight.detach(),
    "encoder": lambda: torch.cat([one.detach().flatten() for one in Encoder(Architecture(30, 2, 16, 2, 8)).parameters()]),
    "randperm": lambda: torch.randperm(9),
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(3),
    "randint": lambda: torch.randint(9, (3,)),
    "bernoulli": lambda: torch.bernoulli(torch.full((9,), 0.5)),
    "multinomial": lambda: torch.multinomial(torch.ones(9), 3),
    "bernoulli_": lambda: torch.empty(9).bernoulli_(0.5),
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_draws_takes_its_numbers_from_the_generator_and_leaves_the_global_one_alone(name: str) -> None:
    torch.manual_seed(5)
    wanted = DRAWS[name]()
    before = torch.get_rng_state()
    with drawing_from(torch.Generator().manual_seed(5)):
        found = DRAWS[name]()
    assert torch.equal(found, wanted)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.9, 1.0])
def test_dropout_is_that_of_torch_with_numbers_of_its_own(rate: float, dtype: torch.dtype) -> None:
    layer = Dropout(rate)
    draw_from(torch.Generator().manual_seed(2), layer)
    states = torch.linspace(-1, 1, 300, dtype=dtype).reshape(20, 15).requires_grad_()
    torch.manual_seed(2)
    wanted = [functional.dropout(states, rate, True) for _ in range(2)]
    assert all(torch.equal(layer(states), one) for one in wanted)
    assert torch.equal(layer.eval()(states), states)


def added(layer: Dropout, seed: int, states: Tensor, change: Tensor) -> Tensor:
    draw_from(torch.Generator().manual_seed(seed), layer)
    with torch.autocast("cpu", torch.bfloat16):
        return layer.added(states, change)


@pytest.mark.parametrize("shape", [(1000, 64), (333, 33)])  # the second is no multiple of the numbers that are drawn at once
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_in_half_precision_a_share_is_dropped_and_the_rest_scaled(rate: float, shape: tuple[int, int]) -> None:
    layer, states, change = Dropout(rate), torch.randn(shape), torch.ones(shape, dtype=torch.bfloat16, requires_grad=True)
    total = added(layer, 5, states, change)
    assert total.dtype == torch.float32
    kept = (total - states).abs() > 0.5
    torch.testing.assert_close(total, states + kept / (1 - rate), atol=1e-6, rtol=0)
    spread = (rate * (1 - rate) / kept.numel()) ** 0.5
    assert abs(float(kept.float().mean()) - (1 - rate)) < 4 * spread
    columns = kept.float().mean(0)  # the places within a drawn number are alike
    assert float((columns - (1 - rate)).abs().max()) < 6 * (rate * (1 - rate) / len(kept)) ** 0.5
    (grad,) = torch.autograd.grad(total.sum(), change)
    torch.testing.assert_close(grad.float(), kept / (1 - rate), atol=0, rtol=2**-8)
    assert torch.equal(added(layer, 5, states, change), total)
    assert not torch.equal(added(layer, 6, states, change), total)
    assert torch.equal(added(layer.eval(), 5, states, change), states + change)


def test_dropout_without_a_generator_is_that_of_torch() -> None:
    torch.manual_seed(2)
    wanted = functional.dropout(torch.ones(50), 0.5, True)
    torch.manual_seed(2)
    assert torch.equal(Dropout(0.5)(torch.ones(50)), wanted)
