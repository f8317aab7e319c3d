from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from mtlkit.data.tasks import TaskData
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing import apply_freeze, check_freeze, digest, parse_freeze, targets_of, training_mode
from mtlkit.training.loop import train
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.objectives import head_objectives
from mtlkit.training.optimizer import LearningRate, make_optimizer

HEADS = ["topic", "sentiment"]
PARTS = ["backbone", "head:topic", "head:tags", "head:stars"]
SUBSETS = [frozenset(chosen) for size in range(len(PARTS) + 1) for chosen in combinations(PARTS, size)]
LEAVING_A_HEAD = [chosen for chosen in SUBSETS if not chosen.issuperset(PARTS[1:])]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["none"], set()),
        ([], set()),
        (["none", "none"], set()),
        (["backbone"], {"backbone"}),
        (["backbone,head:topic"], {"backbone", "head:topic"}),
        ([" backbone , head:topic ", "head:sentiment,"], {"backbone", "head:topic", "head:sentiment"}),
        (["head:topic", "head:topic"], {"head:topic"}),
    ],
)
def test_items_are_comma_lists_that_may_be_repeated(items: list[str], expected: set[str]) -> None:
    assert parse_freeze(items, HEADS) == expected


@pytest.mark.parametrize(
    ("item", "nearest"),
    [
        ("head:topc", "head:topic"),
        ("backbon", "backbone"),
        ("topic", "head:topic"),
        ("non", "none"),
        ("head:sentimet", "head:sentiment"),
    ],
)
def test_an_unknown_part_is_refused_with_the_nearest(item: str, nearest: str) -> None:  # fault 18
    with pytest.raises(UsageError) as caught:
        parse_freeze([f"backbone,{item}"], HEADS)
    message = str(caught.value)
    assert message.startswith(f"--freeze {item}: no such part")
    assert "none, backbone, head:topic, head:sentiment" in message
    assert message.endswith(f"did you mean '{nearest}'?")
    assert caught.value.exit_code == 2


def test_a_name_like_nothing_known_gets_the_list_alone() -> None:
    with pytest.raises(UsageError, match=r"--freeze xyz: no such part; .*head:sentiment$"):
        parse_freeze(["xyz"], HEADS)


@pytest.mark.parametrize("items", [["none", "backbone"], ["none,backbone"], ["backbone", "none"]])
def test_none_and_a_part_contradict_each_other(items: list[str]) -> None:
    with pytest.raises(UsageError, match="--freeze none and --freeze backbone contradict each other"):
        parse_freeze(items, HEADS)


def test_everything_frozen_is_refused_and_what_could_train_is_named() -> None:  # fault 39
    frozen = parse_freeze(["backbone,head:topic,head:sentiment"], HEADS)
    with pytest.raises(UsageError) as caught:
        check_freeze(frozen, HEADS, targets_of(HEADS), fresh=False)
    assert "everything is frozen, so nothing is left to train" in str(caught.value)
    assert "take one of head:topic, head:sentiment out of --freeze" in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_head_frozen_is_refused_although_the_backbone_is_free() -> None:  # fault 39
    with pytest.raises(UsageError, match=r"every task's head is frozen \(head:topic\).*take one of head:topic out"):
        check_freeze(frozenset({"head:topic", "head:sentiment"}), ["topic"], targets_of(HEADS), fresh=False)


def test_everything_frozen_is_refused_for_fresh_weights_too() -> None:  # fault 39
    with pytest.raises(UsageError, match="nothing is left to train"):
        check_freeze(frozenset({"backbone", "head:topic"}), ["topic"], [], fresh=True)


@pytest.mark.parametrize("part", ["backbone", "head:sentiment"])
def test_random_weights_are_not_frozen_unless_they_were_asked_for(part: str) -> None:
    trained = [name for name in targets_of(HEADS) if name != part]
    with pytest.raises(UsageError, match=rf"--freeze {part} would keep random weights.*no trained {part}.*--init scratch"):
        check_freeze(frozenset({part}), HEADS, trained, fresh=False)
    check_freeze(frozenset({part}), HEADS, [], fresh=True)
    check_freeze(frozenset({part}), HEADS, targets_of(HEADS), fresh=False)


def work_of(tasks: dict[str, TaskData]) -> list[dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    return [{name: np.arange(start, start + 4) for name in tasks} for start in (0, 4, 8)]


def free_tasks(tasks: dict[str, TaskData], frozen: frozenset[str]) -> dict[str, TaskData]:
    return {name: task for name, task in tasks.items() if f"head:{name}" not in frozen}


@pytest.mark.parametrize("frozen", LEAVING_A_HEAD, ids=lambda frozen: "+".join(sorted(frozen)) or "none")
def test_gradients_optimizer_dropout_and_digests_agree_on_what_is_frozen(  # fault 18
    frozen: frozenset[str], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    apply_freeze(tiny_model, frozen)
    training_mode(tiny_model, frozen)
    held = {id(weight) for group in make_optimizer(tiny_model.parameters(), 0.5).param_groups for weight in group["params"]}
    before = {name: digest(part) for name, part in tiny_model.parts()}
    for name, part in tiny_model.parts():
        free = name not in frozen
        assert {weight.requires_grad for weight in part.parameters()} == {free}
        assert {id(weight) in held for weight in part.parameters()} == {free}
        assert {module.training for module in part.modules() if isinstance(module, nn.Dropout)} == {free}
    rate = LearningRate(0.01, 3)
    mixed = free_tasks(tasks, frozen)
    steps = train(
        tiny_model,
        work_of(mixed),
        TaskLosses(tiny_model, head_objectives(tiny_model, mixed), compute.device),
        rate,
        weight_decay=0.5,
        clip=1.0,
        compute=compute,
    )
    assert len(list(steps)) == 3
    assert {name for name, part in tiny_model.parts() if digest(part) == before[name]} == frozen


def test_thawing_is_freezing_less(tiny_model: MultiTaskModel) -> None:
    apply_freeze(tiny_model, frozenset(PARTS[:2]))
    apply_freeze(tiny_model, frozenset({"head:topic"}))
    assert all(weight.requires_grad for weight in tiny_model.backbone.parameters())
    assert not any(weight.requires_grad for weight in tiny_model.head("topic").parameters())


def test_the_digest_sees_every_weight_and_nothing_else(tiny_model: MultiTaskModel) -> None:
    before = digest(tiny_model)
    assert len(before) == 64
    tiny_model.train()
    apply_freeze(tiny_model, frozenset({"backbone"}))
    assert digest(tiny_model) == before
    for weight in tiny_model.parameters():
        with torch.no_grad():
            kept = weight.flatten()[-1].item()
            weight.view(-1)[-1] += 1e-3
            assert digest(tiny_model) != before
            weight.view(-1)[-1] = kept
    assert digest(tiny_model) == before


def test_equal_weights_under_other_names_have_another_digest() -> None:
    first, second = nn.ModuleDict({"a": nn.Linear(2, 2)}), nn.ModuleDict({"b": nn.Linear(2, 2)})
    second["b"].load_state_dict(first["a"].state_dict())
    assert digest(first) != digest(second)
    assert digest(first["a"]) == digest(second["b"])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("embeddings", {"embeddings"}),
        ("layers:1", {"layers:1"}),
        ("embeddings,layers:0-2", {"embeddings", "layers:0", "layers:1", "layers:2"}),
    ],
)
def test_layers_are_counted_from_the_embeddings_up(item: str, expected: set[str]) -> None:
    assert parse_freeze([item], HEADS, layers=3) == expected


@pytest.mark.parametrize("item", ["layers:3", "layers:0-3", "layers:2-1"])
def test_layers_that_do_not_exist_are_refused(item: str) -> None:
    with pytest.raises(UsageError, match=rf"--freeze {item}: no such layers; the model has 0 to 2") as caught:
        parse_freeze([item], HEADS, layers=3)
    assert caught.value.exit_code == 2


def test_layers_of_random_weights_are_not_kept_unasked() -> None:
    with pytest.raises(UsageError, match="--freeze layers:0 would keep random weights"):
        check_freeze(frozenset({"layers:0"}), HEADS, [], fresh=False)
    check_freeze(frozenset({"layers:0"}), HEADS, ["backbone"], fresh=False)
