"""The way from options to a finished run that `train-sentence` and `train-mtl` share."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtlkit.config.training import TrainMtlOptions
from mtlkit.data.cache import fingerprint
from mtlkit.inference.compute import Compute, choose_compute
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.training.baselines import ComparedRun, compare
from mtlkit.recipes.training.prepare import Checked, Options, Prepared, prepare_objectives
from mtlkit.recipes.training.result import TrainResult, texts_of
from mtlkit.recipes.training.save import Provenance, TrainedModel, save_bests, save_run
from mtlkit.recipes.training.session import RunSession, workplace
from mtlkit.recipes.training.validate import CommandSpec, check, regime_of
from mtlkit.report.sharing import sharing_messages as sharing_words
from mtlkit.runs.record import TOKENIZER, amend
from mtlkit.runs.staging import staged
from mtlkit.runs.store import CACHE
from mtlkit.training.continual.start_model import probe_texts
from mtlkit.training.events import Event, Finished, Note, Sharing
from mtlkit.training.loop import DivergedStep
from mtlkit.training.plan import TrainPlan
from mtlkit.training.setup import RuntimeContext, fit
from mtlkit.training.state_dict import copy_into


@dataclass(frozen=True)
class Ready:
    """A training whose options are checked and whose data is read: where it computes, and its terms."""

    checked: Checked
    prepared: Prepared
    plan: TrainPlan
    compute: Compute


def train_tasks(options: Options, stages: CommandSpec) -> Iterator[Event]:
    """Checks all options, reads the data, trains, and writes the run. No data is read before everything is checked."""
    started = time.monotonic()
    with workplace(options, stages.command, stages.folder) as place:
        yield from place.said()
        options, out, record = place.options, place.out, place.finished
        compares = isinstance(options, TrainMtlOptions) and options.baselines
        if record and not (compares and "sharing" not in record.metrics):
            yield Finished(out, record.metrics, 0.0, _next(options, stages, out, record.sources.values()))
            return
        ready = yield from _prepare(options, stages, place)
        if record:  # what is left to do is to compare
            place.check_finished(ready.prepared.data, ready.prepared.start.parent)
            weights = dict(ready.prepared.start.model.to(ready.compute.device).named_parameters())
            trained = load_weights(out).model.named_parameters()
            copy_into(weights, {name: weight for name, weight in trained if name in weights})  # all but a router
            metrics = record.metrics
        else:
            metrics = yield from _train(options, stages, place, ready)
        if isinstance(options, TrainMtlOptions) and options.baselines:
            cache = out.parent / CACHE
            with place.comparing():
                report = yield from compare(ComparedRun(options, ready.checked, ready.prepared, ready.plan, ready.compute, cache))
                metrics["sharing"] = {**report.to_json(), "words": sharing_words(report)}
                amend(out, metrics)
            yield Sharing(report)
        sources = [*ready.checked.sources.values(), *ready.checked.keeping.watched.values()]
        yield Finished(out, metrics, time.monotonic() - started, _next(options, stages, out, sources))


def _next(options: Options, stages: CommandSpec, out: Path, sources: Iterable[str]) -> str:
    return next_command(stages.following, out, stages.folder, options, sources)


def _prepare(options: Options, stages: CommandSpec, place: RunSession[Any]) -> Generator[Event, None, Ready]:
    compute = choose_compute(options.device, options.precision)
    checked = check(replace(options, init=place.init), stages)
    place.check_start(checked.found)
    yield Note(
        f"starting from {checked.found}, {checked.found.reason}" if checked.found else "starting from fresh weights, as asked"
    )
    prepared = yield from prepare_objectives(options, checked)
    yield from map(Note, prepared.start.notes)
    unused = {f"head:{name}" for name in prepared.start.model.tasks} - {one.head for one in prepared.objectives.values()}
    if unused:
        moves = not checked.freezing.keeps("backbone")
        seen = "; --watch NAME shows what becomes of one" if moves and stages.command == "train-mtl" else ""
        yield Note(f"kept as they are, for want of data: {', '.join(sorted(unused))}{seen}", warning=moves)
    return Ready(checked, prepared, regime_of(options, checked, prepared), compute)


def _train(options: Options, stages: CommandSpec, place: RunSession[Any], ready: Ready) -> Generator[Event, None, dict[str, Any]]:
    """Trains, writes the run, and gives its metrics."""
    prepared, start, out = ready.prepared, ready.prepared.start, place.out
    reads = [start.encoder.tokenizer.to_str(), *([start.encoder.prompt] if start.encoder.prompt else [])]
    data = {**prepared.data, TOKENIZER: fingerprint(reads)}
    saver = place.saver(ready.compute, data, ready.checked.init, start.parent)
    yield from place.said()
    probe = start.encoder.encode(probe_texts()) if prepared.known else None
    outcome = TrainResult()
    with place.log(saver) as log:
        more = (saver, options.keep_state, place.begun, place.extends)
        context = RuntimeContext(ready.compute, log, out.parent / CACHE, probe, *more)
        try:
            for event in fit(start.model, prepared.objectives, ready.plan, options, context):
                outcome.add(event)
                yield event
        except DivergedStep as error:
            raise place.diverged(error, texts_of(error.pieces, prepared)) from None
    metrics = outcome.metrics()
    sources = {name: record for name, record in start.sources.items() if name in start.model.tasks} | dict(prepared.sources)
    product = TrainedModel(start.model, start.encoder.tokenizer, stages.stage, start.encoder.encoding, sources, start.vectors)
    made = Provenance(stages.command, options, prepared.data, start.parent)
    with place.saving(saver), staged(out) as folder:
        place.hand_over(folder)
        if ready.plan.mixing.keep_best:
            save_bests(folder, product, made, outcome.best_weights)
        save_run(folder, out, product, made, metrics)
    place.end()
    return metrics
