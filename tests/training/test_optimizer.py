from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from cutting import as_saved
from torch import nn
from torch.optim import AdamW

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing.apply import lr_scales_of
from mtlkit.training.optimizer import (
    THAW_STEPS,
    EagerAdamW,
    LearningRate,
    add_thawed,
    load_optimizer,
    make_groups,
    make_optimizer,
    optimizer_state,
    set_rate,
)


def test_the_rate_rises_to_the_peak_and_falls_along_half_a_cosine_to_a_tenth() -> None:
    rate = LearningRate(peak=2.0, steps=100, warmup=0.1)
    assert [rate.at(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert rate.at(10) == pytest.approx(2.0)
    assert rate.at(40) == pytest.approx(2.0 * (0.1 + 0.9 * 0.75))  # a third of the way: cos 60 degrees
    assert rate.at(55) == pytest.approx(2.0 * 0.55)  # half way
    assert rate.at(70) == pytest.approx(2.0 * (0.1 + 0.9 * 0.25))
    assert rate.at(100) == pytest.approx(0.2)
    assert rate.at(99) == pytest.approx(2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * 89 / 90)) / 2))


def test_the_rate_never_jumps_and_stays_at_the_floor_after_the_last_step() -> None:
    rate = LearningRate(peak=1.0, steps=50, warmup=0.2)
    values = [rate.at(step) for step in range(60)]
    assert values[:10] == sorted(values[:10])
    assert values[9:] == sorted(values[9:], reverse=True)
    assert max(abs(later - earlier) for earlier, later in pairwise(values)) <= 0.1 + 1e-9
    assert values[50:] == pytest.approx([0.1] * 10)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 1.0])
def test_a_training_of_few_steps_has_a_rate_too(steps: int, warmup: float) -> None:
    rate = LearningRate(1.0, steps, warmup)
    assert all(0.1 <= rate.at(step) <= 1.0 for step in range(steps))


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert LearningRate(0.5, 100, warmup=0.0).at(0) == 0.5


def test_weight_decay_is_on_matrices_only(tiny_model: MultiTaskModel) -> None:
    optimizer = make_optimizer(dict(tiny_model.named_parameters()), 0.3)
    names = {id(weight): name for name, weight in tiny_model.named_parameters()}
    decay = {names[id(weight)]: group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    assert decay.keys() == set(names.values())
    for name, value in decay.items():
        plain = name.endswith("bias") or "norm" in name
        assert value == (0.0 if plain else 0.3), name
    assert sum(value == 0.3 for value in decay.values()) == 2 + 2 * 4 + 4  # embeddings, four a block, four in heads


def test_decay_shrinks_a_matrix_and_leaves_a_bias_alone() -> None:
    layer = nn.Linear(3, 3)
    matrix, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimizer = make_optimizer(dict(layer.named_parameters()), 0.5)
    set_rate(optimizer, 0.1, 0)
    for weight in layer.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.testing.assert_close(layer.weight.detach(), matrix * (1 - 0.1 * 0.5))
    assert torch.equal(layer.bias.detach(), bias)


def test_frozen_parameters_are_absent() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    layers[0].requires_grad_(False)
    optimizer = make_optimizer(dict(layers.named_parameters()), 0.5)
    held = [weight for group in optimizer.param_groups for weight in group["params"]]
    assert {id(weight) for weight in held} == {id(weight) for weight in layers[1].parameters()}


def test_heads_learn_at_their_multiple_of_the_rate_and_decay_as_the_rest(tiny_model: MultiTaskModel) -> None:
    heads = {id(weight) for weight in tiny_model.heads.parameters()}
    optimizer = make_optimizer(dict(tiny_model.named_parameters()), 0.3, lr_scales_of(tiny_model, 10.0, 1.0))
    set_rate(optimizer, 0.01, 0)
    set_rate(optimizer, 0.02, 0)  # multiples do not pile up
    seen = 0
    for group in optimizer.param_groups:
        for weight in group["params"]:
            assert group["lr"] == pytest.approx(0.2 if id(weight) in heads else 0.02)
            assert group["weight_decay"] == (0.3 if weight.ndim >= 2 else 0.0)
            seen += 1
    assert seen == len(list(tiny_model.parameters()))


def test_a_frozen_head_is_absent_although_it_is_named(tiny_model: MultiTaskModel) -> None:
    tiny_model.head("tags").requires_grad_(False)
    optimizer = make_optimizer(dict(tiny_model.named_parameters()), 0.3, lr_scales_of(tiny_model, 10.0, 1.0))
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert held == {id(weight) for weight in tiny_model.parameters() if weight.requires_grad}


def test_set_rate_reaches_every_group() -> None:
    optimizer = make_optimizer(dict(nn.Linear(3, 3).named_parameters()), 0.5)
    set_rate(optimizer, 0.125, 0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]


def test_lower_blocks_learn_more_slowly_by_the_same_factor(tiny_model: MultiTaskModel) -> None:
    lr_scales = lr_scales_of(tiny_model, 5.0, 2.0)
    assert lr_scales["heads.topic.layers.1.weight"] == 5.0
    assert lr_scales["backbone.norm.weight"] == lr_scales["backbone.blocks.1.expand.bias"] == 1.0
    assert lr_scales["backbone.blocks.0.expand.bias"] == 0.5
    assert lr_scales["backbone.tokens.weight"] == 0.25
    assert lr_scales.keys() == dict(tiny_model.named_parameters()).keys()


def test_thawed_weights_come_in_with_fresh_moments_and_a_warm_up() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    layers[0].requires_grad_(False)
    weights = dict(layers.named_parameters())
    optimizer = make_optimizer(weights, 0.5)
    layers[0].requires_grad_(True)
    add_thawed(optimizer, weights, 0.5, {"0.weight": 2.0}, step=100)
    add_thawed(optimizer, weights, 0.5, {}, step=101)  # once is enough
    held = [id(weight) for group in optimizer.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(map(id, weights.values()))
    for step, share in ((100, 1 / THAW_STEPS), (124, 0.5), (100 + THAW_STEPS - 1, 1.0), (10_000, 1.0)):
        set_rate(optimizer, 0.1, step)
        rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
        assert rates[id(layers[1].weight)] == 0.1
        assert rates[id(layers[0].bias)] == pytest.approx(0.1 * share)
        assert rates[id(layers[0].weight)] == pytest.approx(0.2 * share)
    assert not optimizer.state


def moved(optimizer: torch.optim.AdamW, weights: dict[str, nn.Parameter], steps: range, thaws: int | None = None) -> None:
    """Takes steps with gradients that depend on their numbers; frozen weights train from step `thaws` on."""
    for step in steps:
        if step == thaws:
            for weight in weights.values():
                weight.requires_grad_(True)
            add_thawed(optimizer, weights, 0.5, {"0.weight": 2.0}, step)
        set_rate(optimizer, 0.1, step)
        for place, weight in enumerate(weights.values()):
            generator = torch.Generator().manual_seed(100 * step + place)
            weight.grad = torch.randn(weight.shape, generator=generator) if weight.requires_grad else None
        optimizer.step()


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 7])
def test_resumed_state_equals_an_uninterrupted_one(cut: int) -> None:
    """Before the first step, before and after a part thaws: moments, counts of steps, groups, warm-up of what thawed."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        layers[0].requires_grad_(False)
        weights = dict(layers.named_parameters())
        made.append((weights, make_optimizer(weights, 0.5, {"1.bias": 3.0})))
    (weights, optimizer), (others, again) = made
    moved(optimizer, weights, range(cut), thaws=3)
    saved = as_saved(optimizer_state(optimizer, weights))
    for name, weight in others.items():
        weight.data.copy_(weights[name])
        weight.requires_grad_(weights[name].requires_grad)
    load_optimizer(again, others, saved)
    moved(optimizer, weights, range(cut, 9), thaws=3)
    moved(again, others, range(cut, 9), thaws=3)
    for name, weight in weights.items():
        assert torch.equal(weight, others[name]), name
        assert again.state[others[name]]["step"] == optimizer.state[weight]["step"] == (9 if name.startswith("1") else 6)
    assert as_saved(optimizer_state(again, others)).plain == as_saved(optimizer_state(optimizer, weights)).plain
    settings = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    assert [{key: value for key, value in group.items() if key != "params"} for group in again.param_groups] == settings


def test_what_was_loaded_from_is_not_moved() -> None:
    layer = nn.Linear(2, 2)
    weights = dict(layer.named_parameters())
    optimizer, again = make_optimizer(weights, 0.0), make_optimizer(weights, 0.0)
    moved(optimizer, weights, range(1))
    saved = as_saved(optimizer_state(optimizer, weights))
    before = {name: value.clone() for name, value in saved.tensors.items()}
    load_optimizer(again, weights, saved)
    moved(again, weights, range(1, 3))
    assert before.keys() == {f"{name}/{kind}" for name in weights for kind in ("step", "exp_avg", "exp_avg_sq")}
    assert all(torch.equal(saved.tensors[name], value) for name, value in before.items())


def test_steps_are_those_of_adamw() -> None:
    draw = torch.Generator().manual_seed(0)
    start = {"matrix": torch.randn(4, 3, generator=draw), "bias": torch.randn(4, generator=draw)}
    gradients = [{name: torch.randn(weight.shape, generator=draw) for name, weight in start.items()} for _ in range(3)]
    results: list[dict[str, nn.Parameter]] = []
    for kind in (AdamW, EagerAdamW):
        weights = {name: nn.Parameter(weight.clone()) for name, weight in start.items()}
        optimizer = kind(make_groups(weights, 0.1), betas=(0.9, 0.98), eps=1e-8, fused=True)
        for step in gradients:
            for name, weight in weights.items():
                weight.grad = step[name].clone()
            optimizer.step()
            optimizer.zero_grad()
        assert all(weight.grad is None for weight in weights.values())
        results.append(weights)
    assert all(torch.equal(weight, results[1][name]) for name, weight in results[0].items())
