from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.heads.router import Router
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.incidents import RouterDropped, RouterTrained
from mtlkit.training.objectives import router as module
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.objectives.router import RouterPlan, check_router, fit_router, some_of, take_router, teach_router

NAMES = ["topic", "stars"]
Run = Callable[..., Any]
CPU = Compute(torch.device("cpu"), "fp32")


@pytest.fixture
def apart(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> dict[str, TaskData]:
    """Two tasks on texts of different kinds, the second with a fifth of the rows of the first."""
    places = ("river", "barn", "hill", "road", "oak", "bench", "floor", "shelf", "cart", "wall")
    animals = [(f"The {word} sleeps near the {place}.", "animal") for word in ("cat", "dog", "horse") for place in places]
    tools = [(f"The {word} lies near the {place}.", "tool") for word in ("saw", "drill") for place in places]
    stars = [(f"{word}, broken on the {place}!", float(len(word))) for word in ("Bad", "Good") for place in places[:5]]
    made = {}
    for name, rows in (("topic", [*animals, *tools]), ("stars", stars)):
        texts, labels = map(list, zip(*rows, strict=True))
        table = LabelledTable(texts, labels)
        made[name] = prepare_task(tiny_model.tasks[name], "tests", table, table, text_encoder)
    return made


def told_apart(model: MultiTaskModel, tasks: dict[str, TaskData]) -> dict[str, float]:
    """The share of each task's validation texts that the model's router recognises."""
    assert model.router is not None
    found = {}
    for place, name in enumerate(model.router.tasks):
        vectors = encode_all(model, tasks[name].validation.encoded, CPU)
        found[name] = float((model.router(vectors).argmax(1) == place).float().mean())
    return found


@pytest.mark.parametrize("schedule", ["round-robin", "joint", "proportional"])
@pytest.mark.parametrize("frozen", [[], ["backbone"]])
def test_it_learns_after_any_training_and_changes_nothing_else(
    schedule: str, frozen: list[str], tiny_model: MultiTaskModel, apart: dict[str, TaskData], run: Run
) -> None:
    run(tiny_model, apart, frozen, schedule, epochs=2)
    before, numbers = deepcopy(tiny_model.state_dict()), torch.get_rng_state()
    said = teach_router(tiny_model, head_objectives(tiny_model, apart), CPU, seed=0)
    after = tiny_model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert set(after) - set(before) == {f"router.{name}" for name in ("weight", "bias", "center", "spread")}
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(weight.grad is None for weight in tiny_model.parameters())
    assert not any(one.training for one in tiny_model.modules())
    found = told_apart(tiny_model, apart)
    assert min(found.values()) >= 0.9, found
    assert said == RouterTrained(found)


def test_it_is_a_function_of_the_model_and_the_seed(
    tiny_model: MultiTaskModel, apart: dict[str, TaskData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TEXTS", 8)
    found = []
    for seed in (1, 1, 2):
        teach_router(tiny_model, head_objectives(tiny_model, apart), CPU, seed)
        assert tiny_model.router is not None
        found.append(tiny_model.router.weight.detach().clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_each_task_counts_alike_however_many_its_texts() -> None:
    """On vectors that say nothing, a router that counted texts would take all for the larger task."""
    torch.manual_seed(1)
    router = fit_router({"topic": torch.randn(900, 8), "stars": torch.randn(100, 8)})
    with torch.no_grad():
        likely = router(torch.randn(2000, 8)).softmax(1).mean(0)
    assert abs(float(likely[0]) - 0.5) < 0.1


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_the_scale_of_vectors_does_not_matter(scale: float) -> None:
    torch.manual_seed(1)
    groups = [torch.randn(60, 8) * scale + scale * (100 + place) for place in range(3)]
    router = fit_router(dict(zip("abc", groups, strict=True)))
    assert router.tasks == ("a", "b", "c")
    for place, group in enumerate(groups):
        assert float((router(group).argmax(1) == place).float().mean()) > 0.8


def test_it_is_as_sure_as_it_is_right() -> None:
    torch.manual_seed(1)
    drawn = {name: torch.randn(1600, 16) + 0.3 * place for place, name in enumerate(NAMES)}
    router = fit_router({name: vectors[:600] for name, vectors in drawn.items()})
    with torch.no_grad():
        likely = torch.stack([router(vectors[600:]).softmax(1) for vectors in drawn.values()])
    right = torch.stack([likely[place].argmax(1) == place for place in range(2)]).float().mean()
    assert abs(float(likely.amax(-1).mean()) - float(right)) < 0.05
    assert right < 0.9


def test_vectors_that_are_all_the_same_leave_it_undecided() -> None:
    router = fit_router({name: torch.ones(5, 4) for name in NAMES})
    with torch.no_grad():
        assert torch.equal(router(torch.ones(1, 4)).softmax(1), torch.tensor([[0.5, 0.5]]))


def test_texts_are_drawn_by_the_seed(
    tiny_model: MultiTaskModel, apart: dict[str, TaskData], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = apart["topic"].train.encoded
    assert some_of(encoded, "topic", 0) is encoded
    monkeypatch.setattr(module, "TEXTS", 20)
    drawn = some_of(encoded, "topic", 0)
    assert len(drawn) == 20
    everything = [tuple(encoded.batch([row]).ids.tolist()) for row in range(len(encoded))]
    texts = [tuple(drawn.batch([row]).ids.tolist()) for row in range(20)]
    assert len(set(texts) & set(everything)) == len(set(texts)) == 20
    assert np.array_equal(some_of(encoded, "topic", 0).ids, drawn.ids)
    assert not np.array_equal(some_of(encoded, "topic", 1).offsets, drawn.offsets)


@pytest.mark.parametrize("asked", [False, True])
def test_a_router_of_the_same_tasks_is_made_again(asked: bool, tiny_model: MultiTaskModel) -> None:
    tiny_model.router = Router(tiny_model.vector_dim, ("stars", "topic"))
    assert take_router(tiny_model, NAMES, asked) == RouterPlan(True)
    assert tiny_model.router is None


def test_a_router_of_other_tasks_makes_room(tiny_model: MultiTaskModel) -> None:
    for asked in (False, True):
        tiny_model.router = Router(tiny_model.vector_dim, ("topic", "tags"))
        assert take_router(tiny_model, NAMES, asked) == RouterPlan(asked, RouterDropped(("topic", "tags"), tuple(NAMES), asked))
        assert tiny_model.router is None


def test_a_training_without_labelled_tasks_leaves_it_out(tiny_model: MultiTaskModel) -> None:
    tiny_model.router = Router(tiny_model.vector_dim, NAMES)
    assert take_router(tiny_model, [], requested=False) == RouterPlan(False, RouterDropped(tuple(NAMES), (), replaced=False))


def test_a_model_without_one_gets_one_when_asked(tiny_model: MultiTaskModel) -> None:
    assert take_router(tiny_model, NAMES, requested=False) == RouterPlan(False)
    assert take_router(tiny_model, NAMES, requested=True) == RouterPlan(True)


def test_one_task_alone_needs_no_router() -> None:
    with pytest.raises(
        UsageError, match=r"--router needs two tasks to distinguish, and only 'topic' has data; add a --task or --watch"
    ):
        check_router({"topic": "topic"})
    check_router({name: name for name in NAMES})
    with pytest.raises(UsageError, match="topic, mood have the same"):
        check_router({"topic": "a.csv", "mood": "a.csv", "other": "other"})
