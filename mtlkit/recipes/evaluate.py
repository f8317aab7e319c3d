"""Metrics per task, or the perplexity of a base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import EvalOptions
from mtlkit.data.cache import encode_cached
from mtlkit.data.corpus import read_corpus, read_texts
from mtlkit.data.readers import Tally
from mtlkit.data.tables import Reading, Table, read_for_evaluation
from mtlkit.data.tasks import prepare
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.torch_engine import TorchEngine
from mtlkit.metrics import score
from mtlkit.recipes.loading import LoadedModel
from mtlkit.recipes.perplexity import held_out_windows, perplexity
from mtlkit.recipes.tasks import named_sources

PAIRS = 5  # of the most confused classes


@dataclass(frozen=True)
class Confused:
    """A pair of classes, how often the first is taken for the second, and a text for which it is."""

    true: str
    predicted: str
    count: int
    text: str


@dataclass(frozen=True)
class TaskEvaluation:
    """A task's metrics as `metrics.score` gives them, the split they are of, and what was left out of it."""

    metrics: dict[str, Any]
    split: str
    unseen: dict[str, int]
    truncated: int
    confused: list[Confused] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """What `eval` found: tasks by name, or a base's figures."""

    model: str
    split: str
    tasks: dict[str, TaskEvaluation]
    base: dict[str, float]
    skipped: int

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"model": self.model, "split": self.split}
        if self.base:
            document["base"] = self.base
        document["tasks"] = {
            name: {**task.metrics, **({"unseen_labels": task.unseen} if task.unseen else {})} for name, task in self.tasks.items()
        }
        return document


def evaluate(options: EvalOptions, loaded: LoadedModel) -> Evaluation:
    """Evaluates every head of a model on its own data or on the data given. Raises UsageError, DataError."""
    if options.text and loaded.tasks:
        raise UsageError(f"--text measures a base; {loaded.path} has heads ({listed(loaded.tasks)}), give them data with --task")
    tally = Tally()
    reading = Reading(options.encoding, options.on_bad_row, tally)
    sources = evaluation_sources(options, loaded)
    tasks, base = {}, {}
    for name, source in sources.items():
        table, split = read_for_evaluation(source, options.split, reading, named=bool(options.task))
        tasks[name] = evaluate_task(loaded, name, table, split)
    if not loaded.tasks:
        if not isinstance(engine := loaded.engine, TorchEngine):
            raise UsageError(
                f"{loaded.path} has no heads, and perplexity needs weights; name the run itself, with --backend torch"
            )
        texts = evaluation_texts(options, loaded, tally)
        windows = held_out_windows(
            encode_cached(texts, loaded.encoder, whole=True).ids, loaded.checkpoint.architecture.max_length
        )
        base = perplexity(engine.model.backbone, windows, texts, engine.compute)
    return Evaluation(str(loaded.path), options.split, tasks, base, tally.skipped)


def evaluation_sources(options: EvalOptions, loaded: LoadedModel) -> dict[str, str]:
    """Where each head's rows come from: what the command says, else what the run was trained on."""
    if options.task:
        named = named_sources(options.task)
        for name in named:
            if name not in loaded.tasks:
                there = f"it has {listed(loaded.tasks) or 'none'}{suggest(name, loaded.tasks)}"
                raise UsageError(f"--task {name}: {loaded.path} has no such head; {there}")
        return named
    trained = loaded.record.data if loaded.record else {}
    return {name: data["source"] for name, data in trained.items() if name in loaded.tasks}


def evaluate_task(loaded: LoadedModel, name: str, table: Table, split: str) -> TaskEvaluation:
    """One head on one table."""
    spec = loaded.specs[name]
    texts = prepare(spec, table, loaded.encoder)
    outputs = loaded.engine.outputs(texts.encoded, [name])[name]
    metrics = score(spec, outputs, texts.labels)
    confused = []
    if spec.kind == "classification":
        confused = most_confused(spec.labels, texts.labels, outputs.argmax(1), [table.texts[row] for row in texts.rows])
    return TaskEvaluation(metrics, split, dict(texts.unseen), texts.encoded.truncated, confused)


def most_confused(labels: tuple[str, ...], true: NDArray[Any], predicted: NDArray[Any], texts: list[str]) -> list[Confused]:
    """The pairs (true, predicted) with the most texts, each with the first such text."""
    wrong = np.flatnonzero(true != predicted)
    pairs, first, counts = np.unique(true[wrong] * len(labels) + predicted[wrong], return_index=True, return_counts=True)
    return [
        Confused(
            labels[pairs[place] // len(labels)],
            labels[pairs[place] % len(labels)],
            int(counts[place]),
            texts[wrong[first[place]]],
        )
        for place in np.argsort(-counts, kind="stable")[:PAIRS]
    ]


def evaluation_texts(options: EvalOptions, loaded: LoadedModel, tally: Tally) -> list[str]:
    """Texts for a base's perplexity: those given, else the held-out texts of its training."""
    if options.text:
        return [text for source in options.text for text in read_texts(source, options.encoding, options.on_bad_row, tally)]
    if loaded.record is None:
        raise UsageError(f"{loaded.path} has no heads to evaluate; train some with 'mtlkit train-mtl --init {loaded.path}'")
    trained: Mapping[str, Any] = loaded.record.options
    return read_corpus(loaded.record.data["sources"], trained["encoding"], trained["on_bad_row"], loaded.record.seed)[1]
