"""Metrics per task, what vectors are worth, or the perplexity of a base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import EvalOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.training import TrainMtlOptions
from mtlkit.data.datasets.corpus import read_corpus, read_texts
from mtlkit.data.datasets.labelled import LabelledTable, read_for_evaluation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.task_data import prepare
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.sources.spec import named_sources, parse_source
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.evaluation.task_metrics import decisions_of, score
from mtlkit.inference.engine import ROUTER, Array
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.routing import score_router
from mtlkit.inference.similarity import width_of
from mtlkit.inference.torch_engine import TorchEngine
from mtlkit.recipes.evaluation.perplexity import perplexity, read_held_out
from mtlkit.recipes.evaluation.probe import ProbeResult, check_probe, probe
from mtlkit.recipes.evaluation.sts import StsResult, measure_sts

PAIRS = 5  # of the most confused classes


@dataclass(frozen=True)
class ConfusedPair:
    """A pair of classes, how often the first is taken for the second, and a text for which it is."""

    true: str
    predicted: str
    count: int
    text: str


@dataclass(frozen=True)
class TaskEvaluation:
    """A task's metrics as `metrics.score` gives them, the split they are of, what was left out of it, and how it was read."""

    metrics: dict[str, Any]
    split: str
    unseen: dict[str, int]
    truncated: int
    confused: list[ConfusedPair] = field(default_factory=list)
    record: SourceRecord | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `eval` found: tasks by name, how well the router tells these apart, a base's figures, or what was measured of
    vectors; and what rows were skipped."""

    model: str
    split: str
    tasks: dict[str, TaskEvaluation] = field(default_factory=dict)
    router: TaskEvaluation | None = None
    base: dict[str, float] = field(default_factory=dict)
    sts: list[StsResult] = field(default_factory=list)
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    tally: SkippedRows = field(default_factory=SkippedRows)

    def records(self) -> Iterator[tuple[str, SourceRecord]]:
        """How each source was read, by the name of its task or, for similarity, of the source."""
        yield from ((name, task.record) for name, task in self.tasks.items() if task.record)
        yield from ((found.source, found.record) for found in self.sts)
        yield from ((name, found.record) for name, found in self.probes.items())

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"model": self.model, "split": self.split}
        if self.sts or self.probes:
            probes = {name: found.to_json() for name, found in self.probes.items()}
            return document | {"sts": [found.to_json() for found in self.sts], "probe": probes}
        if self.base:
            document["base"] = self.base
        document["tasks"] = {
            name: {**task.metrics, **({"unseen_labels": task.unseen} if task.unseen else {})} for name, task in self.tasks.items()
        }
        return document | ({"router": self.router.metrics} if self.router else {})


def evaluate(options: EvalOptions, loaded: LoadedModel) -> Evaluation:
    """Evaluates every head of a model on its own data or on the data given; with `sts` or `probe`, its vectors instead.

    Raises UsageError, DataError.
    """
    tally = SkippedRows()
    reading = ReadOptions(options.encoding, options.on_bad_row, tally)
    if options.sts or options.probe:
        return evaluate_vectors(options, loaded, reading)
    if options.dim is not None:
        raise UsageError("--dim cuts vectors for --sts and --probe, and heads need them whole; leave it out, or add one of those")
    if options.text and loaded.tasks:
        raise UsageError(f"--text measures a base; {loaded.name} has heads ({listed(loaded.tasks)}), give them data with --task")
    sources = evaluation_sources(options, loaded)
    tasks: dict[str, TaskEvaluation] = {}
    routed: dict[str, RoutedTexts] = {}
    base: dict[str, float] = {}
    for name, source in sources.items():
        recorded = replace(reading, recorded=loaded.checkpoint.sources.get(name))
        table, split = read_for_evaluation(source, options.split, recorded, named=bool(options.task))
        tasks[name], routed[name] = evaluate_task(loaded, name, table, split)
    if not loaded.tasks:
        base = evaluate_base(options, loaded, tally)
    router = evaluate_router(loaded.router, routed, options.split)
    return Evaluation(loaded.name, options.split, tasks, router, base, tally=tally)


def evaluate_vectors(options: EvalOptions, loaded: LoadedModel, reading: ReadOptions) -> Evaluation:
    """Similarity of sentences on every source of `sts`, then a probe of every task. All options are checked first."""
    if options.text:
        raise UsageError("--text measures a base, --sts and --probe vectors; leave one of them out")
    if options.task and not options.probe:
        raise UsageError("--task names data of heads or of --probe, and --sts evaluates no heads; add --probe, or leave it out")
    width_of(options, loaded)
    for source in options.sts:
        parse_source(source)
    sources = probe_sources(options, loaded) if options.probe else {}
    sts = [measure_sts(source, options, loaded, reading) for source in options.sts]
    recorded = {name: replace(reading, recorded=loaded.checkpoint.sources.get(name)) for name in sources}
    probes = {name: probe(name, source, options, loaded, recorded[name]) for name, source in sources.items()}
    return Evaluation(loaded.name, options.split, sts=sts, probes=probes, tally=reading.tally)


def probe_sources(options: EvalOptions, loaded: LoadedModel) -> dict[str, str]:
    """Where the rows of each probe come from: what the command says, what the run's heads were trained on, else the samples."""
    check_probe()
    if options.task:
        return named_sources(options.task)
    return trained_sources(loaded) or named_sources(TrainMtlOptions().task)


def evaluate_base(options: EvalOptions, loaded: LoadedModel, tally: SkippedRows) -> dict[str, float]:
    """The perplexity of a base, which has no heads. Raises UsageError where that is not what the model is."""
    if not options.text and (loaded.record is None or loaded.record.stage != "base"):
        ways = f"measure its vectors with --sts SOURCE or --probe, or train heads with 'mtlkit train-mtl --init {loaded.name}'"
        raise UsageError(f"{loaded.without_heads} to evaluate; {ways}")
    if options.prompt is not None:
        raise UsageError("--prompt is for vectors and heads, and a base is measured on texts as they are; leave it out")
    if loaded.checkpoint.architecture.attention != "causal":
        raise UsageError(f"--text measures a base, and {loaded.name} predicts no next token, it sees whole texts; leave it out")
    if not isinstance(engine := loaded.engine, TorchEngine):
        raise UsageError(f"{loaded.name} has no heads, and perplexity needs weights; name the run itself, with --backend torch")
    texts = evaluation_texts(options, loaded, tally)
    return perplexity(engine.model.backbone, read_held_out(texts, loaded.encoder), engine.compute)


def evaluation_sources(options: EvalOptions, loaded: LoadedModel) -> dict[str, str]:
    """Where each head's rows come from: what the command says, else what the run was trained on."""
    if options.task:
        named = named_sources(options.task)
        for name in named:
            if name not in loaded.tasks:
                there = f"it has {listed(loaded.tasks) or 'none'}{suggest(name, loaded.tasks)}"
                raise UsageError(f"--task {name}: {loaded.name} has no such head; {there}")
        return named
    return trained_sources(loaded)


def trained_sources(loaded: LoadedModel) -> dict[str, str]:
    """What the heads of a run were trained on, as far as its record says."""
    trained = loaded.record.sources if loaded.record else {}
    return {name: source for name, source in trained.items() if name in loaded.tasks}


def evaluate_task(loaded: LoadedModel, name: str, table: LabelledTable, split: str) -> tuple[TaskEvaluation, RoutedTexts]:
    """One head on one table, and what the router says of the same texts."""
    spec = loaded.specs[name]
    texts = prepare(spec, table, loaded.encoder)
    found = loaded.engine.outputs(texts.encoded, [name, *([ROUTER] if name in loaded.router else [])])
    outputs, strings = found[name], [table.texts[row] for row in texts.rows]
    metrics = score(spec, outputs, texts.labels)
    decided = decisions_of(spec, outputs)
    confused = [] if decided is None else most_confused(spec.labels, texts.labels, decided, strings)
    record = replace(table.record, kind=spec.kind)
    evaluation = TaskEvaluation(metrics, split, dict(texts.unseen), texts.encoded.truncated, confused, record)
    return evaluation, RoutedTexts(strings, found.get(ROUTER))


@dataclass(frozen=True)
class RoutedTexts:
    """The texts of a task, and what the router says of them, (N, tasks); None where it does not know the task."""

    texts: list[str]
    logits: Array | None


def evaluate_router(tasks: tuple[str, ...], routed: Mapping[str, RoutedTexts], split: str) -> TaskEvaluation | None:
    """How well a router of these tasks tells the texts of those apart that are evaluated; None without a router."""
    known = {name: one for name, one in routed.items() if one.logits is not None}
    if not known:
        return None
    logits = np.concatenate([one.logits for one in known.values() if one.logits is not None])
    true = np.concatenate([np.full(len(one.texts), tasks.index(name)) for name, one in known.items()])
    texts = [text for one in known.values() for text in one.texts]
    confused = most_confused(tasks, true, logits.argmax(1), texts)
    return TaskEvaluation(score_router(tasks, logits, true), split, {}, 0, confused)


def most_confused(labels: tuple[str, ...], true: NDArray[Any], predicted: NDArray[Any], texts: list[str]) -> list[ConfusedPair]:
    """The pairs (true, predicted) with the most texts, each with the first such text."""
    wrong = np.flatnonzero(true != predicted)
    pairs, first, counts = np.unique(true[wrong] * len(labels) + predicted[wrong], return_index=True, return_counts=True)
    return [
        ConfusedPair(
            labels[pairs[place] // len(labels)],
            labels[pairs[place] % len(labels)],
            int(counts[place]),
            texts[wrong[first[place]]],
        )
        for place in np.argsort(-counts, kind="stable")[:PAIRS]
    ]


def evaluation_texts(options: EvalOptions, loaded: LoadedModel, tally: SkippedRows) -> list[str]:
    """Texts for a base's perplexity: those given, else the held-out texts of its training."""
    record = loaded.record
    if options.text or record is None:
        reading, records = ReadOptions(options.encoding, options.on_bad_row, tally), dict(loaded.checkpoint.sources)
        return [text for source in options.text for text in read_texts(source, reading, records)]
    trained: Mapping[str, Any] = record.options
    reading = ReadOptions(trained["encoding"], trained["on_bad_row"], tally)
    return read_corpus(record.data["sources"], reading, record.seed).held_out
