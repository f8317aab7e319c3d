from __future__ import annotations

import numpy as np
import pytest
import torch
from support import losses_of

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing.features import CachedVectors, MemoryStore
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.task_losses import TaskLosses

PIECE = {"topic": np.array([40, 3, 17]), "tags": np.array([9, 0]), "stars": np.array([11])}


def test_one_pass_for_all_tasks_gives_the_losses_of_a_pass_each(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    losses = losses_of(tiny_model, head_objectives(tiny_model, tasks))
    together = losses(PIECE)
    assert list(together) == list(PIECE)
    for name, rows in PIECE.items():
        torch.testing.assert_close(together[name], losses({name: rows})[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["topic", "tags", "stars"])
def test_each_text_meets_its_own_label(name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    """The batch sorts its texts by length; labels must follow."""
    rows = PIECE[name][::-1].copy()
    head, data = tiny_model.head(name), tasks[name].train
    apart = [head.loss(tiny_model(data.encoded.batch([row]), name), torch.from_numpy(data.labels[[row]])) for row in rows]
    loss = losses_of(tiny_model, head_objectives(tiny_model, tasks))({name: rows})[name]
    torch.testing.assert_close(loss, torch.stack(apart).mean(), atol=1e-6, rtol=1e-5)


def test_cached_vectors_give_the_same_losses_without_running_the_backbone(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    objectives = head_objectives(tiny_model, tasks)
    expected = losses_of(tiny_model, objectives)(PIECE)
    stores = {name: MemoryStore(encode_all(tiny_model, task.train.encoded, compute)) for name, task in tasks.items()}
    with torch.no_grad():
        for weight in tiny_model.backbone.parameters():
            weight.fill_(float("nan"))  # were it run, it would show
    for name, loss in TaskLosses(objectives, CachedVectors(stores, objectives))(PIECE).items():
        torch.testing.assert_close(loss, expected[name], atol=1e-6, rtol=1e-5)


def test_every_row_of_a_step_is_named(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:  # fault 16
    described = losses_of(tiny_model, head_objectives(tiny_model, tasks)).describe({**PIECE, "topic": np.arange(12)})
    assert described == "rows 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 of 'topic'; rows 9, 0 of 'tags'; rows 11 of 'stars'"
