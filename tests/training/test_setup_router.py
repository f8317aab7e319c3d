"""A training with a router is the training without, and then the router is taught."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from cutting import timeless
from support import notes

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.model.heads.router import Router
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Parts

Run = Callable[..., Any]
WEIGHTS = {f"router.{name}" for name in ("weight", "bias", "center", "spread")}


@pytest.mark.parametrize("frozen", [[], ["backbone"], ["head:tags"]])
def test_backbone_and_heads_are_the_same_to_the_last_bit(
    frozen: list[str], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    other = deepcopy(tiny_model)
    without = run(other, tasks, frozen, epochs=2, weight_decay=0.1, clip=0.1, track_every=0)
    with_one = run(tiny_model, tasks, frozen, epochs=2, weight_decay=0.1, clip=0.1, terms={"router": True}, track_every=0)
    state, wanted = tiny_model.state_dict(), other.state_dict()
    assert set(state) - set(wanted) == WEIGHTS
    assert all(torch.equal(state[name], weight) for name, weight in wanted.items())
    assert timeless(with_one.log) == timeless(without.log)  # every loss, norm and score
    assert with_one.epochs == without.epochs
    assert tiny_model.router is not None
    assert tiny_model.router.tasks == ("topic", "tags", "stars")  # watched tasks, too
    assert "the router recognises the task of" in notes(with_one.events)
    assert not any(part.name == "router" for event in with_one.events if isinstance(event, Parts) for part in event.parts)


@pytest.mark.slow
def test_a_router_that_the_model_brings_takes_no_part(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    """The optimizer, the clipping, the best weights and the proof of freezing go over all weights of the model."""
    other = deepcopy(tiny_model)
    run(other, tasks)
    tiny_model.router = Router(tiny_model.vector_dim, ("stars", "tags", "topic"))
    with torch.no_grad():
        tiny_model.router.weight.normal_()
    done = run(tiny_model, tasks)
    state = tiny_model.state_dict()
    assert all(torch.equal(state[name], weight) for name, weight in other.state_dict().items())
    assert set(state) - set(other.state_dict()) == WEIGHTS  # made again, though it was not asked for
    assert "the router recognises the task of" in notes(done.events)


def test_a_router_of_other_tasks_is_left_out(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    tiny_model.router = Router(tiny_model.vector_dim, ("topic", "mood"))
    done = run(tiny_model, tasks, epochs=1)
    assert tiny_model.router is None
    assert "router distinguishes topic, mood" in notes(done.events)
