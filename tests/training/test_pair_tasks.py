"""Tasks whose rows are pairs of texts, in training: every source of vectors gives the losses of each pair alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from support import losses_of

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.heads.pair_vectors import joined
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.guards import GuardContext
from mtlkit.training.continual.lwf import LwF, drift
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, UpperBackbone, WholeBackbone
from mtlkit.training.objectives.base import all_inputs, head_objectives
from mtlkit.training.phases import joined as given_back
from mtlkit.training.task_losses import TaskLosses

ROWS = np.array([7, 2, 4, 2])


@pytest.fixture
def pair_tasks(tiny_model: MultiTaskModel, text_encoder: TextEncoder, tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """`same`: ten pairs of six texts of different lengths; and `topic`, of single texts."""
    spec = TaskSpec("same", "classification", ("no", "yes"), pair="vectors")
    tiny_model.add_task(spec)
    tiny_model.eval()
    texts = [SENTENCES[0], "short", SENTENCES[50] + " again and again", SENTENCES[7], "", SENTENCES[60]]
    order = [(0, 1), (1, 2), (2, 0), (3, 4), (5, 5), (0, 1), (4, 3), (2, 5), (1, 3), (3, 0)]
    labels = ["yes" if (first + second) % 2 else "no" for first, second in order]
    table = LabelledTable([texts[pair[0]] for pair in order], labels, seconds=[texts[pair[1]] for pair in order])  # type: ignore[arg-type]
    task = prepare_task(spec, "tests", table, table.select(np.arange(4)), text_encoder)
    return {"same": task, "topic": tasks["topic"]}


def test_each_pair_meets_its_own_texts_and_label(tiny_model: MultiTaskModel, pair_tasks: dict[str, TaskData]) -> None:
    head, train = tiny_model.head("same"), pair_tasks["same"].train
    assert train.pairs is not None
    apart = []
    for row in ROWS:
        first, second = (tiny_model.encode(train.encoded.batch([number])) for number in train.pairs[:, row])
        apart.append(head.loss(head(joined(first, second)), torch.from_numpy(train.labels[[row]])))
    loss = losses_of(tiny_model, head_objectives(tiny_model, pair_tasks))({"same": ROWS})["same"]
    torch.testing.assert_close(loss, torch.stack(apart).mean(), atol=1e-6, rtol=1e-5)


def test_cached_vectors_and_states_give_the_losses_of_the_backbone(
    tiny_model: MultiTaskModel, pair_tasks: dict[str, TaskData], compute: Compute
) -> None:
    objectives = head_objectives(tiny_model, pair_tasks)
    piece = {"same": ROWS, "topic": np.array([40, 3])}
    whole = losses_of(tiny_model, objectives)(piece)
    encoded = {name: task.train.encoded for name, task in pair_tasks.items()}
    cache = cache_vectors(tiny_model, encoded, compute, None, 2**20)
    assert cache.texts == 6 + len(pair_tasks["topic"].train)  # each text of pairs once
    below = cache_hidden_states(tiny_model, encoded, compute, None, 2**20, 1)
    for source in (
        CachedVectors(cache.stores, objectives),
        UpperBackbone(tiny_model, objectives, compute.device, below.stores, 1),
    ):
        for name, loss in TaskLosses(objectives, source)(piece).items():
            torch.testing.assert_close(loss, whole[name], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        CachedVectors(cache.stores, objectives).all_of("same"),
        all_inputs(pair_tasks["same"].train, encode_all(tiny_model, encoded["same"], compute)),
    )


@pytest.mark.parametrize(("trained", "rows"), [("same", ROWS), ("topic", np.array([40, 3, 17]))])
def test_lwf_keeps_an_old_head_for_pairs(
    trained: str, rows: np.ndarray, tiny_model: MultiTaskModel, pair_tasks: dict[str, TaskData], compute: Compute
) -> None:
    """On the pairs of the new task, or on neighbouring texts of a batch."""
    old = TaskSpec("old", "classification", ("a", "b"), pair="vectors")
    tiny_model.add_task(old)
    tiny_model.eval()
    objectives = head_objectives(tiny_model, {trained: pair_tasks[trained]})
    context = GuardContext(tiny_model, frozenset(), objectives, {}, frozenset(["old"]), compute, 0)
    guard, source = LwF(context, 1.0, 2.0), WholeBackbone(tiny_model, objectives, compute.device)
    piece = {trained: rows}
    vectors = source(piece)
    assert float(guard.loss(vectors, piece).detach()) == pytest.approx(0.0, abs=1e-6)
    before, numbers = vectors[trained]
    with torch.no_grad():
        for weight in tiny_model.backbone.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    moved = source(piece)
    after, head = moved[trained][0], tiny_model.head("old")
    if trained == "same":
        places = pair_tasks[trained].train.places(numbers, rows)
        assert places is not None
        sides = tuple(map(torch.from_numpy, places))
    else:
        sides = torch.arange(3), torch.tensor([1, 2, 0])
    was, now = (joined(side[sides[0]], side[sides[1]]) for side in (before, after))
    expected = drift(head, head(was).detach().float(), now, 2.0)
    torch.testing.assert_close(guard.loss(moved, piece), expected)
    assert float(expected.detach()) > 1e-5


def test_pairs_that_were_held_out_are_given_back(pair_tasks: dict[str, TaskData], tiny_model: MultiTaskModel) -> None:
    task = pair_tasks["same"]
    whole = given_back(task.train, task.validation)
    assert len(whole) == 14
    objectives = head_objectives(tiny_model, {"same": replace(task, train=whole)})
    again, known = (losses_of(tiny_model, objectives)({"same": rows})["same"] for rows in (np.arange(10, 14), np.arange(4)))
    torch.testing.assert_close(again, known)
