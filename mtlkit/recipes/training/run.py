"""Trains on tasks, from options to a finished run; shared by `train-sentence` and `train-mtl`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.shell import command_text
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import LEARNING_RATE
from mtlkit.data.cache import fingerprint
from mtlkit.errors import listed
from mtlkit.inference.compute import slow_precision
from mtlkit.inference.load_weights import load_weights
from mtlkit.inference.scope.scope import Scope
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.training.baselines.compare import compare
from mtlkit.recipes.training.baselines.runs import ComparedRun
from mtlkit.recipes.training.data_warnings import recorded
from mtlkit.recipes.training.diverged_batch import texts_of
from mtlkit.recipes.training.initial_model import InitialModel, labels_seen
from mtlkit.recipes.training.open_session import open_session
from mtlkit.recipes.training.planning.plan import CommandSpec, make_plan
from mtlkit.recipes.training.prepare import Prepared, prepare
from mtlkit.recipes.training.result import TrainResult
from mtlkit.recipes.training.save import Provenance, TrainedModel, save_bests, save_run
from mtlkit.recipes.training.scopes import scopes_to_keep
from mtlkit.recipes.training.session import RunSession
from mtlkit.recipes.training.test_rows import score_tests
from mtlkit.recipes.training.words import compare_words
from mtlkit.report.findings import finding_message
from mtlkit.report.training.sharing import sharing_messages
from mtlkit.runs.record import TOKENIZER, RunRecord, marked_tasks, replace_metrics
from mtlkit.runs.staging import staged
from mtlkit.runs.store import CACHE
from mtlkit.training.checkpointing import FolderSaver
from mtlkit.training.distributed.agreement import check_equal
from mtlkit.training.events import Event, Finished, Note, Sharing
from mtlkit.training.few_shot import FewShotTrainer
from mtlkit.training.plan import Options, TrainPlan
from mtlkit.training.refit.trainer import RefitTrainer
from mtlkit.training.solver.choice import choose_solver, unused_options
from mtlkit.training.solver.trainer import HeadSolver, is_solver_state
from mtlkit.training.state_dict import StateDict, copy_into, upgraded
from mtlkit.training.trainer import Trainer


def train_tasks(options: Options, spec: CommandSpec) -> Iterator[Event]:
    """Checks all options, then reads the data, trains and writes the run."""
    started = time.monotonic()
    with open_session(options, spec.command, spec.folder) as session:
        yield from session.take_notes()
        options, out, record = session.options, session.out, session.finished
        if record and not needs_comparison(options, record):
            yield Finished(out, record.metrics, 0.0, _next(session, spec, record.sources.values(), record.metrics))
            return
        plan = with_resumed_length(make_plan(options, spec, session.point.init, session.ranks), session)
        session.check_start(plan.start)
        session.settle(learning_rate=plan.learning_rate)
        yield Note(f"starting from {plan.start}, {plan.start.reason}" if plan.start else "starting from fresh weights")
        if slow := slow_precision(plan.compute):
            yield Note(slow, warning=True)
        prepared = yield from prepare(plan)
        session.check_inputs(prepared.start.model, prepared.fingerprints)
        yield from start_notes(plan, spec, prepared)
        cache, start = out.parent / CACHE, prepared.start
        if record:  # only the comparison with baselines is missing
            session.check_finished(prepared.fingerprints, start.parent)
            _load_finished(session, plan, start)
            metrics = record.metrics
        else:
            with session.trackers:
                metrics = yield from _train(session, spec, plan, prepared, cache)
                yield from session.end_tracking(metrics)
        if isinstance(options, TrainMtlOptions) and options.baselines:
            with session.comparing():
                report = yield from compare(ComparedRun(plan, prepared, cache))
                metrics["sharing"] = {**report.to_json(), "words": sharing_messages(report)}
                if session.ranks.is_main:
                    replace_metrics(out, metrics)
            yield Sharing(report)
        sources = [*plan.sources.values(), *plan.watched.values()]
        yield Finished(out, metrics, time.monotonic() - started, _next(session, spec, sources, metrics))


def _train(
    session: RunSession[Any], spec: CommandSpec, plan: TrainPlan, prepared: Prepared, cache: Path
) -> Generator[Event, None, dict[str, Any]]:
    """Trains, and writes the run. Returns its metrics."""
    chosen, start = (yield from choose_trainer(plan, prepared, session.state)), prepared.start
    saver = _make_saver(session, plan, prepared)
    yield from session.take_notes()
    result = TrainResult()
    tokenizer = start.encoder.tokenizer
    with session.log(saver, lambda error: texts_of(error.pieces, tokenizer, trainer.objectives)) as log:
        trainer = chosen(plan, start.model, prepared.data, cache)
        if session.state:
            trainer.resume(session.state, extended=session.point.extends)
        for event in session.trackers.along(trainer.events(log, saver)):
            result.add(event)
            yield event
    for compared in compare_words(result.judged, prepared.tables, prepared.data.objectives):
        result.add(compared)
        yield compared
    if session.ranks.is_main:
        result.tested = score_tests(start, spec.stage, recorded_sources(prepared), prepared.tests, plan.compute)
    trained = plan.trained(prepared.data.objectives)
    kept, notes = scopes_to_keep(start, result.scopes, trained, frozen=plan.fixed_backbone)
    yield from notes
    _save(session, spec, prepared, saver, result, kept)
    return metrics_of(result, prepared)


def with_resumed_length(plan: TrainPlan, session: RunSession[Any]) -> TrainPlan:
    """The plan with epochs as long as they were before resuming. Earlier versions had no `--min-steps`."""
    schedule = upgraded(session.state).plain.get("schedule") if session.state else None
    if schedule and "epoch_steps" in schedule:
        return replace(plan, epoch_steps=schedule["epoch_steps"])
    is_older = schedule or (session.finished and "min_steps" not in session.finished.options)
    return replace(plan, options=replace(plan.options, min_steps=0)) if is_older else plan


def choose_trainer(
    plan: TrainPlan, prepared: Prepared, state: StateDict | None
) -> Generator[Note, None, type[Trainer | HeadSolver | FewShotTrainer | RefitTrainer]]:
    """By steps, once or twice, or solving heads; a resumed training does what it did before. Says which and why, where both could
    be."""
    if isinstance(plan.options, TrainMtlOptions) and plan.options.few_shot:
        return FewShotTrainer
    by_steps = RefitTrainer if plan.options.refit else Trainer
    if state is not None:
        return HeadSolver if is_solver_state(state) else by_steps
    choice = choose_solver(plan, prepared.data)
    frozen = plan.fixed_vectors
    name = {"lbfgs": "L-BFGS", "sgd": "gradient steps"}[choice.name]
    yield Note(f"solver: {name}, as {choice.reason}", detail=not frozen)
    if choice.name == "sgd":
        return by_steps
    if unused := unused_options(plan):
        yield Note(f"not used by L-BFGS: {listed(unused)}; --solver sgd trains by steps", warning=True)
    return HeadSolver


def needs_comparison(options: Options, record: RunRecord) -> bool:
    """Whether a finished run has yet to be compared with baselines."""
    return isinstance(options, TrainMtlOptions) and options.baselines and "sharing" not in record.metrics


def _next(session: RunSession[Any], spec: CommandSpec, sources: Iterable[str], metrics: Mapping[str, Any]) -> str:
    held_out, options, following = not marked_tasks(metrics), session.options, spec.following
    if isinstance(options, TrainSentenceOptions) and options.objective == "labels":  # its task has no head yet
        following += f" --freeze backbone {command_text(['--task', *options.tasks])}"
    return next_command(following, session.out, spec.folder, options, sources, held_out=held_out)


def start_notes(plan: TrainPlan, spec: CommandSpec, prepared: Prepared) -> Iterator[Note]:
    """Messages about the starting model."""
    yield from map(Note, prepared.start.notes)
    if plan.options.learning_rate is None and plan.usual_rate < LEARNING_RATE:
        width = prepared.start.model.backbone.architecture.dim
        yield Note(f"learning rate {plan.usual_rate:.2g}, for a model of width {width}; --learning-rate changes it")
    if seen := labels_seen(prepared.start.origin, prepared.fingerprints):
        yield Note(
            f"{listed(seen)}: the starting model was trained with the labels of these rows, so cross-validated scores and "
            "calibration are better than on new rows; measure with mtlkit eval on other rows",
            warning=True,
        )
    trained = {objective.head for objective in prepared.data.objectives.values()}
    if unused := {f"head:{name}" for name in prepared.start.model.tasks} - trained:
        moves = not plan.fixed_backbone
        hint = "; --watch NAME shows how one changes" if moves and spec.command == "train-mtl" else ""
        yield Note(f"not trained (no data given): {', '.join(sorted(unused))}{hint}", warning=moves)


def _load_finished(session: RunSession[Any], plan: TrainPlan, start: InitialModel) -> None:
    """Copies the weights of the finished run, except a router, into the prepared model."""
    weights = dict(start.model.to(plan.compute.device).named_parameters())
    trained = load_weights(session.out, merge=False).model.named_parameters()
    copy_into(weights, {name: weight for name, weight in trained if name in weights})


def _make_saver(session: RunSession[Any], plan: TrainPlan, prepared: Prepared) -> FolderSaver:
    start = prepared.start
    tokenizer = [start.encoder.tokenizer.to_str(), *([start.encoder.prompt] if start.encoder.prompt else [])]
    return session.saver(plan.compute, {**prepared.fingerprints, TOKENIZER: fingerprint(tokenizer)}, plan.init, start.parent)


def recorded_sources(prepared: Prepared) -> dict[str, SourceRecord]:
    """How the data of each head was read, now or by the starting model."""
    tasks = prepared.start.model.tasks
    return {name: record for name, record in prepared.start.sources.items() if name in tasks} | dict(prepared.sources)


def _save(
    session: RunSession[Any],
    spec: CommandSpec,
    prepared: Prepared,
    saver: FolderSaver,
    result: TrainResult,
    kept: Mapping[str, Scope],
) -> None:
    """Writes the run, and with `--keep-best-per-task` the best weights of each task. `kept` are scopes of heads without data. Of
    several processes, the first writes it."""
    check_equal(session.ranks, "at the end", dict(prepared.start.model.named_parameters()))
    if not session.ranks.is_main:
        return
    start, options = prepared.start, session.options
    sources = recorded_sources(prepared)
    trained = TrainedModel(start.model, start.encoder.tokenizer, spec.stage, start.encoder.encoding, sources, start.vectors, kept)
    provenance = Provenance(spec.command, options, prepared.fingerprints, start.parent, session.started)
    with session.saving(saver), staged(session.out) as folder:
        session.hand_over(folder)
        if options.keep_best_per_task:
            save_bests(folder, session.out, trained, provenance, result.bests)
        trained = replace(trained, scopes={**kept, **result.scopes})
        save_run(folder, session.out, trained, provenance, metrics_of(result, prepared))
    session.end()


def metrics_of(result: TrainResult, prepared: Prepared) -> dict[str, Any]:
    """The metrics for the record of the run, with what was found in its data."""
    if prepared.findings is None:
        return result.metrics()
    words, found = map(finding_message, prepared.findings), map(recorded, prepared.findings)
    return {**result.metrics(), "data_findings": {"words": list(words), "found": list(found)}}
