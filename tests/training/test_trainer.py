"""A training that is interrupted at any step and loaded into new objects continues as if it had not been interrupted."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from cutting import Keeper, assert_same_end, assert_same_weights, timeless
from torchjd_methods import OWN, TORCHJD, if_installed

from mtlkit.config.registries.balancing import parse_balance
from mtlkit.config.registries.guards import parse_guards
from mtlkit.config.registries.schedules import EpochLength
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training import spikes as loss_spikes
from mtlkit.training.events import Forgetting, Progress
from mtlkit.training.incidents import TaskStopped
from mtlkit.training.loop import DivergedStep

Run = Callable[..., Any]
Cut = Callable[..., Any]

SCHEDULES = ["round-robin", "joint", "sequential", "proportional", "temperature:2", "temperature:3:20"]
KNOWN = frozenset({"tags", "stars"})


@pytest.fixture
def spoiled(tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """`topic` with validation rows on which what training teaches is false, so that it tires."""
    topic = tasks["topic"]
    return {"topic": replace(topic, validation=replace(topic.validation, labels=1 - topic.validation.labels))}


@pytest.fixture
def cut(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> Cut:
    """Trains; then resumes from saved states and compares each end with the first: from every state with `each`, else from the
    last and those around the end of the first epoch."""

    def cut(*frozen: str, steps: int = 3, mixing: dict[str, Any] | None = None, each: bool = False, **more: Any) -> Any:
        length = {"epoch_by": EpochLength("steps", steps, more.get("accumulate", 1))}
        log = io.StringIO()
        keeper = Keeper(log)
        settings = {"epochs": 2, "track_every": 3, "mixing": {"keep_best": True, **length, **(mixing or {})}, **more}
        model = deepcopy(tiny_model)
        whole = run(model, tasks, frozen, log=log, saved={"saver": keeper, "keeps": True}, **settings)
        lines = timeless(whole.log)
        assert list(keeper.states) == list(range(1, len([line for line in lines if "losses" in line]) + 1))
        chosen = keeper.states if each else {steps, steps + 1, max(keeper.states)}
        for step, state in keeper.states.items():
            if step not in chosen:
                continue
            again = deepcopy(tiny_model)
            done = run(again, tasks, frozen, saved={"state": state}, **settings)
            assert_same_weights(again.state_dict(), model.state_dict())
            assert timeless(done.log) == lines[keeper.lines[step] :]
            assert_same_end(done.events, whole.events)
        return whole

    return cut


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_resumes(schedule: str, cut: Cut) -> None:
    done = cut(schedule=schedule, each=schedule == "round-robin")
    assert len([line for line in done.log if "losses" in line]) == 6


CHANGING = ["uncertainty", "dwa", "famo", *TORCHJD]
BALANCES = [*(name for name in OWN if name != "weights"), "weights:topic=2,stars=0.5", *TORCHJD]
ON_PARAMETERS = ["torchjd:pcgrad", "torchjd:nashmtl"]
ALWAYS = {"uncertainty", "famo", "torchjd:pcgrad"}  # one with parameters, one with state, one of gradients


@pytest.mark.parametrize(
    ("balance", "on"),
    [
        if_installed(name, on, slow=name not in ALWAYS)
        for on, names in (("vectors", BALANCES), ("parameters", ON_PARAMETERS))
        for name in names
    ],
)
def test_every_balance_resumes(balance: str, on: str, cut: Cut, tasks: dict[str, TaskData]) -> None:
    mixing = {"balance": parse_balance(balance, tasks), "balance_on": on}
    done = cut(schedule="joint", steps=2, epochs=3, mixing=mixing, eval_every=3, each=balance == "famo")
    weights = [line["weights"] for line in done.log if "losses" in line and "weights" in line]
    assert len(weights) == (6 if balance in CHANGING else 0)  # dwa has no weights before its third epoch


def test_accumulated_gradients(cut: Cut) -> None:
    cut(accumulate=2)


def test_micro_batches_with_dropout(cut: Cut, tiny_model: MultiTaskModel) -> None:
    assert tiny_model.backbone.architecture.dropout > 0
    cut(schedule="joint", steps=1, micro_batch_tokens=40)


@pytest.mark.parametrize("micro", [None, 40])
def test_half_precision_with_dropout(micro: int | None, cut: Cut) -> None:
    cut(schedule="joint", steps=2, precision="bf16", micro_batch_tokens=micro)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("frozen", [(), ("embeddings,layers:0",), ("backbone@until=step:3",)])
def test_recomputed_blocks_give_the_same_bits(
    frozen: tuple[str, ...], precision: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run
) -> None:
    assert tiny_model.backbone.architecture.dropout > 0
    assert len(tiny_model.backbone.blocks) > 1
    models = []
    for recompute in (False, True):
        models.append(deepcopy(tiny_model))
        run(models[-1], tasks, frozen, schedule="joint", epochs=1, precision=precision, recompute=recompute)
    assert_same_weights(models[1].state_dict(), models[0].state_dict())
    assert not all(torch.equal(*pair) for pair in zip(models[1].parameters(), tiny_model.parameters(), strict=True))


def test_recomputed_blocks_resume(cut: Cut) -> None:
    cut(schedule="joint", steps=2, recompute=True, micro_batch_tokens=40)


def test_evaluations_within_an_epoch(cut: Cut) -> None:
    done = cut(eval_every=3, steps=4)
    assert [line["step"] for line in done.log if line["type"] == "validation"] == [3, 6]


@pytest.mark.parametrize("schedule", [pytest.param("round-robin", marks=pytest.mark.slow), "joint"])
def test_stopped_tasks_resume(schedule: str, cut: Cut, tasks: dict[str, TaskData], spoiled: dict[str, TaskData]) -> None:
    tasks.update(spoiled)
    done = cut(schedule=schedule, epochs=4, mixing={"patience": 1}, learning_rate=5e-3)
    assert any(isinstance(event, TaskStopped) for event in done.events)


def test_patience_of_all_tasks_resumes(cut: Cut, tasks: dict[str, TaskData], spoiled: dict[str, TaskData]) -> None:
    tasks.clear()
    tasks.update(spoiled)
    done = cut(steps=2, epochs=9, patience=2, learning_rate=5e-3)
    assert len(done.epochs) < 9


@pytest.mark.parametrize("frozen", [("backbone",), ("head:tags",), ("backbone@until=step:3",), ("embeddings@until=epoch:1",)])
def test_frozen_and_thawing_parts_resume(frozen: tuple[str, ...], cut: Cut) -> None:
    cut(*frozen)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_gradual_unfreezing_with_slower_blocks(optimizer: str, cut: Cut) -> None:
    cut(schedule="joint", unfreeze="top-down", steps=2, epochs=3, layer_lr_decay=2.0, head_rate=5.0, optimizer=optimizer)


def test_cached_prefix_resumes(cut: Cut) -> None:
    cut("embeddings,layers:0", cache_prefix=True)


def test_guards_rehearsal_and_forgetting_resume(cut: Cut, text_encoder: TextEncoder) -> None:
    """Guards, rehearsal, and the books of what was forgotten."""
    guards = parse_guards(["l2sp", "lwf", "ewc"])
    terms = {"known": KNOWN, "watched": KNOWN, "rehearsed": {"stars": Fraction(1, 2)}, "guards": guards}
    done = cut(terms=terms, probe=text_encoder.encode(["A cat.", "The old road by the oak."]))
    assert [type(event) for event in done.events].count(Forgetting) == 1
    assert done.epochs[0].epoch == 0


@pytest.mark.parametrize(("points", "epochs", "steps"), [(100.0, 1, 6), (2.0, 3, 4)])
def test_limit_on_forgetting_resumes(points: float, epochs: int, steps: int, cut: Cut) -> None:
    terms = {"known": KNOWN, "watched": KNOWN, "max_forgetting": points}
    done = cut(terms=terms, steps=6, epochs=epochs)
    assert len([line for line in done.log if "losses" in line]) == steps
    assert done.epochs[-1].place == ("step 2, within the limit" if steps == 4 else "")


@pytest.fixture
def jumpy(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Takes the ups and downs of a short training for spikes."""
    monkeypatch.setattr(loss_spikes, "LEAST", 3)
    monkeypatch.setattr(loss_spikes, "DEVIATIONS", 0.5)
    return {
        "schedule": "joint",
        "epochs": 2,
        "mixing": {"epoch_by": EpochLength("steps", 5)},
        "track_every": 1,
        "batch_tokens": 120,
    }


def test_spikes_are_detected_with_the_saved_history(cut: Cut, jumpy: dict[str, Any]) -> None:
    done = cut(on_spike="skip", steps=5, **{name: jumpy[name] for name in ("schedule", "track_every")})
    skipped = [line["step"] for line in done.log if line.get("skipped")]
    assert skipped
    assert {line["step"] for line in done.log if "spike" in line} == set(skipped)


@pytest.mark.parametrize("balance", ["sum", "famo", if_installed("torchjd:nashmtl", slow=True)])
def test_spike_stop_keeps_the_state_before_its_step(
    balance: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run, jumpy: dict[str, Any]
) -> None:
    """So it can resume by taking the step, as a training does that ignores spikes."""
    jumpy["mixing"]["balance"] = parse_balance(balance, tasks)
    logs = [io.StringIO(), io.StringIO()]
    taken, stopped = map(Keeper, logs)
    model, again = deepcopy(tiny_model), deepcopy(tiny_model)
    whole = run(model, tasks, saved={"saver": taken}, log=logs[0], **jumpy)
    with pytest.raises(DivergedStep, match="is a spike") as caught:
        run(deepcopy(tiny_model), tasks, saved={"saver": stopped}, log=logs[1], on_spike="stop", **jumpy)
    step = caught.value.index
    assert 3 <= step < 10
    assert max(stopped.states) == step
    assert_same_weights(stopped.states[step].tensors, taken.states[step].tensors)
    done = run(again, tasks, saved={"state": stopped.states[step]}, **jumpy)
    assert_same_weights(again.state_dict(), model.state_dict())
    assert timeless(done.log) == timeless(whole.log)[taken.lines[step] :]


def test_step_events_match_the_log(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tasks, (), log=io.StringIO(), epochs=1)
    steps = [event for event in done.events if isinstance(event, Progress)]
    logged = [line for line in timeless(done.log) if line["type"] == "step"]
    assert [step.figures for step in steps] == [
        {"learning rate": line["learning_rate"], "gradient norm": line["gradient_norm"]} for line in logged
    ]
    assert all(step.figures["gradient norm"] > 0 for step in steps)
