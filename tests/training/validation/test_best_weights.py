from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from cutting import as_saved, assert_same_weights

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.validation.best_weights import BestWeights
from mtlkit.training.validation.evaluator import Score, trained_weights
from mtlkit.training.validation.small_data import FewValidationRows, NotMeasured

NEVER = frozenset({"backbone.tokens.weight"})


@pytest.fixture
def make(tiny_model: MultiTaskModel, tasks: dict[str, TaskData]) -> Any:
    def make(select: str = "mean", keep: bool = True) -> BestWeights:
        objectives = head_objectives(tiny_model, {name: tasks[name] for name in ("topic", "stars")})
        return BestWeights(tiny_model, objectives, select, NEVER, keep)

    return make


def states(topic: float, stars: float, tags: float = 0.0, loss: float = 1.0) -> list[TaskState]:
    """An evaluation; `tags` is watched."""
    each = {"topic": ("accuracy", topic), "stars": ("spearman", stars), "tags": ("micro_f1", tags)}
    return [
        TaskState(name, "any", None, {"loss": loss, metric: value}, 1, 1, name == "tags")
        for name, (metric, value) in each.items()
    ]


def add(
    best_weights: BestWeights, epoch: int, topic: float, stars: float, *, step: int = 0, ends: bool = True, loss: float = 1.0
) -> bool:
    """Sets all weights to a value, then adds an evaluation of them."""
    with torch.no_grad():
        for weight in best_weights.model.parameters():
            weight.fill_(epoch + step / 100)
    scores = {"topic": topic, "stars": stars, "tags": 1.0}
    return best_weights.add(states(topic, stars, loss=loss), scores, epoch, step or 10 * epoch, ends=ends)


def value_of(weights: Any) -> float:
    """The value that all weights have."""
    (value,) = {round(found, 4) for weight in weights.values() for found in weight.flatten().tolist()}
    return float(value)


def test_each_task_has_a_best_of_its_own_beside_that_of_all(make: Any) -> None:
    best_weights = make()
    assert [add(best_weights, 1, 0.5, 0.9), add(best_weights, 2, 0.8, 0.7), add(best_weights, 3, 0.9, 0.1)] == [True, True, False]
    assert (best_weights.best.rank, best_weights.best.scores["stars"], value_of(best_weights.best.weights)) == (
        Score(0.75, 2.0),
        0.7,
        2.0,
    )
    assert {name: (one.rank.score, one.epoch, one.step) for name, one in best_weights.tasks.items()} == {
        "topic": (0.9, 3, 30),
        "stars": (0.9, 1, 10),
    }
    assert {name: value_of(one.weights) for name, one in best_weights.tasks.items()} == {"topic": 3.0, "stars": 1.0}
    expected = trained_weights(best_weights.model, NEVER).keys()
    assert best_weights.best.weights.keys() == best_weights.tasks["topic"].weights.keys() == expected
    assert "backbone.tokens.weight" not in expected


@pytest.mark.parametrize(("select", "best"), [("mean", 3), ("min", 2), ("topic", 3), ("stars", 1)])
def test_what_the_best_is_chosen_by(select: str, best: int, make: Any) -> None:
    best_weights = make(select)
    for epoch, (topic, stars) in enumerate([(0.5, 0.9), (0.7, 0.8), (1.0, 0.6)], 1):
        add(best_weights, epoch, topic, stars)
    assert value_of(best_weights.best.weights) == best
    assert best_weights.score(states(0.25, 0.5)) == {"mean": 0.375, "min": 0.25, "topic": 0.25, "stars": 0.5}[select]


def test_of_equal_scores_the_lower_loss_is_better_and_an_equal_one_is_not(make: Any) -> None:
    best_weights = make()
    assert [add(best_weights, epoch, 0.5, 0.5, loss=loss) for epoch, loss in enumerate([1.0, 1.0, 0.9, 0.95], 1)] == [
        True,
        False,
        True,
        False,
    ]
    assert {name: (one.epoch, one.rank.loss) for name, one in best_weights.tasks.items()} == {
        "topic": (3, 0.9),
        "stars": (3, 0.9),
    }


def test_a_score_on_few_rows_chooses_no_epoch(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtlkit.training.validation.best_weights.FEW", 1000)
    best_weights = make()
    assert best_weights.keeps_last
    assert [add(best_weights, epoch, topic, 0.5) for epoch, topic in enumerate([0.9, 0.5, 0.6], 1)] == [True] * 3
    assert (best_weights.best.rank.score, value_of(best_weights.best.weights)) == (0.55, 3.0)
    assert value_of(best_weights.tasks["topic"].weights) == 3.0
    assert (best_weights.worse, best_weights.each["topic"]) == (2, 2)  # patience still counts what did not improve
    rows = {name: len(objective.validation.lengths) for name, objective in best_weights.objectives.items()}
    assert best_weights.few_rows == FewValidationRows(rows, ())


def test_tasks_with_enough_rows_choose_the_epoch_for_the_others(make: Any) -> None:
    best_weights = make()
    best_weights.few = frozenset({"stars"})
    for epoch, (topic, stars) in enumerate([(0.9, 0.1), (0.8, 0.9)], 1):
        add(best_weights, epoch, topic, stars)
    assert value_of(best_weights.best.weights) == 1.0
    assert best_weights.score(states(0.9, 0.1)) == 0.9
    assert {name: value_of(own.weights) for name, own in best_weights.tasks.items()} == {"topic": 1.0, "stars": 2.0}
    assert best_weights.few_rows == FewValidationRows(
        {"stars": len(best_weights.objectives["stars"].validation.lengths)}, ("topic",)
    )


def test_a_state_of_an_earlier_version_chooses_by_score(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = make()
    add(saved, 1, 0.9, 0.5)
    state = saved.state_dict()
    for name in ("few", "top"):
        del state.plain[name]
    for own in state.plain["tasks"].values():
        del own["top"]
    monkeypatch.setattr("mtlkit.training.validation.best_weights.FEW", 1000)
    loaded = make()
    loaded.load_state_dict(as_saved(state))
    assert not loaded.keeps_last
    assert not add(loaded, 2, 0.1, 0.1)
    assert value_of(loaded.best.weights) == 1.0


def test_weights_of_tasks_are_kept_only_when_they_are_wanted(make: Any) -> None:
    best_weights = make(keep=False)
    add(best_weights, 1, 0.5, 0.5)
    assert [one.weights for one in best_weights.tasks.values()] == [None, None]
    assert not [name for name in best_weights.state_dict().tensors if not name.startswith(":")]


def test_epochs_without_anything_better_are_counted_of_all_and_of_each(make: Any) -> None:
    best_weights = make()
    found = []
    for epoch, (topic, stars) in enumerate([(0.5, 0.5), (0.4, 0.6), (0.4, 0.5), (0.6, 0.5), (0.1, 0.1)], 1):
        add(best_weights, epoch, topic, stars, loss=1 + epoch / 10)
        found.append((best_weights.worse, dict(best_weights.each)))
    assert found == [
        (0, {"topic": 0, "stars": 0}),
        (1, {"topic": 1, "stars": 0}),
        (2, {"topic": 2, "stars": 1}),
        (0, {"topic": 0, "stars": 2}),
        (1, {"topic": 1, "stars": 3}),
    ]


def test_an_evaluation_within_an_epoch_is_no_epoch_and_an_epoch_with_a_better_one_is_none_without(make: Any) -> None:
    best_weights = make()
    add(best_weights, 1, 0.5, 0.5)
    for step in (11, 12, 13):
        assert not add(best_weights, 2, 0.4, 0.4, step=step, ends=False)
        assert (best_weights.worse, best_weights.each["topic"]) == (0, 0)
    add(best_weights, 2, 0.4, 0.4)
    assert (best_weights.worse, best_weights.each["topic"]) == (1, 1)
    assert add(best_weights, 3, 0.6, 0.45, step=25, ends=False)
    add(best_weights, 3, 0.5, 0.5, loss=2.0)
    assert (best_weights.worse, dict(best_weights.each)) == (0, {"topic": 0, "stars": 2})
    add(best_weights, 4, 0.5, 0.5, loss=2.0)
    assert (best_weights.worse, dict(best_weights.each)) == (1, {"topic": 1, "stars": 3})
    assert (
        best_weights.tasks["topic"].epoch,
        best_weights.tasks["topic"].step,
        value_of(best_weights.tasks["topic"].weights),
    ) == (3, 25, 3.25)
    assert value_of(best_weights.best.weights) == 3.25


@pytest.mark.parametrize("keep", [True, False])
def test_a_state_is_loaded_as_it_was(keep: bool, make: Any) -> None:
    best_weights, again = make(keep=keep), make(keep=keep)
    add(best_weights, 1, 0.5, 0.9)
    add(best_weights, 2, 0.8, 0.7, step=15, ends=False)
    best_weights.chosen = Epoch(2, 4, tuple(states(0.8, 0.7)), 0.75, True, "epoch 2, step 15", {"topic": 0.5}, 15)
    add(best_weights, 2, 0.9, 0.1)
    saved = as_saved(best_weights.state_dict())
    again.load_state_dict(saved)
    assert (again.best.rank, again.best.scores) == (best_weights.best.rank, best_weights.best.scores)
    assert_same_weights(again.best.weights, best_weights.best.weights)
    assert again.chosen == best_weights.chosen
    assert (again.worse, again.each) == (best_weights.worse, best_weights.each)
    assert {name: (one.rank, one.epoch, one.step) for name, one in again.tasks.items()} == {
        name: (one.rank, one.epoch, one.step) for name, one in best_weights.tasks.items()
    }
    for name, one in best_weights.tasks.items():
        assert (one.weights is None) == (again.tasks[name].weights is None) == (not keep)
        assert_same_weights(again.tasks[name].weights or {}, one.weights or {})
    assert json.dumps(again.state_dict().plain) == json.dumps(best_weights.state_dict().plain)
    held = value_of(again.best.weights)
    for weight in saved.tensors.values():
        weight.fill_(7.0)
    assert value_of(again.best.weights) == held  # not the tensors that were loaded from
    add(again, 3, 0.0, 0.0)
    assert again.each == {"topic": 1, "stars": 2}


def test_before_any_evaluation_there_is_nothing(make: Any) -> None:
    best_weights, again = make(), make()
    again.load_state_dict(as_saved(best_weights.state_dict()))
    assert (again.best, again.chosen, again.tasks, again.worse, dict(again.each)) == (None, None, {}, 0, {})
    assert add(again, 1, 0.0, 0.0)


def test_a_task_without_validation_rows_neither_counts_nor_hides_the_others(make: Any) -> None:
    best_weights = make()
    topic = best_weights.objectives["topic"]
    topic.validation = replace(topic.validation, encoded=topic.validation.encoded.between(0, 0))
    best_weights = BestWeights(best_weights.model, best_weights.objectives, "mean", NEVER, keep=False)
    assert (best_weights.few, best_weights.keeps_last) == ({"topic"}, False)
    assert best_weights.few_rows is None
    assert best_weights.not_measured == NotMeasured(("topic",), keeps_last=False)
    scores = {"topic": None, "stars": 0.5, "tags": 1.0}
    undefined = [replace(state, validation={"loss": None, "accuracy": None}) for state in states(0.0, 0.5)[:1]]
    assert best_weights.add([*undefined, *states(0.0, 0.5)[1:]], scores, 1, 10, ends=True)
    assert best_weights.best.rank == Score(0.5, 1.0)
    alone = BestWeights(best_weights.model, {"topic": topic}, "mean", NEVER, keep=False)
    assert alone.keeps_last
    for epoch in (1, 2):
        assert alone.add(undefined, {"topic": None}, epoch, epoch, ends=True)
