from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlkit.training.state_dict import StateDict, copy_into


def test_parts_that_were_joined_come_back_at_any_depth() -> None:
    one, two, three = torch.ones(2), torch.zeros(1), torch.arange(3)
    inner = StateDict.join({"a": StateDict({"x": one, ":y": two}, {"count": 3}), "b": StateDict(plain={"names": ["x"]})})
    outer = StateDict.join({"inner": inner, "in": StateDict({"x": three}), "own": StateDict(plain={})})
    assert list(outer.tensors) == ["inner:a:x", "inner:a::y", "in:x"]
    assert outer.plain == {"inner": {"a": {"count": 3}, "b": {"names": ["x"]}}, "in": {}, "own": {}}
    assert outer.part("in") == StateDict({"x": three})  # the start of another name is another part
    assert outer.part("own") == StateDict()
    back = outer.part("inner")
    assert back.part("a") == StateDict({"x": one, ":y": two}, {"count": 3})
    assert back.part("b") == StateDict(plain={"names": ["x"]})
    with pytest.raises(KeyError):
        outer.part("none")


def test_values_are_copied_in_place_and_only_those_that_are_found() -> None:
    layer = nn.Linear(2, 2)
    weights = dict(layer.named_parameters())
    places = {name: weight.data_ptr() for name, weight in weights.items()}
    bias, found = layer.bias.detach().clone(), torch.full((2, 2), 3.0)
    copy_into(weights, {"weight": found})
    assert torch.equal(layer.weight.detach(), found)
    assert torch.equal(layer.bias.detach(), bias)
    assert {name: weight.data_ptr() for name, weight in weights.items()} == places
    found.fill_(4.0)
    assert layer.weight.detach().unique().tolist() == [3.0]
    assert all(weight.requires_grad and weight.grad is None for weight in weights.values())
    with pytest.raises(KeyError):
        copy_into(weights, {"wieght": found})
