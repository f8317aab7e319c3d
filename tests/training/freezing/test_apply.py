"""Gradients, optimizer, dropout, the table of parts and the digests agree on what is frozen, for all options."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import freezing_of, losses_of, train_steps
from torch import nn

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of, weight_names
from mtlkit.training.freezing.apply import FreezeProof, apply_freeze, digest, lr_scales_of, prefix_depth, training_mode
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate, make_optimizer

TARGETS = ["backbone", "embeddings", "layers:0", "layers:0-1", "norms", "bias", "head:tags", "head:stars", r"re:\.weight$"]
ITEMS = st.lists(st.builds("".join, st.tuples(st.sampled_from(["", "-"]), st.sampled_from(TARGETS))), max_size=5)


def test_names_are_those_of_the_model(tiny_model: MultiTaskModel) -> None:
    heads = {name: spec.head for name, spec in tiny_model.tasks.items()}
    names = weight_names(tiny_model.backbone.architecture, heads)
    assert names == tuple(name for name, _ in tiny_model.named_parameters())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS)
def test_all_agree_on_what_is_frozen(  # fault 18
    items: list[str], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    model = deepcopy(tiny_model)
    freezing = freezing_of(model, [*items, "-head:topic"])  # so that something trains
    frozen = freezing.always
    apply_freeze(model, frozen)
    training_mode(model, frozen)
    weights = dict(model.named_parameters())
    table = FreezeProof(model, freezing, frozen, 0.01, lr_scales_of(model, 1.0, 1.0))
    optimizer = make_optimizer(weights, 0.5)
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    for name, weight in weights.items():
        assert weight.requires_grad == (id(weight) in held) == (name not in frozen)
    for part, names in parts_of(weights).items():
        if part != "pooling":
            modes = {module.training for module in model.part(part).modules() if isinstance(module, nn.Dropout)}
            assert modes == {not frozen.issuperset(names)}
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    losses = losses_of(model, head_objectives(model, tasks))
    work = [{name: np.arange(start, start + 4) for name in tasks} for start in (0, 4, 8)]
    assert len(list(train_steps(model, work, losses, LearningRate(0.01, 3), weight_decay=0.5, clip=1.0, compute=compute))) == 3
    assert {name for name, weight in weights.items() if torch.equal(weight, before[name])} == frozen
    rows = table.parts(frozen, final=True)
    assert sum(row.trainable for row in rows if row.name == "backbone" or row.name.startswith("head:")) == sum(
        weight.numel() for name, weight in weights.items() if name not in frozen
    )
    assert all(row.before == row.after for row in rows)
    shown = {row.name for row in rows if row.before}
    assert shown >= {part for part in ("backbone", "head:tags", "head:stars") if freezing.wholly(part, frozen)}
    assert bool(shown) == bool(frozen)


def test_thawing_is_freezing_less(tiny_model: MultiTaskModel) -> None:
    apply_freeze(tiny_model, freezing_of(tiny_model, ["backbone,head:topic"]).always)
    apply_freeze(tiny_model, freezing_of(tiny_model, ["head:topic"]).always)
    assert all(weight.requires_grad for weight in tiny_model.backbone.parameters())
    assert not any(weight.requires_grad for weight in tiny_model.head("topic").parameters())


def test_the_digest_sees_every_weight_and_nothing_else(tiny_model: MultiTaskModel) -> None:
    before = digest(tiny_model.state_dict())
    assert len(before) == 64
    tiny_model.train()
    apply_freeze(tiny_model, freezing_of(tiny_model, ["backbone"]).always)
    assert digest(tiny_model.state_dict()) == before
    for weight in tiny_model.parameters():
        with torch.no_grad():
            kept = weight.flatten()[-1].item()
            weight.view(-1)[-1] += 1e-3
            assert digest(tiny_model.state_dict()) != before
            weight.view(-1)[-1] = kept
    assert digest(tiny_model.state_dict()) == before


def test_equal_weights_under_other_names_have_another_digest() -> None:
    weight = torch.ones(2)
    assert digest({"a": weight}) != digest({"b": weight})


@pytest.mark.parametrize("part", ["backbone", "head:topic"])
def test_a_prefix_names_the_weights_of_a_part(part: str, tiny_model: MultiTaskModel) -> None:
    names = {name for name, _ in tiny_model.named_parameters() if name.startswith(prefix_of(part))}
    assert len(names) == len(list(tiny_model.part(part).parameters()))


@pytest.mark.parametrize(
    ("items", "unfreeze", "depth"),
    [
        ([], None, 0),
        (["layers:0-1"], None, 0),
        (["embeddings"], None, 0),
        (["embeddings,layers:0"], None, 1),
        (["embeddings,layers:1"], None, 0),
        (["embeddings,layers:0-1"], None, 2),
        (["backbone"], None, 2),
        (["backbone,-layers:1"], None, 1),
        (["backbone,-norms"], None, 0),
        (["backbone,-re:blocks.1.attention.qkv.bias"], None, 1),
        (["embeddings,layers:0@until=epoch:2"], None, 0),
        (["backbone@until=step:5", "embeddings,layers:0"], None, 1),
        ([], "top-down", 0),
        (["embeddings,layers:0"], "top-down", 1),
    ],
)
def test_the_prefix_is_what_never_trains_from_the_embeddings_up(
    items: list[str], unfreeze: str | None, depth: int, tiny_model: MultiTaskModel
) -> None:
    assert (
        prefix_depth([name for name, _ in tiny_model.named_parameters()], freezing_of(tiny_model, items, unfreeze).always)
        == depth
    )
