"""`mtlkit eval`: metrics of each task, quality of vectors, or perplexity of a base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.held_out import HOLDOUT, holdout_of
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_for_evaluation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.evaluation.out_of_scope import Separation
from mtlkit.inference.cached_model import reused_tasks
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluation.against import Comparison, check_against, compare
from mtlkit.recipes.evaluation.base import evaluate_base
from mtlkit.recipes.evaluation.heads import HeadOutputs, RoutedTexts, TaskEvaluation, evaluate_router, evaluate_task
from mtlkit.recipes.evaluation.out_of_scope import check_out_of_scope, measure_out_of_scope
from mtlkit.recipes.evaluation.probe import ProbeResult, check_probe, probe
from mtlkit.recipes.evaluation.retrieval import RetrievalResult, measure_retrieval
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.recipes.evaluation.sts import StsResult, measure_sts


@dataclass(frozen=True)
class Evaluation:
    """The results of `eval`: of each task's head and of the router, of a base, or of the vectors; and the skipped rows. `cached`
    are the tasks whose predictions came from the cache."""

    model: str
    split: str
    tasks: dict[str, TaskEvaluation] = field(default_factory=dict)
    router: TaskEvaluation | None = None
    base: dict[str, Any] = field(default_factory=dict)
    sts: list[StsResult] = field(default_factory=list)
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    retrieval: list[RetrievalResult] = field(default_factory=list)
    tally: SkippedRows = field(default_factory=SkippedRows)
    comparison: Comparison | None = None
    out_of_scope: dict[str, Separation] = field(default_factory=dict)
    cached: tuple[str, ...] = ()

    def records(self) -> Iterator[tuple[str, SourceRecord]]:
        """How each source was read, by the name of its task or, for similarity, of the source."""
        yield from ((name, task.record) for name, task in self.tasks.items() if task.record)
        yield from ((result.source, result.record) for result in self.sts)
        yield from ((name, result.record) for name, result in self.probes.items())

    @property
    def rows(self) -> dict[str, EvaluatedRows]:
        """The evaluated rows of each task with a head."""
        return {name: task.rows for name, task in self.tasks.items() if task.rows is not None}

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"model": self.model, "split": self.split}
        if self.sts or self.probes or self.retrieval:
            probes = {name: result.to_json() for name, result in self.probes.items()}
            document |= {"sts": [result.to_json() for result in self.sts], "probe": probes}
            if self.retrieval:
                document["retrieval"] = [result.to_json() for result in self.retrieval]
            return document | ({"against": self.comparison.to_json()} if self.comparison else {})
        if self.base:
            document["base"] = self.base
        document["tasks"] = {
            name: {
                **task.metrics,
                **({"calibration": task.reliability.to_json()} if task.reliability else {}),
                **({"unseen_labels": task.unseen} if task.unseen else {}),
            }
            for name, task in self.tasks.items()
        }
        if self.router:
            document["router"] = self.router.metrics
        if self.out_of_scope:
            document["out_of_scope"] = {name: found.to_json() for name, found in self.out_of_scope.items()}
        return document | ({"against": self.comparison.to_json()} if self.comparison else {})


def evaluate(options: EvalOptions, loaded: LoadedModel, against: LoadedModel | None = None) -> Evaluation:
    """Evaluates every head of a model on the given data or the data it was trained on; with `sts`, `probe` or `retrieval`, its
    vectors instead. `against` is a model to compare with on the same rows.

    Raises UsageError, DataError.
    """
    tally = SkippedRows()
    holdout = holdout_of(loaded.record.options) if loaded.record else HOLDOUT
    reading = ReadOptions(options.encoding, options.on_bad_row, tally, keep_places=options.errors is not None, holdout=holdout)
    if options.calibration and (options.of_vectors or not loaded.tasks):
        raise UsageError(f"--calibration shows the probabilities of heads, and {needs_heads(options, loaded)}; remove it")
    if options.of_vectors:
        check_against(options, loaded, against, ())
        check_out_of_scope(options, loaded, ())
        return evaluate_vectors(options, loaded, against, reading)
    if options.dim is not None:
        raise UsageError(
            "--dim truncates vectors for --sts, --probe and --retrieval, but heads need full vectors; remove it, or add one of "
            "those"
        )
    if options.text and loaded.tasks:
        raise UsageError(f"--text measures a base; {loaded.name} has heads ({listed(loaded.tasks)}), give them data with --task")
    if options.packing and loaded.tasks:
        raise UsageError(f"--packing is for a base, and {loaded.name} has heads ({listed(loaded.tasks)}); remove it")
    sources = evaluation_sources(options, loaded)
    check_against(options, loaded, against, sources)
    check_out_of_scope(options, loaded, list(sources))
    tables: dict[str, LabelledTable] = {}
    tasks: dict[str, TaskEvaluation] = {}
    routed: dict[str, RoutedTexts] = {}
    base: dict[str, Any] = {}
    splits: dict[str, str] = {}
    for name, source in sources.items():
        recorded = replace(reading, recorded=loaded.checkpoint.sources.get(name), records=loaded.checkpoint.sources)
        tables[name], splits[name] = read_for_evaluation(source, options.split, recorded, named=bool(options.task))
    outputs_of = HeadOutputs(loaded, tables)
    for name, split in splits.items():
        tasks[name], routed[name] = evaluate_task(loaded, name, tables[name], split, options.seed, outputs_of)
    if not loaded.tasks:
        base = evaluate_base(options, loaded, tally)
    router = evaluate_router(loaded.router, routed, options.split, options.seed)
    comparison = None
    if against is not None:
        rows = {name: task.rows for name, task in tasks.items() if task.rows is not None}
        comparison = compare(loaded, against, tables, rows, options.seed)
    result = Evaluation(loaded.name, options.split, tasks, router, base, tally=tally, comparison=comparison)
    cached = tuple(reused_tasks(loaded, against))
    return replace(result, cached=cached, out_of_scope=measure_out_of_scope(options, loaded, result.rows, tally))


def needs_heads(options: EvalOptions, loaded: LoadedModel) -> str:
    """Why no head is evaluated."""
    vectors = " and ".join(options.of_vectors)
    return f"{vectors} evaluate vectors" if vectors else f"{loaded.name} has none"


def evaluate_vectors(options: EvalOptions, loaded: LoadedModel, against: LoadedModel | None, reading: ReadOptions) -> Evaluation:
    """Measures sentence similarity on each source of `--sts`, retrieval on each of `--retrieval`, and runs a probe for each task.
    All options are checked first."""
    vectors = " and ".join(options.of_vectors)
    if options.text or options.packing:
        name = "--text" if options.text else "--packing"
        raise UsageError(f"{name} measures a base, {vectors} vectors; leave one of them out")
    if options.task and not options.probe:
        raise UsageError(f"--task names data of heads or of --probe, and {vectors} evaluates no heads; add --probe, or remove it")
    loaded.output_dim(options.dim)
    for source in options.sts:
        parse_source(source)
    sources = probe_sources(options, loaded) if options.probe else {}
    sts = [measure_sts(source, options, loaded, reading) for source in options.sts]
    recorded = {name: replace(reading, recorded=loaded.checkpoint.sources.get(name)) for name in sources}
    probes = {name: probe(name, source, options, loaded, recorded[name]) for name, source in sources.items()}
    retrieval = [measure_retrieval(text, options, loaded, against, reading) for text in options.retrieval]
    compared = {result.source: result.comparison for result in retrieval if result.comparison}
    comparison = Comparison(against.name, compared, (), ()) if against else None
    return Evaluation(
        loaded.name,
        options.split,
        sts=sts,
        probes=probes,
        retrieval=retrieval,
        tally=reading.tally,
        comparison=comparison,
    )


def probe_sources(options: EvalOptions, loaded: LoadedModel) -> dict[str, str]:
    """The data of each probe: the given sources, else what the run's heads were trained on, else the samples in the package."""
    check_probe()
    if options.task:
        return named_sources(options.task)
    return trained_sources(loaded) or named_sources(TrainMtlOptions().task)


def evaluation_sources(options: EvalOptions, loaded: LoadedModel) -> dict[str, str]:
    """The data of each head: the given sources, else what the run was trained on."""
    if options.task:
        named = named_sources(options.task)
        for name in named:
            if name not in loaded.tasks:
                heads = f"it has {listed(loaded.tasks) or 'none'}{suggest(name, loaded.tasks, '--task')}"
                raise UsageError(f"--task {name}: {loaded.name} has no such head; {heads}")
        return named
    return trained_sources(loaded)


def trained_sources(loaded: LoadedModel) -> dict[str, str]:
    """The sources that the heads of a run were trained on, according to its record."""
    trained = loaded.record.sources if loaded.record else {}
    return {name: source for name, source in trained.items() if name in loaded.tasks}
