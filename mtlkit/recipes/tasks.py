"""The way from options to a finished run that `train-sentence` and `train-mtl` share."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mtlkit.config.architecture import Stage, parse_head
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.grammar import parse_source, parse_task
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute, choose_compute
from mtlkit.model.weight_names import weight_names
from mtlkit.recipes.baselines import Finding, check_baselines, compare
from mtlkit.recipes.keeping import Keeping, check_keeping
from mtlkit.recipes.mixing import check_mixing
from mtlkit.recipes.outcome import Outcome, texts_of
from mtlkit.recipes.preparing import Checked, Options, Prepared, prepare_objectives
from mtlkit.recipes.saving import Making, Product, save_bests, save_run
from mtlkit.recipes.start import choose_start
from mtlkit.recipes.vector_objectives import check_objective
from mtlkit.recipes.weights import describe, load_weights
from mtlkit.recipes.workplace import Workplace, workplace
from mtlkit.report.sharing import in_words as sharing_words
from mtlkit.runs import amend, staged
from mtlkit.training.events import Event, Finished, Note, Sharing
from mtlkit.training.fit import Surroundings, fit
from mtlkit.training.freezing import check_freeze, parse_freeze
from mtlkit.training.frozen_weights import prefix_depth
from mtlkit.training.loop import DivergedStep
from mtlkit.training.memory import probe_texts
from mtlkit.training.regime import Regime
from mtlkit.training.router import check_router

CACHE = ".cache"  # beside a run: what is worked out once for it and others


@dataclass(frozen=True)
class Stages:
    """What tells one command from another: its name, what it makes and where, what it starts from, what comes next."""

    command: str
    stage: Stage
    folder: str
    starts: tuple[Stage, ...]
    following: str


@dataclass(frozen=True)
class Ready:
    """A training whose options are checked and whose data is read: where it computes, and its terms."""

    checked: Checked
    prepared: Prepared
    regime: Regime
    compute: Compute


def train_tasks(options: Options, stages: Stages) -> Iterator[Event]:
    """Checks all options, reads the data, trains, and writes the run. No data is read before everything is checked."""
    started = time.monotonic()
    with workplace(options, stages.command, stages.folder) as place:
        yield from place.said()
        options, out, record = place.options, place.out, place.finished
        compares = isinstance(options, TrainMtlOptions) and options.baselines
        if record and not (compares and "sharing" not in record.metrics):
            yield Finished(out, record.metrics, 0.0, stages.following)
            return
        ready = yield from _prepare(options, stages, place)
        if record:  # what is left to do is to compare
            ready.prepared.start.model.load_state_dict(load_weights(out).model.state_dict())
            metrics = record.metrics
        else:
            metrics = yield from _train(options, stages, place, ready)
        if isinstance(options, TrainMtlOptions) and options.baselines:
            cache = out.parent / CACHE
            report = yield from compare(Finding(options, ready.checked, ready.prepared, ready.regime, ready.compute, cache))
            metrics["sharing"] = {**report.to_json(), "words": sharing_words(report)}
            amend(out, metrics)
            yield Sharing(report)
        yield Finished(out, metrics, time.monotonic() - started, stages.following)


def _prepare(options: Options, stages: Stages, place: Workplace[Any]) -> Generator[Event, None, Ready]:
    compute = choose_compute(options.device, options.precision)
    checked = check(replace(options, init=place.init), stages)
    yield Note(
        f"starting from {checked.found}, {checked.found.reason}" if checked.found else "starting from fresh weights, as asked"
    )
    prepared = yield from prepare_objectives(options, checked)
    unused = {f"head:{name}" for name in prepared.start.model.tasks} - {one.head for one in prepared.objectives.values()}
    if unused:
        moves = not checked.freezing.keeps("backbone")
        seen = "; --watch NAME shows what becomes of one" if moves and stages.command == "train-mtl" else ""
        yield Note(f"kept as they are, for want of data: {', '.join(sorted(unused))}{seen}", warning=moves)
    return Ready(checked, prepared, regime_of(options, checked, prepared), compute)


def _train(options: Options, stages: Stages, place: Workplace[Any], ready: Ready) -> Generator[Event, None, dict[str, Any]]:
    """Trains, writes the run, and gives its metrics."""
    prepared, start, out = ready.prepared, ready.prepared.start, place.out
    saver = place.saver(ready.compute, prepared.data, ready.checked.init, start.parent)
    yield from place.said()
    probe = start.encoder.encode(probe_texts()) if prepared.known else None
    outcome = Outcome()
    with place.interrupts:
        with place.log() as log:
            more = (saver, options.keep_state, place.begun, place.extends)
            surroundings = Surroundings(ready.compute, log, out.parent / CACHE, probe, *more)
            try:
                for event in fit(start.model, prepared.objectives, ready.regime, options, surroundings):
                    outcome.add(event)
                    yield event
            except DivergedStep as error:
                raise place.diverged(error, texts_of(error.pieces, prepared)) from None
        metrics = outcome.metrics()
        product = Product(start.model, start.encoder.tokenizer, stages.stage, start.encoder.encoding)
        made = Making(stages.command, options, prepared.data, start.parent)
        with staged(out) as folder:
            place.hand_over(folder)
            if ready.regime.mixing.keep_best:
                save_bests(folder, product, made, outcome.bests)
            save_run(folder, out, product, made, metrics)
    place.end()
    return metrics


def check(options: Options, stages: Stages) -> Checked:
    """Everything that can be said without reading data. Raises UsageError, IntegrityError."""
    options.cap_rows()
    parse_head(options.head)
    sources = named_sources(options.tasks)
    found = choose_start(options, stages.starts)
    described = describe(found.path) if found else None
    known = {task.name: task.head for task in described.tasks} if described else {}
    architecture = described.architecture if described else options.architecture()
    heads = known | {name: options.head for name in sources if name not in known}
    weights = weight_names(architecture, heads)
    freezing = parse_freeze(options.freeze, options.unfreeze, weights, list(heads), architecture.layers)
    keeping = Keeping()
    if isinstance(options, TrainMtlOptions):
        keeping = check_keeping(options, found, list(known), sources, freezing)
    if options.cache_prefix and not prefix_depth(weights, freezing.always):
        raise UsageError(
            "--cache-prefix keeps what frozen lower blocks give, and none are frozen all along together with the embeddings; "
            f"say --freeze embeddings,layers:0-{max(0, architecture.layers // 2 - 1)}, or leave it out"
        )
    if isinstance(options, TrainSentenceOptions):
        check_objective(options, found, freezing, architecture.dim)
    if options.objective == "classify":
        check_freeze(freezing, list(sources), {"backbone", *(f"head:{name}" for name in known)}, fresh=found is None)
    trained = [name for name in sources if not freezing.keeps(f"head:{name}")]
    mixing = check_mixing(options, trained, [*trained, *keeping.rehearsed], freezing)
    if options.router:
        check_router([*sources, *keeping.watched])
    if isinstance(options, TrainMtlOptions):
        check_baselines(options, found, options.out or options.runs / stages.folder, trained, freezing)
    return Checked(found, sources, freezing, keeping, mixing)


def regime_of(options: Options, checked: Checked, prepared: Prepared) -> Regime:
    """The terms of the training."""
    kept = checked.keeping
    watched = frozenset(kept.watched)
    more = (kept.rehearsed, kept.guards, kept.max_forgetting, prepared.classes, options.router)
    return Regime(checked.freezing, checked.mixing, prepared.known, watched, *more)


def named_sources(tasks: Sequence[str]) -> dict[str, str]:
    """`["topic=sample:topic"]` -> {"topic": "sample:topic"}, with every query checked. Raises UsageError."""
    named: dict[str, str] = {}
    for text in tasks:
        name, source = parse_task(text)
        if name in named:
            raise UsageError(f"task '{name}' is given twice; each --task needs a name of its own")
        parse_source(source)
        named[name] = source
    if not named:
        raise UsageError("no task; give one with --task NAME=SOURCE")
    return named
