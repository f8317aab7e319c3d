"""Gradient statistics of trainings that go well and of ones that go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from support import losses_of
from torch import nn

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare_task
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.report.training.tracking import tracking_messages
from mtlkit.training.diagnostics.gradient_stats import TrackingSummary
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import LearningRate, make_optimizer, set_rate
from mtlkit.training.sampling.mixture import MicroBatch, TaskMixture, make_samplers
from mtlkit.training.task_losses import TaskLosses

CPU = Compute(torch.device("cpu"), "fp32")
HALF = Compute(torch.device("cpu"), "bf16")
TASKS = ("topic", "sentiment")
TEXTS = [
    f"The {word} lies by the {place}." for place in ("river", "barn", "hill") for word in ("cat", "saw", "dog", "lathe", "otter")
]
LABELS = ["animal" if any(word in text for word in ("cat", "dog", "otter")) else "tool" for text in TEXTS]
FLIPPED = ["tool" if label == "animal" else "animal" for label in LABELS]

WAYS = pytest.mark.parametrize(
    ("schedule", "compute"),
    [("joint", CPU), ("round-robin", CPU), ("joint", HALF), pytest.param("round-robin", HALF, marks=pytest.mark.slow)],
)

Train = Callable[..., Any]


def fresh(text_encoder: TextEncoder, **shape: Any) -> MultiTaskModel:
    """A fresh model with two heads of the same labels."""
    torch.manual_seed(0)
    made = {"layers": 2, "dim": 32, "heads": 2, "max_length": 32, "attention": "bidirectional", **shape}
    architecture = Architecture(text_encoder.tokenizer.get_vocab_size(), **made)
    return MultiTaskModel(Encoder(architecture), [TaskSpec(name, "classification", ("animal", "tool")) for name in TASKS])


@pytest.fixture
def train(text_encoder: TextEncoder) -> Train:
    """Trains on the same texts twice, a batch of all of them a step, and tracks each look of `every`."""

    def train(
        model: MultiTaskModel,
        rate: float = 1e-3,
        steps: int = 16,
        every: int = 1,
        labels: list[str] = LABELS,
        schedule: str = "joint",
        compute: Compute = CPU,
    ) -> TrackingSummary | None:
        tables = {"topic": LabelledTable(TEXTS, list(LABELS)), "sentiment": LabelledTable(TEXTS, list(labels))}
        data = {
            name: prepare_task(spec, "tests", tables[name], tables[name].select(np.arange(3)), text_encoder)
            for name, spec in model.tasks.items()
        }
        objectives = head_objectives(model, data)
        losses = losses_of(model, objectives)
        lengths = {name: one.train.lengths for name, one in objectives.items()}
        work = TaskMixture(make_samplers(lengths, 10_000, 0), schedule).work(steps)
        tracker = GradientTracker(model.train(), TASKS, losses, compute, every)
        torch.manual_seed(1)
        run(model, losses, tracker, work, rate, steps)
        return tracker.summary()

    return train


def run(
    model: MultiTaskModel,
    losses_of: TaskLosses,
    tracker: GradientTracker[MicroBatch],
    work: Iterator[MicroBatch],
    rate: float,
    steps: int,
) -> None:
    weights = dict(model.named_parameters())
    optimizer = make_optimizer(weights, 0.01)
    for index, piece in zip(range(steps), work, strict=False):
        set_rate(optimizer, LearningRate(rate, steps).at(index), index)
        tracker.begin(index)
        with tracker.pairs.compute.autocast():
            losses = losses_of(piece)
        tracker.gradients(piece, losses)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        tracker.norms()
        nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tracker.end()


def words(found: TrackingSummary | None) -> str:
    assert found is not None
    json.dumps(found.to_json(), allow_nan=False)
    return "\n".join(tracking_messages(found))


@WAYS
def test_a_calm_training_is_calm(schedule: str, compute: Compute, text_encoder: TextEncoder, train: Train) -> None:
    found = train(fresh(text_encoder), schedule=schedule, compute=compute)
    assert words(found) == ""
    (pair,) = found.pairs
    assert pair.whole is not None
    assert pair.whole.steps == found.steps
    assert all(norm for part, norm in found.norms.items())


@pytest.mark.slow
def test_deep_post_norm_at_a_bad_scale_vanishes(text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder, layers=12, norm="post", embedding_norm=True)
    assert "vanishing" not in words(train(deepcopy(model), steps=4))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("attention.out.bias", "contract.bias")):
                weight.normal_(std=1.0)  # each norm divides what it is handed by all that such biases add
    assert "vanishing below block" in words(train(model, steps=4))


def test_a_huge_rate_explodes(text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder)
    found = train(model, rate=3.0, steps=8)
    assert "exploding: a step changes" in words(found)


@pytest.mark.parametrize("schedule", ["joint", "round-robin"])
def test_flipped_labels_below_the_same_head_conflict(schedule: str, text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder, dropout=0.0)
    model.head("sentiment").load_state_dict(model.head("topic").state_dict())
    model.heads.requires_grad_(False)
    assert words(train(deepcopy(model), schedule=schedule)) == ""
    found = train(model, schedule=schedule, labels=FLIPPED)
    assert "topic and sentiment conflict in 100 % of steps, most in " in words(found)
    assert found.norms["head:topic"] is None


def test_a_loud_task_drowns_a_quiet_one(text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder)
    with torch.no_grad():
        for weight in model.head("sentiment").parameters():
            weight.mul_(30)
    assert "sentiment's gradient is" in words(train(model, rate=1e-5))


@WAYS
def test_tracking_changes_no_bit_of_a_training_with_dropout(
    schedule: str, compute: Compute, text_encoder: TextEncoder, train: Train
) -> None:
    start = fresh(text_encoder, dropout=0.3)
    plain, tracked = deepcopy(start), deepcopy(start)
    assert train(plain, every=0, schedule=schedule, compute=compute) is None
    random = torch.get_rng_state()
    found = train(tracked, every=3, schedule=schedule, compute=compute)
    assert torch.equal(torch.get_rng_state(), random)
    assert found.steps == 6
    assert found.pairs
    for name, weight in tracked.state_dict().items():
        assert torch.equal(weight, plain.state_dict()[name]), name


def test_a_backbone_that_is_wholly_frozen_leaves_the_heads(text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder)
    model.backbone.requires_grad_(False)
    found = train(model, steps=3)
    assert {part for part, norm in found.norms.items() if norm is not None} == {"head:topic", "head:sentiment"}
    assert found.pairs == ()
    assert words(found) == ""


@pytest.mark.parametrize("pooling", ["mean", "weighted"])
def test_parts_are_listed_from_the_embeddings_upwards(pooling: str, text_encoder: TextEncoder, train: Train) -> None:
    found = train(fresh(text_encoder, pooling=pooling), steps=1)
    assert list(found.norms) == ["embeddings", "layers:0", "layers:1", "pooling", "head:topic", "head:sentiment"]
