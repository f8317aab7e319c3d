from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from support import losses_of
from torch import Tensor, nn

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.training import Schedule
from mtlkit.data.tables import Table
from mtlkit.data.tasks import prepare_task
from mtlkit.data.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.report.tracking import in_words
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.objectives import head_objectives
from mtlkit.training.optimizer import LearningRate, make_optimizer, set_rate
from mtlkit.training.schedules import Mix, Piece, make_plans
from mtlkit.training.tracked import WHOLE, Agreement, TrackedStep, TrackingSummary
from mtlkit.training.tracking import Tracker

CPU = Compute(torch.device("cpu"), "fp32")
HALF = Compute(torch.device("cpu"), "bf16")
TASKS = ("topic", "sentiment")
TEXTS = [
    f"The {word} lies by the {place}." for place in ("river", "barn", "hill") for word in ("cat", "saw", "dog", "lathe", "otter")
]
LABELS = ["animal" if any(word in text for word in ("cat", "dog", "otter")) else "tool" for text in TEXTS]
FLIPPED = ["tool" if label == "animal" else "animal" for label in LABELS]


class Two(nn.Module):
    """Two shared weights, each in a block of its own, and one in each head. Gradients are what one likes."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.blocks = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(2))
        self.heads = nn.ModuleDict({task: nn.Linear(1, 1, bias=False) for task in ("a", "b", "c")})
        for weight, value in zip(self.parameters(), (3.0, 4.0, 2.0, 2.0, 2.0), strict=True):
            nn.init.constant_(weight, value)

    def losses(self, work: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
        """A loss with this gradient on the blocks, and 5 on its head."""
        low, high = (block.weight.sum() for block in self.backbone.blocks)  # type: ignore[union-attr, operator]
        return {task: x * low + y * high + 5 * self.heads[task].weight.sum() for task, (x, y) in work.items()}  # type: ignore[operator, union-attr]

    def track(self, every: int = 1) -> Tracker[Any]:
        return Tracker(self, tuple(self.heads), self.losses, CPU, every)


def take(
    tracker: Tracker[Any], model: Two, index: int, *pieces: dict[str, tuple[float, float]], rate: float = 0.0
) -> TrackedStep | None:
    """A step of plain gradient descent on the losses of some pieces."""
    tracker.begin(index, len(pieces))
    for piece in pieces:
        losses = model.losses(piece)
        tracker.gradients(piece, losses)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    tracker.norms()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight -= rate * weight.grad
                weight.grad = None
    return tracker.end()


def test_norms_ratios_and_cosines_by_hand() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    found = take(tracker, model, 0, {"a": (3.0, 4.0), "b": (-6.0, 8.0)}, rate=0.1)
    assert found is not None
    assert found.norms == {"layers:0": 3.0, "layers:1": 12.0, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    expected = {"layers:0": 0.3 / 3, "layers:1": 1.2 / 4, "head:a": 0.5 / 2, "head:b": 0.5 / 2, "head:c": None}
    assert found.ratios == {part: pytest.approx(value) for part, value in expected.items()}
    (pair,) = found.pairs
    assert pair.tasks == ("a", "b")
    assert pair.parts[WHOLE] == Agreement(*map(pytest.approx, (14 / 50, 2 * 50 / 125, 5 / 10)))  # type: ignore[arg-type]
    assert pair.parts["layers:0"] == Agreement(*map(pytest.approx, (-1.0, 2 * 18 / 45, 0.5)))  # type: ignore[arg-type]
    assert pair.parts["layers:1"] == Agreement(*map(pytest.approx, (1.0, 2 * 32 / 80, 0.5)))  # type: ignore[arg-type]


def test_a_task_that_the_step_lacks_is_taken_at_the_weights_of_now() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 2)
    assert take(tracker, model, 0, {"a": (3.0, 4.0)}) is None  # b was not met yet
    first = take(tracker, model, 1, {"b": (-3.0, -4.0)})
    assert take(tracker, model, 2, {"b": (1.0, 1.0)}) is None  # the turn is a's
    second = take(tracker, model, 3, {"a": (8.0, 6.0)})
    assert first is not None
    assert second is not None
    assert [step.pairs[0].tasks for step in (first, second)] == [("a", "b")] * 2
    cosines = [found.cosine for step in (first, second) if (found := step.pairs[0].parts[WHOLE])]
    assert cosines == pytest.approx([-1.0, 14 / (10 * 2**0.5)])
    assert first.norms["head:a"] is None  # nothing of it went into the step
    assert second.norms["layers:0"] == 8.0


def test_the_gradient_held_against_another_is_of_the_weights_of_now() -> None:
    class Curved(Two):
        def losses(self, work: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
            (weight, _) = (block.weight.sum() for block in self.backbone.blocks)  # type: ignore[union-attr, operator]
            return {task: (weight - place) ** 2 for task, (place, _) in work.items()}

    model = Curved()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    take(tracker, model, 0, {"a": (0.0, 0.0)}, rate=2.0)  # goes from 3 to -9, past the optimum of both
    found = take(tracker, model, 1, {"b": (0.0, 0.0)})
    assert found is not None
    assert found.pairs[0].parts[WHOLE] == Agreement(1.0, 1.0, 1.0)


def test_the_weight_of_a_loss_is_taken_out_of_its_gradient() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    take(tracker, model, 0, {"a": (3.0, 4.0)})
    tracker.begin(1)
    losses = model.losses({"b": (4.0, 3.0)})
    tracker.gradients({}, losses)
    (7 * losses["b"]).backward()  # type: ignore[no-untyped-call]
    tracker.norms({"b": torch.tensor(7.0)})
    found = tracker.end()
    assert found is not None
    assert found.norms["layers:0"] == 28.0  # what the step takes
    assert found.pairs[0].parts[WHOLE] == Agreement(*map(pytest.approx, (24 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_guards_are_no_tasks() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    for index, work in enumerate(({"a": (3.0, 4.0)}, {"b": (4.0, 3.0)})):
        tracker.begin(index)
        losses = model.losses(work)
        losses["guard:l2sp"] = 100 * model.backbone.blocks[0].weight.sum()  # type: ignore[index, operator, union-attr]
        tracker.gradients(work, losses)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        tracker.norms()
        found = tracker.end()
        model.zero_grad()
    assert found is not None
    assert found.norms["layers:0"] == 104.0
    assert found.pairs[0].parts[WHOLE] == Agreement(*map(pytest.approx, (24 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_all_pairs_take_turns() -> None:
    model = Two()
    tracker = model.track()
    work = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (1.0, 1.0)}
    met = [found.pairs[0].tasks for index in range(6) if (found := take(tracker, model, index, work))]
    assert met == [("a", "b"), ("a", "c"), ("b", "c")] * 2


def test_a_step_of_several_pieces_is_one() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    found = take(tracker, model, 0, {"a": (3.0, 4.0)}, {"a": (3.0, 4.0)}, {"b": (-3.0, 4.0)})
    assert found is None  # when it was decided, b was not met
    found = take(tracker, model, 1, {"a": (3.0, 4.0)}, {"a": (3.0, 4.0)}, {"b": (-3.0, 4.0)})
    assert found is not None
    assert found.norms["layers:1"] == 12.0
    assert found.pairs[0].parts[WHOLE] == Agreement(*map(pytest.approx, (7 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_a_task_that_never_comes_is_not_waited_for() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 10)
    found = [take(tracker, model, index, {"a": (1.0, 1.0)}) for index in range(20)]
    assert [index for index, step in enumerate(found) if step] == [4, 14]
    assert all(step.pairs == () for step in found if step)


def test_every_zero_tracks_nothing_and_one_task_has_no_pairs() -> None:
    model = Two()
    never, alone = model.track(0), Tracker(model, ("a",), model.losses, CPU, 3)
    assert [take(never, model, index, {"a": (1.0, 1.0)}) for index in range(4)] == [None] * 4
    assert never.summary() is None
    found = [take(alone, model, index, {"a": (1.0, 1.0)}) for index in range(7)]
    assert [index for index, step in enumerate(found) if step] == [0, 3, 6]
    assert all(step.pairs == () for step in found if step)


def test_a_summary_is_of_the_steps_since_the_last_one() -> None:
    model = Two()
    tracker = model.track()
    for index in range(3):
        take(tracker, model, index, dict.fromkeys("abc", (1.0, 1.0)))
    first = tracker.summary()
    assert first is not None
    assert first.steps == 3
    assert 0 < first.seconds < first.total
    assert tracker.summary() is None
    take(tracker, model, 3, dict.fromkeys("abc", (1.0, 1.0)))
    second = tracker.summary()
    assert second is not None
    assert (second.steps, second.norms["layers:0"]) == (1, 3.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_null_and_a_spike(bad: float) -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    tracker.begin(0)
    losses = model.losses({"a": (bad, 1.0), "b": (1.0, 1.0)})
    tracker.gradients({}, losses)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    tracker.norms()
    found = tracker.end(skipped=True)
    assert found is not None
    made = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert made["norms"] == {"layers:0": None, "layers:1": 2.0, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    assert set(made["ratios"].values()) == {None}
    assert made["spike"]
    assert made["pairs"][0]["parts"]["layers:0"] is None
    assert made["pairs"][0]["parts"]["layers:1"]["cosine"] == 1.0


def test_what_is_frozen_has_no_figures_until_it_thaws() -> None:
    model = Two()
    tracker = Tracker(model, ("a", "b"), model.losses, CPU, 1)
    work = {"a": (3.0, 4.0), "b": (3.0, -4.0)}
    shared = [block.weight for block in model.backbone.blocks]  # type: ignore[union-attr]
    for weight in shared:
        weight.requires_grad_(False)
    found = take(tracker, model, 0, work)
    assert found is not None
    assert found.norms == {"layers:0": None, "layers:1": None, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    assert found.pairs == ()
    shared[1].requires_grad_(True)
    found = take(tracker, model, 1, work)
    assert found is not None
    assert (found.norms["layers:0"], found.norms["layers:1"]) == (None, 0.0)
    assert set(found.pairs[0].parts) == {WHOLE, "layers:1"}
    assert words(tracker.summary()) == ""


Train = Callable[..., TrackingSummary]


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
        schedule: Schedule = "joint",
        compute: Compute = CPU,
    ) -> TrackingSummary | None:
        tables = {"topic": Table(TEXTS, list(LABELS)), "sentiment": Table(TEXTS, list(labels))}
        data = {
            name: prepare_task(spec, "tests", tables[name], tables[name].select(np.arange(3)), text_encoder)
            for name, spec in model.tasks.items()
        }
        objectives = head_objectives(model, data)
        losses = losses_of(model, objectives)
        lengths = {name: one.train.lengths for name, one in objectives.items()}
        work = Mix(make_plans(lengths, 10_000, 0), schedule).work(steps)
        tracker = Tracker(model.train(), TASKS, losses, compute, every)
        torch.manual_seed(1)
        run(model, losses, tracker, work, rate, steps)
        return tracker.summary()

    return train


def run(
    model: MultiTaskModel, losses_of: TaskLosses, tracker: Tracker[Piece], work: Iterator[Piece], rate: float, steps: int
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
    return "\n".join(in_words(found))


@pytest.mark.parametrize("schedule", ["joint", "round-robin"])
@pytest.mark.parametrize("compute", [CPU, HALF])
def test_a_calm_training_is_calm(schedule: Schedule, compute: Compute, text_encoder: TextEncoder, train: Train) -> None:
    found = train(fresh(text_encoder), schedule=schedule, compute=compute)
    assert words(found) == ""
    (pair,) = found.pairs
    assert pair.whole is not None
    assert (found.spikes, pair.whole.steps) == (0, found.steps)
    assert all(norm for part, norm in found.norms.items())


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
    assert found.spikes
    assert "exploding: the gradient is not finite, or over 10 times its median" in words(found)
    assert "exploding: a step changes" in words(found)


@pytest.mark.parametrize("schedule", ["joint", "round-robin"])
def test_flipped_labels_below_the_same_head_conflict(schedule: Schedule, text_encoder: TextEncoder, train: Train) -> None:
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


@pytest.mark.parametrize("schedule", ["joint", "round-robin"])
@pytest.mark.parametrize("compute", [CPU, HALF])
def test_tracking_changes_no_bit_of_a_training_with_dropout(
    schedule: Schedule, compute: Compute, text_encoder: TextEncoder, train: Train
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


def test_weights_that_thaw_in_mid_run_are_tracked_from_then_on(text_encoder: TextEncoder, train: Train) -> None:
    model = fresh(text_encoder)
    model.backbone.requires_grad_(False)
    heads = train(model, steps=3)
    assert {part for part, norm in heads.norms.items() if norm is not None} == {"head:topic", "head:sentiment"}
    assert heads.pairs == ()
