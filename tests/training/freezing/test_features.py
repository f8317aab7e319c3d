"""Cached vectors and hidden states give the outputs of the whole backbone, and the same gradients above them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from support import SHAPES, freezing_of, reshaped, spoil
from torch import Tensor

from mtlkit.data.datasets.pair_data import prepare_pairs
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, encode_hidden_states
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing.apply import apply_freeze, prefix_depth, training_mode
from mtlkit.training.freezing.features import CachedVectors, FeatureSource, MemoryStore, TokenStore, UpperBackbone, WholeBackbone
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.objectives.pairs import PairsObjective
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.task_losses import TaskLosses

ROUND_ROBIN: list[MicroBatch] = [{"topic": np.array([40, 3, 17])}, {"tags": np.array([9, 0])}, {"stars": np.array([11])}]
JOINT: list[MicroBatch] = [{"topic": np.array([40, 3, 17]), "tags": np.array([9, 0]), "stars": np.array([11, 11])}]
CPU = torch.device("cpu")


def outcomes(
    model: MultiTaskModel, tasks: dict[str, TaskData], vectors_of: FeatureSource, pieces: list[MicroBatch]
) -> Iterator[Tensor]:
    """Losses of some pieces of work, then the gradient of everything that has one."""
    model.zero_grad()
    losses = TaskLosses(head_objectives(model, tasks), vectors_of)
    for piece in pieces:
        torch.manual_seed(2)  # dropout
        found = losses(piece)
        assert list(found) == list(piece)
        yield from (loss.detach() for loss in found.values())
        sum(found.values()).backward()  # type: ignore[union-attr]
    yield from (weight.grad for weight in model.parameters() if weight.grad is not None)


def assert_same(left: Iterator[Tensor], right: list[Tensor]) -> None:
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("pieces", [ROUND_ROBIN, JOINT], ids=["round-robin", "joint"])
@pytest.mark.parametrize("shape", SHAPES)
def test_kept_vectors_give_losses_and_gradients_of_the_backbone(
    shape: str, pieces: list[MicroBatch], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    model = reshaped(tiny_model, shape)
    frozen = freezing_of(model, ["backbone"]).always
    apply_freeze(model, frozen)
    model.eval()  # kept vectors come in another order than those of a batch, so dropout in a head would meet others
    expected = list(outcomes(model, tasks, WholeBackbone(model, head_objectives(model, tasks), CPU), pieces))
    stores = {name: MemoryStore(encode_all(model, task.train.encoded, compute)) for name, task in tasks.items()}
    spoil(model, 3)
    assert_same(outcomes(model, tasks, CachedVectors(stores, head_objectives(model, tasks)), pieces), expected)


@pytest.mark.parametrize("pieces", [ROUND_ROBIN, JOINT], ids=["round-robin", "joint"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_kept_states_give_losses_and_gradients_of_the_whole_backbone(
    shape: str, depth: int, pieces: list[MicroBatch], tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    """Dropout is on in the blocks above; idle tokens that round a batch up must not be dropped differently."""
    model = reshaped(tiny_model, shape)
    frozen = freezing_of(model, ["embeddings", f"layers:0-{depth - 1}"]).always
    assert prefix_depth([name for name, _ in model.named_parameters()], frozen) == depth
    apply_freeze(model, frozen)
    training_mode(model, frozen)
    objectives = head_objectives(model, tasks)
    expected = list(outcomes(model, tasks, WholeBackbone(model, objectives, CPU), pieces))
    stores = {
        name: TokenStore(MemoryStore(encode_hidden_states(model, task.train.encoded, compute, depth)), task.train.encoded)
        for name, task in tasks.items()
    }
    spoil(model, depth)
    assert_same(outcomes(model, tasks, UpperBackbone(model, objectives, CPU, stores, depth), pieces), expected)
    assert any(weight.grad is not None for weight in model.backbone.parameters()) == (depth < 3 or shape != "post")


def test_examples_of_two_texts_find_the_states_of_both(
    tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute
) -> None:
    model = reshaped(tiny_model, "ours")
    firsts, seconds = ["The cat sleeps.", "A dog", "A saw lies on the shelf."], ["The otter", "dogs and cats", "A lathe."]
    pairs = prepare_pairs(firsts, seconds, [], text_encoder)
    objectives = {"pairs": PairsObjective(pairs, pairs, 0.05, (32,))}
    piece = {"pairs": np.array([2, 0])}
    ((expected, rows),) = WholeBackbone(model, objectives, CPU)(piece).values()
    stores = {"pairs": TokenStore(MemoryStore(encode_hidden_states(model, pairs.encoded, compute, 2)), pairs.encoded)}
    spoil(model, 2)
    ((found, again),) = UpperBackbone(model, objectives, CPU, stores, 2)(piece).values()
    assert rows.tolist() == again.tolist()
    assert sorted(rows) == [0, 2, 3, 5]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
