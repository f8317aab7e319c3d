"""A task without a better score in some epochs leaves the mix; evaluations within an epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from cutting import assert_same_weights
from support import notes
from torchjd_methods import if_installed

from mtlkit.config.registries.balancing import parse_balance
from mtlkit.config.registries.schedules import EpochLength
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, evaluate
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import BestOfTask, Chosen
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.validation.evaluator import Evaluator

Run = Callable[..., Any]
BY_HAND = [pytest.param(name, marks=pytest.mark.slow) for name in ("sequential", "proportional")]
SCHEDULES = ["round-robin", "joint", "temperature:2", *BY_HAND]


JOINTLY = ["torchjd:pcgrad", "torchjd:nashmtl", "torchjd:upgrad"]
BALANCES = ["uncertainty", "dwa", "famo", *(if_installed(name, slow=name != "torchjd:pcgrad") for name in JOINTLY)]
METRICS = {"topic": "accuracy", "tags": "macro_f1", "stars": "spearman"}


@pytest.fixture
def tiring(tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """`topic` with validation labels that contradict training, so that its first epoch is its best."""
    topic = tasks["topic"]
    return {**tasks, "topic": replace(topic, validation=replace(topic.validation, labels=1 - topic.validation.labels))}


def bests_of(done: Any) -> tuple[BestOfTask, ...]:
    return next(event for event in done.events if isinstance(event, Chosen)).bests


def batches(done: Any) -> list[Counter[str]]:
    """Batches that each task gave in each epoch, as the lines of steps have them."""
    found, now = [], Counter[str]()
    for line in done.log:
        if "losses" in line:
            now.update(list(line["losses"]))
        elif line["type"] == "epoch":
            found.append(now)
            now = Counter()
    return found


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives tasks these scores, evaluation after evaluation; those of a task that is not named rise and rise."""

    def scored(**scores: list[float]) -> None:
        evaluator, calls = Evaluator.__call__, count()

        def call(self: Evaluator, names: Iterable[str] | None = None) -> dict[str, dict[str, float]]:
            found, number = evaluator(self, names), next(calls)
            for name, metrics in found.items():
                metrics[METRICS[name]] = scores[name][number] if name in scores else number / 100
            return found

        monkeypatch.setattr(Evaluator, "__call__", call)

    return scored


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_its_batches_end_with_the_epoch_and_those_of_others_go_on(
    schedule: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, scored: Callable[..., None]
) -> None:
    scored(topic=[0.5, 0.6, 0.5, 0.5, 0.5], stars=[0.9, 0.1, 0.1, 0.95, 0.1])
    done = run(tiny_model, tasks, schedule=schedule, epochs=5, mixing={"patience": 2})
    found = batches(done)
    plan = found[0]
    assert plan.keys() == tasks.keys()
    assert found == [plan, plan, plan, {name: plan[name] for name in ("topic", "tags")}, {"tags": plan["tags"]}]
    for epoch, counts in zip(done.epochs, found, strict=True):
        assert {state.task: state.batches for state in epoch.tasks} == {name: counts[name] for name in tasks}
        assert all(state.batches == state.planned for state in epoch.tasks)
        assert all((state.train_loss is None) == (state.batches == 0) for state in epoch.tasks)
    said = [line for line in notes(done.events).splitlines() if "stops training" in line]
    assert said == [
        "stars stops training: best score 0.900 was in epoch 1",
        "topic stops training: best score 0.600 was in epoch 2",
    ]
    best_weights = {one.task: (one.score, one.epoch) for one in bests_of(done)}
    assert best_weights == {"topic": (0.6, 2), "tags": (0.04, 5), "stars": (0.95, 4)}  # it got better without its batches


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rate_decays_to_its_end_although_steps_are_dropped(
    schedule: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, scored: Callable[..., None]
) -> None:
    scored(topic=[0.5, 0.4, 0.4, 0.4], stars=[0.5, 0.6, 0.4, 0.4])
    done = run(tiny_model, tasks, schedule=schedule, epochs=4, mixing={"patience": 1})
    steps: list[list[float]] = [[]]
    for line in done.log:
        if "losses" in line:
            steps[-1].append(line["learning_rate"])
        elif line["type"] == "epoch":
            steps.append([])
    lengths = [len(rates) for rates in steps[:4]]
    assert lengths[0] == lengths[1]
    assert lengths[2] > lengths[3] or schedule == "joint"
    full, whole = lengths[0], LearningRate(3e-3, 4 * lengths[0])
    for epoch, rates in enumerate(steps[:4]):
        assert rates == pytest.approx([whole.at(full * (epoch + place / len(rates))) for place in range(len(rates))])
    rates = [rate for each in steps for rate in each]
    peak = rates.index(max(rates))
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert lengths[-1] < 6 or rates[-1] < 0.12 * 3e-3  # the floor is a tenth


def test_without_any_task_left_training_stops(tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, {"topic": tiring["topic"]}, epochs=9, learning_rate=5e-3, mixing={"patience": 2})
    best = bests_of(done)[0]
    assert "stopped: no task is left to train" in notes(done.events)
    assert len(done.epochs) == best.epoch + 2 < 9
    assert [one.epoch.epoch for one in done.events if isinstance(one, Chosen)] == [best.epoch]


def test_no_task_leaves_after_the_last_epoch(tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tiring, epochs=2, learning_rate=5e-3, mixing={"patience": 1})
    assert "stops training" not in notes(done.events)


def test_a_watched_task_does_not_leave_and_a_rehearsed_one_stays(
    tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run
) -> None:
    terms = {"watched": frozenset({"topic", "tags"}), "known": frozenset({"topic", "tags"}), "rehearsed": {"tags": 1}}
    done = run(tiny_model, tiring, epochs=4, learning_rate=5e-3, terms=terms, mixing={"patience": 1})
    assert "topic had its best" not in notes(done.events)
    assert "tags had its best" not in notes(done.events)
    assert [{state.task: state.batches for state in epoch.tasks}["tags"] > 0 for epoch in done.epochs] == [
        False,
        *[True] * (len(done.epochs) - 1),
    ]


@pytest.mark.parametrize("balance", BALANCES)
def test_balances_weigh_those_that_are_left(
    balance: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, scored: Callable[..., None]
) -> None:
    """Three, then two, then one."""
    scored(topic=[0.5, 0.4, 0.4, 0.4], stars=[0.5, 0.6, 0.4, 0.4])
    mixing = {"patience": 1, "balance": parse_balance(balance, tasks), "epoch_by": EpochLength("steps", 3)}
    done = run(tiny_model, tasks, schedule="joint", epochs=4, mixing=mixing)
    lines = [line for line in done.log if "losses" in line]
    assert [list(line["losses"]) for line in lines] == [["topic", "tags", "stars"]] * 6 + [["tags", "stars"]] * 3 + [["tags"]] * 3
    assert all(list(line["weights"]) == list(line["losses"]) for line in lines)
    assert [list(epoch.weights) for epoch in done.epochs] == [list(lines[3 * place]["losses"]) for place in range(4)]
    if balance in ("famo", *JOINTLY):
        assert lines[-1]["weights"] == {"tags": pytest.approx(1.0)}


@pytest.mark.slow
def test_evaluation_within_an_epoch_does_not_change_training(
    tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    made = []
    for every in (0, 1, 3):
        model = deepcopy(tiny_model)
        done = run(model, tasks, epochs=2, eval_every=every)
        made.append((done.snapshots[-1], [line for line in done.log if "losses" in line]))
    for weights, steps in made[1:]:
        assert_same_weights(weights, made[0][0])
        assert steps == made[0][1]


@pytest.mark.parametrize(("every", "schedule"), [(4, "joint"), (5, "round-robin"), (1000, "joint")])
def test_evaluation_steps(every: int, schedule: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tasks, schedule=schedule, epochs=2, eval_every=every)
    steps = len([line for line in done.log if "losses" in line])
    looks = [step for step in range(1, steps + 1) if step % every == 0 and step % (steps // 2)]
    lines = [line for line in done.log if line["type"] == "validation"]
    assert [line["step"] for line in lines] == looks
    assert bool(looks) == (every < 1000)
    told = [event for event in done.epochs if event.place]
    assert [(event.step, event.place) for event in told] == [
        (step, f"epoch {1 + (step > steps // 2)}, step {step}") for step in looks
    ]
    assert [(event.epoch, event.step) for event in done.epochs if not event.place] == [(1, steps // 2), (2, steps)]
    for line, event in zip(lines, told, strict=True):
        assert [(task["task"], task["validation"]) for task in line["tasks"]] == [
            (state.task, state.validation) for state in event.tasks
        ]


def test_the_best_may_come_from_within_an_epoch(
    tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run, compute: Compute
) -> None:
    """What training teaches is false, so that the first look is the best."""
    topic = tiring["topic"]
    done = run(tiny_model, {"topic": topic}, epochs=2, eval_every=1, learning_rate=5e-3, mixing={"keep_best": True})
    (chosen,) = [one.epoch for one in done.events if isinstance(one, Chosen)]
    top = max(done.epochs, key=lambda one: (one.score, -one.tasks[0].validation["loss"]))
    assert chosen == top
    assert chosen.place == f"epoch 1, step {chosen.step}"
    place = done.epochs.index(chosen)
    assert_same_weights(tiny_model.state_dict(), done.snapshots[place])
    vectors = encode_all(tiny_model, topic.validation.encoded, compute)
    assert evaluate(tiny_model, "topic", topic.validation, vectors)["loss"] == pytest.approx(
        chosen.tasks[0].validation["loss"], abs=1e-6
    )
    (best,) = bests_of(done)
    assert (best.epoch, best.step, best.score) == (1, chosen.step, chosen.score)


@pytest.mark.slow
def test_the_best_of_each_task_is_what_it_was_then(tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tiring, epochs=5, learning_rate=3e-3, mixing={"keep_best": True}, eval_every=7)
    best_weights = bests_of(done)
    assert [one.task for one in best_weights] == ["topic", "tags", "stars"]
    assert len({one.step for one in best_weights}) > 1
    for best in best_weights:
        place, now = next((place, one) for place, one in enumerate(done.epochs) if one.step == best.step)
        state = next(one for one in now.tasks if one.task == best.task)
        assert (best.score, best.epoch) == (state.validation[METRICS[best.task]], now.epoch)
        assert best.score == max(
            one.validation[METRICS[best.task]] for event in done.epochs for one in event.tasks if one.task == best.task
        )
        assert best.weights is not None
        assert_same_weights(best.weights, {name: done.snapshots[place][name] for name in best.weights})
        assert best.weights.keys() == dict(tiny_model.named_parameters()).keys()


def test_epoch_with_a_better_evaluation_within_it_resets_patience(
    tiny_model: MultiTaskModel, tiring: dict[str, TaskData], run: Run
) -> None:
    done = run(tiny_model, {"topic": tiring["topic"]}, epochs=9, eval_every=1, learning_rate=5e-3, patience=1)
    (chosen,) = [one.epoch for one in done.events if isinstance(one, Chosen)]
    ends = [one for one in done.epochs if not one.place]
    assert chosen.place
    assert ends[-1].epoch == chosen.epoch + 1 < 9
