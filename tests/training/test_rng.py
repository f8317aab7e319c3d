from __future__ import annotations

import torch
from cutting import as_saved
from torch import nn

from mtlkit.model.randomness import Dropout
from mtlkit.training.rng import RandomState

CPU = torch.device("cpu")


def layer() -> Dropout:
    return Dropout(0.5)


def drawn(model: nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(torch.ones(64))
    return found


def test_the_same_numbers_come_again_and_all_continues_as_if_they_had_not() -> None:
    model = layer()
    random = RandomState(model, CPU, 7)
    before = random.now()
    first = drawn(model)
    with random.again(before):
        assert torch.equal(drawn(model), first)
    second = drawn(model)
    random.back_to(before)
    assert torch.equal(torch.cat([first, second]), torch.cat([drawn(model), drawn(model)]))


def test_a_saved_state_brings_back_the_numbers_that_were_to_come() -> None:
    model = layer()
    random = RandomState(model, CPU, 3)
    drawn(model)
    saved = as_saved(random.state_dict())
    expected = drawn(model)
    resumed = layer()
    RandomState(resumed, CPU, 0).load_state_dict(saved)
    assert torch.equal(drawn(resumed), expected)
    assert list(saved.tensors) == ["processor"]


def test_what_others_draw_from_the_global_generator_changes_nothing() -> None:
    one, other = layer(), layer()
    RandomState(one, CPU, 3)
    RandomState(other, CPU, 3)
    before = torch.get_rng_state()
    first = drawn(one)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert torch.equal(drawn(other), first)


def test_a_model_keeps_the_generator_that_it_has() -> None:
    model = nn.Sequential(layer(), layer())
    random = RandomState(model, CPU, 3)
    again = RandomState(model, CPU, 4)
    assert again.cpu is random.cpu
    assert {one.generator for one in model if isinstance(one, Dropout)} == {random.cpu}
