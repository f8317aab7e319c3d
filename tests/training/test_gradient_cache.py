"""Gradients of micro-batches are those of the whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of, reshaped
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import cut_by_tokens
from mtlkit.data.datasets.pair_data import prepare_pairs
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_hidden_states
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.gradient_methods import VectorGradients
from mtlkit.training.continual.lwf import LwF
from mtlkit.training.freezing.apply import apply_freeze, training_mode
from mtlkit.training.freezing.features import FeatureSource, MemoryStore, PartOfBatch, TokenStore, UpperBackbone, WholeBackbone
from mtlkit.training.gradient_cache import GradientCache
from mtlkit.training.losses import Losses
from mtlkit.training.objectives.base import Objective, head_objectives
from mtlkit.training.objectives.contrastive import SimilarityObjective
from mtlkit.training.objectives.labels import labels_objective
from mtlkit.training.objectives.pairs import PairsObjective, TripletsObjective
from mtlkit.training.rng import RandomState
from mtlkit.training.task_losses import TaskLosses

CPU = torch.device("cpu")
TOKENS = 20  # a text of the tests has 5 to 12
WORDS = ["cat", "dog", "horse", "saw", "drill", "lathe"]


def objective_of(name: str, tasks: dict[str, TaskData], encoder: TextEncoder) -> Objective:
    firsts, seconds = [f"The {word} sleeps." for word in WORDS], [f"A {word} lies near the barn." for word in WORDS]
    negatives = [[*seconds[2:], *seconds[:2]]]
    if name == "labels":
        return labels_objective(tasks["topic"], 0.1, [32, 8], 0)
    if name == "similarity":
        scored = prepare_pairs(firsts, seconds, [1.0, 3.0, 2.0, 0.0, 5.0, 4.0], encoder)
        return SimilarityObjective(scored, scored, [32, 8])
    pairs = prepare_pairs(firsts, seconds, [], encoder, negatives)
    return (
        PairsObjective(pairs, pairs, 0.05, [32, 8]) if name == "pairs" else TripletsObjective(pairs, pairs, 0.5, "cosine", [32])
    )


def outcome(model: MultiTaskModel, losses: TaskLosses, piece: dict[str, Any]) -> list[Tensor]:
    """The losses of a piece of work, then the gradients of all weights."""
    model.zero_grad()
    found = losses(piece)
    sum(found.values()).backward()  # type: ignore[union-attr]
    return [*(loss.detach() for loss in found.values()), *gradients(model)]


def gradients(model: MultiTaskModel) -> list[Tensor]:
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


def assert_close(actual: list[Tensor], expected: list[Tensor]) -> None:
    assert len(actual) == len(expected) > 5
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["pairs", "triplets", "similarity", "labels"])
def test_objectives_within_a_batch(
    name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], text_encoder: TextEncoder
) -> None:
    model = reshaped(tiny_model, "ours")
    objectives = {"one": objective_of(name, tasks, text_encoder)}
    piece = {"one": np.array([4, 1, 5, 0, 3])}
    whole = WholeBackbone(model, objectives, CPU)
    expected = outcome(model, TaskLosses(objectives, whole), piece)
    cached = GradientCache(whole, RandomState(model, CPU), TOKENS)
    assert_close(outcome(model, TaskLosses(objectives, cached), piece), expected)


def test_tasks_with_heads_guards_and_balanced_gradients(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> None:
    pytest.importorskip("torchjd")
    model = reshaped(tiny_model, "ours")
    objectives = head_objectives(model, tasks)
    piece = {"topic": np.array([40, 3, 17, 5]), "tags": np.array([9, 0]), "stars": np.array([11])}
    whole = WholeBackbone(model, objectives, CPU)
    guard = object.__new__(LwF)  # of the outputs of one head on the texts of another task
    guard.model, guard.alpha, guard.temperature = model, 1.0, 2.0
    guard.initial, guard.of_pairs, guard.of_words = {"topic": {"stars": torch.zeros(60, 1)}}, [], set()
    found = []
    for source in (whole, GradientCache(whole, RandomState(model, CPU), TOKENS)):
        found.append(outcome(model, TaskLosses(objectives, source, {"lwf": guard}), piece))
        model.zero_grad()
        losses = TaskLosses(objectives, source)(piece)
        assert isinstance(losses, Losses)
        VectorGradients("torchjd:mgda", model).backward(losses, dict.fromkeys(losses, 1.0))
        found[-1] += gradients(model)
    assert_close(found[1], found[0])


def in_parts(source: WholeBackbone, piece: dict[str, Any]) -> Any:
    """The vectors of micro-batches, one after another, with all activations kept."""
    vectors = {}
    for name, rows in piece.items():
        data = source.objectives[name].train
        batch = data.batch(rows)
        parts = [data.encoded.batch(part) for part in cut_by_tokens(batch.rows, data.encoded.lengths, TOKENS)]
        vectors[name] = (
            torch.cat([source.encode([PartOfBatch({name: rows}, data.encoded, part)], part) for part in parts]),
            batch.rows,
        )
    return vectors


def test_dropout_is_the_same_in_both_passes(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], text_encoder: TextEncoder
) -> None:
    model = reshaped(tiny_model, "ours").train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.3
    objectives = {"one": objective_of("pairs", tasks, text_encoder)}
    piece = {"one": np.array([4, 1, 5, 0])}
    whole, random = WholeBackbone(model, objectives, CPU), RandomState(model, CPU, seed=3)
    start = random.now()
    expected = outcome(model, TaskLosses(objectives, lambda piece: in_parts(whole, piece)), piece)
    end = random.now()
    random.back_to(start)
    found = outcome(model, TaskLosses(objectives, GradientCache(whole, random, TOKENS)), piece)
    assert_close(found, expected)
    assert all(torch.equal(one, other) for one, other in zip(random.now(), end, strict=True))
    random.back_to(start)
    others = outcome(model, TaskLosses(objectives, whole), piece)
    assert not torch.allclose(found[0], others[0])  # dropout has an effect


def test_one_micro_batch_at_a_time(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is encoded in the first pass and again in the backward pass, and only its activations are kept."""
    model = reshaped(tiny_model, "ours")
    objectives = {"one": objective_of("pairs", tasks, text_encoder)}
    whole = WholeBackbone(model, objectives, CPU)
    sizes: list[int] = []
    encode: Callable[[Batch, str], Tensor] = model.encode

    def counted(batch: Batch, task: str) -> Tensor:
        sizes.append(batch.tokens)
        return encode(batch, task)

    monkeypatch.setattr(model, "encode", counted)
    kept = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    piece = {"one": np.arange(6)}
    amounts = []
    for source in (whole, GradientCache(whole, RandomState(model, CPU), TOKENS)):
        kept = 0
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = TaskLosses(objectives, source)(piece)["one"]
        amounts.append(kept)
        first = list(sizes)
        loss.backward()  # type: ignore[no-untyped-call]
    assert amounts[1] < amounts[0] / 5
    assert len(first) > 4
    whole_batch, *parts = first
    assert max(parts) <= TOKENS < whole_batch == sum(parts)
    assert sizes[len(first) :] == parts[::-1]


def test_above_frozen_layers(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute) -> None:
    model = reshaped(tiny_model, "ours")
    frozen = freezing_of(model, ["embeddings,layers:0"]).always
    apply_freeze(model, frozen)
    training_mode(model, frozen)
    model.eval()
    objectives = head_objectives(model, tasks)
    stores = {
        name: TokenStore(MemoryStore(encode_hidden_states(model, task.train.encoded, compute, 1)), task.train.encoded)
        for name, task in tasks.items()
    }
    piece = {"topic": np.array([40, 3, 17, 5]), "tags": np.array([9, 0])}
    source: FeatureSource = UpperBackbone(model, objectives, CPU, stores, 1)
    expected = outcome(model, TaskLosses(objectives, source), piece)
    assert isinstance(source, WholeBackbone)
    cached = GradientCache(source, RandomState(model, CPU), TOKENS)
    assert_close(outcome(model, TaskLosses(objectives, cached), piece), expected)


def test_a_small_batch_runs_once(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], monkeypatch: pytest.MonkeyPatch) -> None:
    model = reshaped(tiny_model, "ours")
    calls: Iterator[int] = iter(range(1))  # a second call raises StopIteration
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda batch, task: (next(calls), encode(batch, task))[1])
    objectives = head_objectives(model, tasks)
    cached = GradientCache(WholeBackbone(model, objectives, CPU), RandomState(model, CPU), 1000)
    outcome(model, TaskLosses(objectives, cached), {"topic": np.array([40, 3, 17, 5]), "tags": np.array([9, 0])})
