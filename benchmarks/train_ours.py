"""Our own side of `train.py`, and what the peers share with it: the texts, the rates, the form of a measurement."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from compare import Measure, Stopwatch
from tokenizers import Tokenizer

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.tables import cap_tables
from mtlkit.data.datasets.task_data import TaskData, prepare
from mtlkit.data.labels.codec import infer_spec
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute, choose_compute
from mtlkit.inference.load_weights import load_weights
from mtlkit.model.encoder import recompute_blocks
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names
from mtlkit.recipes.training.initial_model import set_dropout
from mtlkit.training import loop as training
from mtlkit.training.freezing.apply import apply_freeze, prefix_depth, training_mode
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, FeatureSource, UpperBackbone, WholeBackbone
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.objectives.base import HeadObjective, head_objectives
from mtlkit.training.optimizer import LearningRate, ScheduledOptimizer
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import ModelUpdater

LEARNING_RATE, WEIGHT_DECAY, CLIP, WARM_UP_SHARE = 5e-5, 0.01, 1.0, 0.1

Train = Callable[[int | None], Measure]  # of an epoch or more, or of some steps


def read_tables(options: Namespace) -> list[LabelledTable]:
    """As many texts of each task, with the places of their labels."""
    reading = ReadOptions("utf-8", "error", SkippedRows())
    tables = {str(place): read_train_and_validation(source, reading)[0] for place, source in enumerate(options.data)}
    capped = cap_tables(tables, min(options.limit, *map(len, tables.values())))
    return [LabelledTable(one.texts, places(one.labels)) for one in capped.values()]


def places(labels: list[Any]) -> list[Any]:
    """Each label's place among the classes."""
    order = {label: place for place, label in enumerate(sorted(set(labels)))}
    return [order[label] for label in labels]


def described(options: Namespace) -> tuple[Tokenizer, Architecture]:
    """What the texts are read with. The weights are let go: they would count as memory of the training."""
    loaded = load_weights(Path(options.model))
    return loaded.encoder.tokenizer, lowest(loaded.model, options.layers).backbone.architecture


def lowest(model: MultiTaskModel, layers: int | None) -> MultiTaskModel:
    """The model with its first layers alone."""
    backbone = model.backbone
    if layers is not None:
        if layers > len(backbone.blocks):
            raise SystemExit(f"--layers {layers}: the model has {len(backbone.blocks)}")
        del backbone.blocks[layers:]
        backbone.architecture = replace(backbone.architecture, layers=layers)
    return model


def vectors_of(
    model: MultiTaskModel,
    objectives: Mapping[str, HeadObjective],
    frozen: frozenset[str],
    compute: Compute,
    keep: bool,
    whole: type[WholeBackbone],
) -> FeatureSource:
    """Where a step's vectors come from: with `keep`, from what a frozen lower part made of the texts, kept in memory. `whole`
    runs the backbone where nothing is kept."""
    texts = {name: objective.train.encoded for name, objective in objectives.items()}
    names = [name for name, _ in model.named_parameters()]
    if frozen.issuperset(name for name in names if name.startswith("backbone.")):
        return CachedVectors(cache_vectors(model, texts, compute, None, 0).stores, objectives)
    depth = prefix_depth([name for name, _ in model.named_parameters()], frozen)
    if not keep:
        return whole(model, objectives, compute.device)
    if not depth:
        raise SystemExit("mtlkit-kept keeps what frozen lower layers give; freeze some, as by --freeze embeddings,layers:0-2")
    return UpperBackbone(
        model, objectives, compute.device, cache_hidden_states(model, texts, compute, None, 0, depth).stores, depth
    )


def ours(options: Namespace, schedule: str = "joint", whole: type[WholeBackbone] = WholeBackbone) -> Train:
    """As `mtlkit train-mtl --init DIR --schedule joint` does it, or with another schedule, or another way to run the backbone."""
    options = Namespace(**{"keep": False, "precision": "fp32", "recompute": False, **vars(options)})
    tokenizer, architecture = described(options)
    encoder = TextEncoder(tokenizer, Encoding(options.max_length, "head"))
    tasks = {}
    for place, numbered in enumerate(read_tables(options), 1):
        table = LabelledTable(numbered.texts, [str(label) for label in numbered.labels])
        spec = infer_spec(f"task{place}", table.labels, "linear", "classification")
        texts = prepare(spec, table, encoder)
        tasks[spec.name] = TaskData(spec, texts, texts, {}, SourceRecord(spec.name))
    lengths = {name: task.train.encoded.lengths for name, task in tasks.items()}
    plans = make_samplers(lengths, round(options.batch * max(each.mean() for each in lengths.values())), 0)
    weights = weight_names(architecture, dict.fromkeys(tasks, "linear"))
    freezing = parse_freeze([options.freeze], None, weights, list(tasks), architecture.repeats)
    frozen = freezing.always
    compute = choose_compute("cpu", options.precision)

    def train(steps: int | None) -> Measure:
        torch.manual_seed(0)
        model = lowest(load_weights(Path(options.model)).model, options.layers)
        set_dropout(model, options.dropout)
        for task in tasks.values():
            model.add_task(task.spec)
        apply_freeze(model, frozen)
        recompute_blocks(model, options.recompute)
        objectives = head_objectives(model, tasks)
        losses = TaskLosses(objectives, vectors_of(model, objectives, frozen, compute, options.keep, whole))
        training_mode(model, frozen)
        watch = Stopwatch()
        mix = TaskMixture(plans, schedule)
        rate = LearningRate(LEARNING_RATE, mix.steps * options.epochs, WARM_UP_SHARE)
        optimizer = ScheduledOptimizer(dict(model.named_parameters()), rate, weight_decay=WEIGHT_DECAY, clip=CLIP)
        batches = ((piece,) for piece in islice(mix.work(options.epochs), steps))
        taken = [
            (sum(map(len, step.pieces[0].values())), sum(step.losses.values()))
            for step in training.train(batches, losses, ModelUpdater(model, optimizer, compute))
        ]
        texts = sum(count for count, _ in taken)
        return watch.rate(texts, loss=sum(loss for _, loss in taken) / len(taken), texts_a_step=texts / len(taken))

    return train
