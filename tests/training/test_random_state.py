from __future__ import annotations

import torch
from cutting import as_saved

from mtlkit.training.random_state import RandomState


def test_the_same_numbers_come_again_and_all_goes_on_as_if_they_had_not() -> None:
    torch.manual_seed(0)
    state = RandomState(torch.device("cpu"))
    first = torch.rand(3)
    with state.again():
        assert torch.equal(torch.rand(3), first)
    following = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.cat([first, following]), torch.cat([torch.rand(3), torch.rand(3)]))


def test_a_state_brings_back_the_numbers_that_were_to_come() -> None:
    torch.manual_seed(3)
    torch.rand(5)
    saved = as_saved(RandomState(torch.device("cpu")).state())
    expected = torch.rand(4)
    torch.manual_seed(0)
    RandomState.load(saved, torch.device("cpu"))
    assert torch.equal(torch.rand(4), expected)
    assert list(saved.tensors) == ["processor"]
