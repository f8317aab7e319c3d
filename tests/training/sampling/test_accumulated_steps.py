from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support import losses_of, train_steps

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import DivergedError
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.loop import Step
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.sampling.steps import group_sizes, groups

STEADY = LearningRate(1e-3, 10, warmup=0.0, floor=1.0)
PIECES: list[MicroBatch] = [
    {"topic": np.array([0, 1, 2])},
    {"stars": np.array([3, 4])},
    {"topic": np.array([5])},
    {"topic": np.array([6, 7])},
]


@pytest.mark.parametrize(("pieces", "accumulate", "sizes"), [(9, 4, [4, 4, 1]), (8, 4, [4, 4]), (3, 1, [1, 1, 1]), (2, 5, [2])])
def test_no_step_mixes_two_epochs(pieces: int, accumulate: int, sizes: list[int]) -> None:
    assert group_sizes(pieces, accumulate) == sizes


def test_pieces_are_asked_for_with_their_step() -> None:
    taken: list[int] = []

    def work() -> Iterator[int]:
        for piece in range(5):
            taken.append(piece)
            yield piece

    found = groups(work(), iter([2, 2, 2, 2]))
    assert taken == []
    assert next(found) == (0, 1)
    assert taken == [0, 1]
    assert list(found) == [(2, 3), (4,)]


def gradients(model: MultiTaskModel, pieces: list[MicroBatch], tasks: dict[str, TaskData]) -> dict[str, torch.Tensor]:
    """Of the sum over tasks of the mean over a task's pieces."""
    losses = losses_of(model, head_objectives(model, tasks))
    found = [losses(piece) for piece in pieces]
    total = sum(torch.stack([one[name] for one in found if name in one]).mean() for name in ("topic", "stars"))
    assert isinstance(total, torch.Tensor)
    names = [name for name, _ in model.named_parameters()]
    each = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return {name: one for name, one in zip(names, each, strict=True) if one is not None}


def test_the_gradient_of_a_task_is_the_mean_over_its_own_pieces(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, applied: list[dict[str, torch.Tensor]]
) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    expected = gradients(tiny_model, PIECES, tasks)
    alone = [{name: loss.item() for name, loss in losses(piece).items()} for piece in PIECES]
    (step,) = train_steps(
        tiny_model, PIECES, losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute, takes=[4], names_of=list
    )  # fmt: skip
    assert applied[0].keys() == expected.keys()  # the head of `tags`, which is in no piece, has none
    for name, gradient in expected.items():
        torch.testing.assert_close(applied[0][name], gradient, atol=1e-6, rtol=1e-4, msg=name)
    assert step.pieces == tuple(PIECES)
    assert [list(one) for one in step.each] == [["topic"], ["stars"], ["topic"], ["topic"]]
    assert step.losses["topic"] == pytest.approx(sum(alone[place]["topic"] for place in (0, 2, 3)) / 3, rel=1e-5)
    assert step.losses["stars"] == pytest.approx(alone[1]["stars"], rel=1e-5)


def test_without_names_a_loss_counts_for_its_part_of_all_pieces(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute, applied: list[dict[str, torch.Tensor]]
) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    pieces = [PIECES[0], PIECES[2]]
    for more in ({"takes": [2]}, {"takes": [2], "names_of": list}):
        list(train_steps(tiny_model, pieces, losses, LearningRate(0.0, 1), weight_decay=0.0, clip=0.0, compute=compute, **more))  # type: ignore[arg-type]
    assert all(torch.equal(applied[0][name], applied[1][name]) for name in applied[0])


def test_a_piece_a_step_is_the_default(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    steps = list(train_steps(tiny_model, PIECES, losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute))
    assert [piece for step in steps for piece in step.pieces] == PIECES
    assert all(step.losses == step.each[0] for step in steps)


def test_the_rows_of_the_piece_that_is_not_finite_are_named(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:  # fault 16
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    with torch.no_grad():
        next(iter(tiny_model.head("stars").parameters())).fill_(float("nan"))
    before = {name: weight.clone() for name, weight in tiny_model.named_parameters()}
    steps: list[Step[MicroBatch]] = []
    with pytest.raises(DivergedError, match=r"loss of 'stars' is nan at step 1 \(rows 3, 4 of 'stars'\)"):
        steps += train_steps(
            tiny_model, PIECES, losses, STEADY, weight_decay=0.0, clip=0.0, compute=compute,
            describe=losses.describe, takes=[4], names_of=list,
        )  # fmt: skip
    assert steps == []
    assert all(torch.equal(weight, before[name]) for name, weight in tiny_model.named_parameters() if "stars" not in name)
