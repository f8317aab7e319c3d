"""Three small tasks, one of each kind, for the heads of `tiny_model`, and a training on them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlkit.config.training import Schedule, TrainMtlOptions
from mtlkit.data.tables import Label, Table
from mtlkit.data.tasks import TaskData, prepare_task
from mtlkit.data.tokenizer import TextEncoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Epoch, Event
from mtlkit.training.fit import fit
from mtlkit.training.loop import Compute

ANIMALS = ["cat", "dog", "horse", "sparrow", "trout", "lizard", "otter", "beetle"]
TOOLS = ["hammer", "saw", "drill", "chisel", "spanner", "pliers", "file", "lathe"]
PLACES = ["river", "barn", "hill", "old road by the oak", "shelf"]


@pytest.fixture
def compute() -> Compute:
    return Compute(torch.device("cpu"), "fp32")


@pytest.fixture
def tasks(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> dict[str, TaskData]:
    """`topic` tells animals from tools, `tags` marks places, `stars` counts the words. 60, 20 and 12 rows to train on."""
    labels: dict[str, list[Label]] = {"topic": [], "tags": [], "stars": []}
    texts = []
    for word, place in product([name for pair in zip(ANIMALS, TOOLS, strict=True) for name in pair], PLACES):
        texts.append(f"The {word} lies near the {place}.")
        labels["topic"].append("animal" if word in ANIMALS else "tool")
        labels["tags"].append(tuple(mark for mark, name in zip("abc", PLACES, strict=False) if name == place))
        labels["stars"].append(float(len(texts[-1].split())) / 2)
    rows = {"topic": 60, "tags": 20, "stars": 12}
    made = {}
    for name, spec in tiny_model.tasks.items():
        table = Table(texts, labels[name])
        train = np.array([row for row in range(len(table)) if row % 4 != 3][: rows[name]])
        validation = np.arange(3, len(table), 4)  # words and places that training knows, in other pairs
        made[name] = prepare_task(spec, "tests", table.select(train), table.select(validation), text_encoder)
    return made


@dataclass(frozen=True)
class Done:
    """A training that ended: its events, the weights as they stood after each epoch, and the lines of its log."""

    events: list[Event]
    snapshots: list[dict[str, Tensor]]
    log: list[dict[str, Any]]

    @property
    def epochs(self) -> list[Epoch]:
        return [event for event in self.events if isinstance(event, Epoch)]


@pytest.fixture
def run(compute: Compute) -> Callable[..., Done]:
    """Trains a model with small batches; options that are not given are those of `train-mtl`."""

    def run(
        model: MultiTaskModel,
        tasks: dict[str, TaskData],
        frozen: Iterable[str] = (),
        schedule: Schedule = "round-robin",
        **options: Any,
    ) -> Done:
        settings = {"epochs": 3, "batch_tokens": 120, "learning_rate": 3e-3, "head_rate": 1.0, **options}
        log = io.StringIO()
        events: list[Event] = []
        snapshots: list[dict[str, Tensor]] = []
        torch.manual_seed(0)
        for event in fit(model, tasks, frozenset(frozen), schedule, TrainMtlOptions(**settings), compute, log):
            events.append(event)
            if isinstance(event, Epoch) and event.epoch:
                snapshots.append(deepcopy(model.state_dict()))
        return Done(events, snapshots, [json.loads(line) for line in log.getvalue().splitlines()])

    return run
