"""A training on the small tasks of all tests."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import freezing_of
from torch import Tensor

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.registries.schedules import parse_schedule
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.datasets.text_pool import TextPool
from mtlkit.data.encoded import Encoded
from mtlkit.data.labels.marks import Label
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from
from mtlkit.training.events import Epoch, Event
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.optimizer import EagerAdamW
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.trainer import Trainer

# options by the names that tests give them among `mixing`
OPTIONS = {
    "keep_best": "keep_best_per_task",
    "patience": "task_patience",
    "balance_on": "balance_on",
    "select": "select",
}


GAPS = {"topic": 0, "tags": 2, "stars": 3}  # every such row has no label; 0: every row has one


@pytest.fixture
def columns(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> dict[str, TaskData]:
    """`topic`, `tags` and `stars` as label columns of one table of 40 rows; a third of `stars` and half of `tags` are gaps."""
    words, places = ("otter", "saw", "cat", "lathe", "dog"), ("river", "wall", "door", "tree", "bed", "shelf", "box", "lamp")
    texts = [f"The {word} lies near the {place}." for word in words for place in places]
    labels: dict[str, list[Label]] = {
        "topic": ["tool" if "saw" in text or "lathe" in text else "animal" for text in texts],
        "tags": [tuple("abc"[: row % 3]) for row in range(len(texts))],
        "stars": [float(row % 7) for row in range(len(texts))],
    }
    columns = {}
    pools = {"train": TextPool(texts[:30]), "validation": TextPool(texts[30:])}
    for name, spec in tiny_model.tasks.items():
        split = {}
        for part, pool in pools.items():
            index = np.array([row for row in range(len(pool)) if not GAPS[name] or row % GAPS[name]])
            first = 30 if part == "validation" else 0
            own = [labels[name][first + row] for row in index]
            split[part] = LabelledTable([pool.texts[row] for row in index], own, pool=pool, index=index)
        columns[name] = prepare_task(spec, "tests", split["train"], split["validation"], text_encoder)
    return columns


@dataclass(frozen=True)
class Done:
    """A training that ended: its events, the weights as they stood at each evaluation, and the lines of its log."""

    events: list[Event]
    snapshots: list[dict[str, Tensor]]
    log: list[dict[str, Any]]

    @property
    def epochs(self) -> list[Epoch]:
        return [event for event in self.events if isinstance(event, Epoch)]


@pytest.fixture(scope="session")
def run(compute: Compute) -> Callable[..., Done]:
    """Trains a model with small batches. Options that are not given are those of `train-mtl`; `terms` are fields of its plan or
    of its data; `mixing` holds schedules and options by the names of the plan; `saved` says what saves it and what it resumes."""

    def run(
        model: MultiTaskModel,
        tasks: dict[str, TaskData],
        frozen: Iterable[str] = (),
        schedule: str = "round-robin",
        terms: dict[str, Any] | None = None,
        mixing: dict[str, Any] | None = None,
        probe: Encoded | None = None,
        cache: Path | None = None,
        saved: dict[str, Any] | None = None,
        log: io.StringIO | None = None,
        **options: Any,
    ) -> Done:
        settings = {"epochs": 3, "batch_tokens": 240, "learning_rate": 3e-3, "head_rate": 1.0, **options}
        log, terms, mixing, saved = log or io.StringIO(), dict(terms or {}), dict(mixing or {}), saved or {}
        settings |= {OPTIONS[name]: mixing.pop(name) for name in list(mixing) if name in OPTIONS}
        settings |= {name: terms.pop(name) for name in ("max_forgetting", "router") if name in terms}
        of_data = {name: terms.pop(name) for name in ("known", "classes") if name in terms}
        if "watched" in terms:
            terms["watched"] = dict.fromkeys(terms["watched"], "")
        events: list[Event] = []
        snapshots: list[dict[str, Tensor]] = []
        draw_from(torch.Generator().manual_seed(0), model)
        plan = TrainPlan(
            options=TrainMtlOptions(**settings, keep_state=saved.get("keeps", False)),
            compute=replace(compute, precision="bf16") if options.get("precision") == "bf16" else compute,
            freezing=freezing_of(model, frozen, options.get("unfreeze")),
            schedule=parse_schedule(schedule),
            **mixing,
            **terms,
        )
        trainer = Trainer(plan, model, TrainData(head_objectives(model, tasks), **of_data, probe=probe), cache)
        if "state" in saved:
            trainer.resume(saved["state"])
        for event in trainer.events(log, saved.get("saver")):
            events.append(event)
            if isinstance(event, Epoch) and event.epoch:
                snapshots.append(deepcopy(model.state_dict()))
        return Done(events, snapshots, [json.loads(line) for line in log.getvalue().splitlines()])

    return run


@pytest.fixture
def applied(tiny_model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The gradients, by weight of the tiny model, that each optimiser step meets."""
    seen: list[dict[str, Tensor]] = []
    take = EagerAdamW.step

    def step(self: EagerAdamW) -> None:
        seen.append({name: one.grad.clone() for name, one in tiny_model.named_parameters() if one.grad is not None})
        take(self)

    monkeypatch.setattr(EagerAdamW, "step", step)
    return seen
