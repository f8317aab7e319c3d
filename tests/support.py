"""Helpers for the tests of several recipes: options, notes, csv files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.heads import HeadsOptions
from mtlkit.config.commands.join import JoinOptions
from mtlkit.config.commands.mine import MineOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.report import ReportOptions
from mtlkit.config.commands.run_commands import CurvesOptions, ExportOptions, InfoOptions
from mtlkit.config.commands.runs import RunsOptions
from mtlkit.config.commands.serve import ServeOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names
from mtlkit.report.training.messages import training_messages
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.events import Event
from mtlkit.training.freezing.features import WholeBackbone
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.loop import Step, train
from mtlkit.training.objectives.base import Objective
from mtlkit.training.optimizer import RateSchedule, ScheduledOptimizer
from mtlkit.training.sampling.steps import groups
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import ModelUpdater

COMMANDS: dict[str, type[Any]] = {
    "check-data": CheckDataOptions,
    "pretrain": PretrainOptions,
    "train-sentence": TrainSentenceOptions,
    "train-mtl": TrainMtlOptions,
    "join": JoinOptions,
    "mine": MineOptions,
    "embed": EmbedOptions,
    "eval": EvalOptions,
    "predict": PredictOptions,
    "heads": HeadsOptions,
    "export": ExportOptions,
    "serve": ServeOptions,
    "curves": CurvesOptions,
    "report": ReportOptions,
    "runs": RunsOptions,
    "info": InfoOptions,
}


def options(data: Path, out: Path, *names: str, **more: Any) -> TrainMtlOptions:
    """Tasks of the data folder, two epochs."""
    return TrainMtlOptions(
        task=[f"{name}={data / name}" for name in names], out=out, **{"epochs": 2, "batch_tokens": 256, **more}
    )


def notes(events: Iterable[Event]) -> str:
    """All messages of a training, one per line."""
    return "\n".join(message.text for event in events for message in training_messages(event))


def json_lines(output: str) -> list[dict[str, Any]]:
    """The objects of an output with one per line."""
    return [json.loads(line) for line in output.splitlines()]


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def freezing_of(model: MultiTaskModel, items: Iterable[str], unfreeze: str | None = None) -> FreezeRules:
    """The rules of `--freeze` and `--unfreeze` for a model."""
    architecture = model.backbone.architecture
    heads = {name: spec.head for name, spec in model.tasks.items()}
    return parse_freeze(list(items), unfreeze, weight_names(architecture, heads), list(heads), architecture.repeats)


SHAPES: dict[str, dict[str, Any]] = {
    "ours": {},
    "causal": {"attention": "causal"},
    "post": {"norm": "post", "embedding_norm": True, "normalize": True, "embedding_dim": 16},
    "weighted": {"pooling": "weighted"},
    "first": {"pooling": "first"},
}


def reshaped(model: MultiTaskModel, shape: str) -> MultiTaskModel:
    """A model of three blocks with the tasks of another. Its attention has an effect, unlike with fresh weights."""
    torch.manual_seed(1)
    architecture = replace(model.backbone.architecture, layers=3, **SHAPES[shape])
    made = MultiTaskModel(Encoder(architecture), model.tasks.values())
    for weight in made.parameters():
        nn.init.normal_(weight, std=0.2) if weight.ndim > 1 else weight.data.add_(0.1 * torch.randn_like(weight))
    return made.eval()


@torch.no_grad()
def spoil(model: MultiTaskModel, depth: int) -> None:
    """Makes the embeddings and the blocks below `depth` useless, which shows if they are run."""
    for part in (model.backbone.embeddings(), *list(model.backbone.blocks)[:depth]):
        for weight in part.parameters():
            weight.fill_(float("nan"))


def losses_of(model: MultiTaskModel, objectives: Mapping[str, Objective]) -> TaskLosses:
    """The losses of a training that runs the backbone at every step."""
    return TaskLosses(objectives, WholeBackbone(model, objectives, torch.device("cpu")))


def train_steps(
    model: nn.Module,
    work: Iterable[Any],
    losses_of: Any,
    rate: RateSchedule,
    *,
    weight_decay: float = 0.0,
    clip: float = 0.0,
    compute: Compute,
    balance: LossWeighting | None = None,
    takes: Iterable[int] = repeat(1),
    **more: Any,
) -> Iterator[Step[Any]]:
    """The steps of the training loop; `takes` is the number of micro-batches of each step."""
    optimizer = ScheduledOptimizer(dict(model.named_parameters()), rate, weight_decay=weight_decay, clip=clip)
    return train(groups(work, takes), losses_of, ModelUpdater(model, optimizer, compute), balance, **more)
