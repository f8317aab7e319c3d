from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mtlkit.config.registries.guards import GuardChoice, parse_guards
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.fisher import add_fisher
from mtlkit.training.continual.guards import EWC, L2SP, GuardContext
from mtlkit.training.continual.lwf import LwF, drift
from mtlkit.training.continual.start_model import distances
from mtlkit.training.freezing.features import WholeBackbone
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import EagerAdamW

Run = Callable[..., Any]


def beginning(model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, trained: str = "topic") -> GuardContext:
    """One task is new; the others have trained heads that do not change."""
    objectives = head_objectives(model, tasks)
    old = {name: one for name, one in objectives.items() if name != trained}
    trainable = frozenset(name for name, _ in model.named_parameters() if name.startswith(("backbone.", f"heads.{trained}.")))
    return GuardContext(model, trainable, {trained: objectives[trained]}, old, frozenset(old), compute, 0)


def move(model: MultiTaskModel, by: float) -> int:
    """Moves every weight of the backbone; how many there are."""
    with torch.no_grad():
        for weight in model.backbone.parameters():
            weight += by
    return sum(weight.numel() for weight in model.backbone.parameters())


def test_l2sp_pulls_what_started_trained_to_its_start_and_new_heads_to_zero(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    guard = L2SP(beginning(tiny_model, tasks, compute), 0.3, 0.02)
    head = sum(weight.square().sum() for weight in tiny_model.head("topic").parameters())
    torch.testing.assert_close(guard.loss({}, {}), 0.01 * head)  # nothing has moved
    before = {name: weight.clone() for name, weight in tiny_model.named_parameters()}
    count = move(tiny_model, 0.1)
    loss = guard.loss({}, {})
    torch.testing.assert_close(loss, torch.tensor(0.15 * count * 0.01) + 0.01 * head, rtol=1e-4, atol=0)
    loss.backward()
    for name, weight in tiny_model.named_parameters():
        if name.startswith("backbone."):
            torch.testing.assert_close(weight.grad, 0.3 * (weight - before[name]))
        elif name.startswith("heads.topic."):
            torch.testing.assert_close(weight.grad, 0.02 * weight)
        else:
            assert weight.grad is None  # the other heads stay anyway


def test_a_weight_that_is_frozen_for_a_while_costs_nothing(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    guard = L2SP(beginning(tiny_model, tasks, compute), 1.0, 1.0)
    for weight in tiny_model.parameters():
        weight.requires_grad_(False)
    tiny_model.backbone.norm.weight.requires_grad_(True)
    loss = guard.loss({}, {}) - sum(weight.square().sum() for weight in tiny_model.head("topic").parameters()) / 2
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    loss.backward()
    assert [name for name, weight in tiny_model.named_parameters() if weight.grad is not None] == ["backbone.norm.weight"]


@pytest.mark.parametrize("trained", ["topic", "tags", "stars"])
def test_lwf_is_nothing_at_the_start_and_grows_with_what_old_heads_say_otherwise(
    trained: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    start = beginning(tiny_model, tasks, compute, trained)
    assert start.old_heads == [name for name in tasks if name != trained]
    assert not replace(start, known=frozenset()).old_heads  # a head of random weights says nothing to hold on to
    guard, source = LwF(start, 1.5, 2.0), WholeBackbone(tiny_model, start.trained, compute.device)
    piece = {trained: np.array([9, 0, 4])}
    assert float(guard.loss(source(piece), piece).detach()) == pytest.approx(0.0, abs=1e-6)
    before = encode_all(tiny_model, tasks[trained].train.encoded, compute)
    with torch.no_grad():
        for weight in tiny_model.backbone.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    loss = guard.loss(source(piece), piece)
    after = encode_all(tiny_model, tasks[trained].train.encoded, compute)
    expected = torch.tensor(0.0)
    for name in start.old_heads:
        head = tiny_model.head(name)
        old, new = (head(vectors[piece[trained]]).detach() for vectors in (before, after))
        if name == "topic":
            targets = functional.softmax(old / 2, -1)
            entropy = -(targets * targets.log()).sum(-1).mean()
            expected += functional.cross_entropy(new / 2, targets) - entropy
        elif name == "tags":
            targets = torch.sigmoid(old / 2)
            expected += (functional.binary_cross_entropy_with_logits(new / 2, targets, reduction="none")
                         - functional.binary_cross_entropy(targets, targets, reduction="none")).mean()  # fmt: skip
        else:
            expected += ((new - old) / 1.5).square().mean()
    torch.testing.assert_close(loss, 1.5 * expected, rtol=1e-4, atol=1e-6)
    assert float(loss.detach()) > 1e-4
    loss.backward()
    assert float(tiny_model.backbone.tokens.weight.grad.abs().sum()) > 0


def test_lwf_lets_a_step_of_rehearsal_pass(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    start = beginning(tiny_model, tasks, compute)
    guard = LwF(start)
    piece = {"tags": np.array([1, 2])}
    vectors = WholeBackbone(tiny_model, start.watched, compute.device)(piece)
    assert float(guard.loss(vectors, piece)) == 0.0


def test_ewc_pulls_each_weight_by_its_importance(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    start = beginning(tiny_model, tasks, compute)
    guard = EWC(start, 8.0)
    assert float(guard.loss({}, {}).detach()) == 0.0
    importance = {name: torch.zeros_like(weight) for name, weight in start.started().items()}
    for objective in start.watched.values():
        add_fisher(importance, start.started(), objective, compute, 0)
    assert all(float(each.min()) >= 0 for each in importance.values())
    total = sum(float(each.sum()) for each in importance.values())
    assert total > 0
    move(tiny_model, 0.1)
    assert float(guard.loss({}, {}).detach()) == pytest.approx(4.0 * 0.01 * total, rel=1e-4)
    unused = importance["backbone.tokens.weight"].sum(1) == 0  # tokens that no text contains have no importance
    assert 0 < int(unused.sum()) < len(unused)


@pytest.mark.parametrize("name", ["topic", "tags", "stars"])
def test_the_fisher_information_of_a_linear_head_is_that_of_the_formula(
    name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    """Of a logit's weights over inputs x: E[p (1 - p) x^2], whatever the labels; of a normal: E[x^2]."""
    task = tasks[name]
    head = tiny_model.head(name)
    last = head.layers[-1]
    with torch.no_grad():
        last.weight.mul_(20)  # so that probabilities are not all alike
    vectors = encode_all(tiny_model, task.train.encoded, compute)
    inputs = head.layers[:-1](vectors)
    logits = last(inputs)
    spread = {"topic": logits.softmax(-1) * (1 - logits.softmax(-1)), "tags": logits.sigmoid() * (1 - logits.sigmoid())}
    variance = spread.get(name, torch.ones_like(logits))
    expected = (variance[:, :, None] * inputs[:, None, :].square()).mean(0).detach()
    weights = {"weight": last.weight}
    found, seeds = torch.zeros_like(last.weight), 8
    for seed in range(seeds):
        one = {"weight": torch.zeros_like(last.weight)}
        add_fisher(one, weights, head_objectives(tiny_model, tasks)[name], compute, seed)
        found += one["weight"].detach() / seeds
    assert float(found.sum()) == pytest.approx(float(expected.sum()), rel=0.15)
    assert float(torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1].detach()) > 0.95


def test_guarded_trainings_stay_nearer_to_their_start(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, compute: Compute
) -> None:
    with torch.no_grad():
        tiny_model.head("tags").layers[-1].weight.mul_(50)  # a head that says something
    start = deepcopy(tiny_model)
    texts = tasks["topic"].train.encoded
    answers = start.head("tags")(encode_all(start, texts, compute))
    moved = {}
    for guard in ("", "l2sp:1", "lwf:20", "ewc:100000"):
        tiny_model.load_state_dict(start.state_dict())
        guards = parse_guards([guard] if guard else [])
        terms = {"guards": guards, "known": frozenset({"tags", "stars"}), "watched": frozenset({"tags", "stars"})}
        done = run(tiny_model, tasks, terms=terms, epochs=4, dropout=0.0, batch_tokens=120)
        steps = [line for line in done.log if "losses" in line]
        assert all(set(line["losses"]) == {"topic", *(f"guard:{choice.name}" for choice in guards)} for line in steps)
        now = {name: weight for name, weight in tiny_model.state_dict().items() if name.startswith("backbone.blocks")}
        found = distances({name: start.state_dict()[name] for name in now}, now)
        moved[guard, "weights"] = sum(each for each in found.values() if each is not None)
        drifted = drift(tiny_model.head("tags"), answers, encode_all(tiny_model, texts, compute), 2.0)
        moved[guard, "answers"] = float(drifted.detach())
    for guard, what in (("l2sp:1", "weights"), ("lwf:20", "answers"), ("ewc:100000", "weights")):
        assert moved[guard, what] < 0.6 * moved["", what], guard


def test_guards_are_read_with_their_numbers() -> None:
    assert parse_guards([]) == ()
    assert parse_guards(["l2sp", "lwf:0.5:3", "ewc:2e3"]) == (
        GuardChoice("l2sp"),
        GuardChoice("lwf", (0.5, 3.0)),
        GuardChoice("ewc", (2000.0,)),
    )


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["l2ps"], r"--guard l2ps: no such guard; choose from l2sp\[:ALPHA\[:BETA\]\], ewc.*; did you mean 'l2sp'\?"),
        (["lwf", "lwf:2"], "--guard lwf is given twice"),
        (["ewc:1:2"], r"--guard ewc:1:2: write ewc\[:LAMBDA\], with numbers above 0"),
        (["l2sp:"], r"--guard l2sp:: write l2sp\[:ALPHA\[:BETA\]\], with numbers above 0"),
        (["lwf:-1"], "--guard lwf:-1: write lwf"),
        (["lwf:nan"], "--guard lwf:nan: write lwf"),
        (["lwf:1:inf"], "--guard lwf:1:inf: write lwf"),
    ],
)
def test_wrong_guards_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_guards(texts)


@pytest.mark.parametrize(("guard", "decays"), [("l2sp", False), ("lwf", True)])
def test_l2sp_replaces_weight_decay(
    guard: str, decays: bool, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weight decay of each weight in the optimizer, with guards that replace decay and guards that do not."""
    seen: set[float] = set()
    take = EagerAdamW.step

    def step(self: EagerAdamW) -> None:
        seen.update(group["weight_decay"] for group in self.param_groups if any(one.ndim >= 2 for one in group["params"]))
        take(self)

    monkeypatch.setattr(EagerAdamW, "step", step)
    (choice,) = parse_guards([guard])
    terms = {"known": frozenset({"tags"}), "watched": frozenset({"tags", "stars"}), "guards": (choice,)}
    run(tiny_model, tasks, terms=terms, epochs=1, weight_decay=0.3)
    assert seen == ({0.3} if decays else {0.0})
