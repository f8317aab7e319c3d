"""The way from options to a finished run that `train-sentence` and `train-mtl` share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mtlkit.config.architecture import Stage, parse_head
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.grammar import parse_source, parse_task
from mtlkit.data.readers import Tally
from mtlkit.data.tables import Reading, cap_tables, read_train_and_validation
from mtlkit.data.tasks import TaskData, prepare_task
from mtlkit.errors import MtlkitError, UsageError
from mtlkit.inference.compute import choose_compute
from mtlkit.recipes.finding import Found
from mtlkit.recipes.saving import Product, save_run
from mtlkit.recipes.start import Start, choose_start, fit_heads, start_from, start_from_scratch
from mtlkit.recipes.weights import describe
from mtlkit.runs import check_place, staged
from mtlkit.training.events import Epoch, Event, Finished, Note, Parts
from mtlkit.training.fit import fit
from mtlkit.training.freezing import check_freeze, parse_freeze

Options = TrainSentenceOptions | TrainMtlOptions


@dataclass(frozen=True)
class Stages:
    """What tells one command from another: its name, what it makes and where, what it starts from, what comes next."""

    command: str
    stage: Stage
    folder: str
    starts: tuple[Stage, ...]
    following: str


@dataclass(frozen=True)
class Checked:
    """Options that go together: the model to start from (None: fresh weights), the tasks' sources, the frozen parts."""

    found: Found | None
    sources: dict[str, str]
    frozen: frozenset[str]


def train_tasks(options: Options, stages: Stages) -> Iterator[Event]:
    """Checks all options, reads the data, trains, and writes the run. No data is read before everything is checked."""
    started = time.monotonic()
    out = options.out or options.runs / stages.folder
    check_place(out, options.overwrite)
    compute = choose_compute(options.device, options.precision)
    checked = check(options, stages)
    yield Note(
        f"starting from {checked.found.path}, {checked.found.reason}"
        if checked.found
        else "starting from fresh weights, as asked"
    )
    start, tasks, notes = load(options, checked)
    yield from notes
    yield from describe_tasks(tasks, start)
    unused = {f"head:{name}" for name in start.model.tasks if name not in tasks}
    if unused:
        yield Note(f"kept as they are, for want of data: {', '.join(sorted(unused))}", warning="backbone" not in checked.frozen)
    with staged(out) as place:
        best = None
        with (place / "metrics.jsonl").open("w", encoding="utf-8") as log:
            for event in fit(start.model, tasks, checked.frozen | unused, options.schedule, options, compute, log):
                if isinstance(event, Epoch) and event.best:
                    best = event
                if isinstance(event, Parts):
                    check_unchanged(event)
                yield event
        assert best is not None
        scores = {state.task: state.validation for state in best.tasks}
        metrics = {"validation": scores, "score": best.score, "best_epoch": best.epoch}
        product = Product(start.model, start.encoder.tokenizer, stages.stage, start.encoder.encoding)
        data = {name: task.fingerprint for name, task in tasks.items()}
        save_run(place, out, product, stages.command, options, data=data, metrics=metrics, parent=start.parent)
    yield Finished(out, metrics, time.monotonic() - started, stages.following)


def check(options: Options, stages: Stages) -> Checked:
    """Everything that can be said without reading data. Raises UsageError, IntegrityError."""
    options.cap_rows()
    parse_head(options.head)
    sources = named_sources(options.tasks)
    found = choose_start(options, stages.starts)
    described = describe(found.path) if found else None
    heads = [task.name for task in described.tasks] if described else []
    architecture = described.architecture if described else options.architecture()
    frozen = parse_freeze(options.freeze, [*heads, *(name for name in sources if name not in heads)], architecture.layers)
    check_freeze(frozen, sources, {"backbone", *(f"head:{name}" for name in heads)}, fresh=found is None)
    return Checked(found, sources, frozen)


def load(options: Options, checked: Checked) -> tuple[Start, dict[str, TaskData], list[Note]]:
    """The model to train, with a head a task, and every task's rows as tokens and labels."""
    start = start_from(checked.found, options) if checked.found else None
    reading = Reading(options.encoding, options.on_bad_row, Tally())
    tables = {name: read_train_and_validation(source, reading) for name, source in checked.sources.items()}
    train = cap_tables({name: both[0] for name, both in tables.items()}, options.cap_rows())
    start = start or start_from_scratch(options, train)
    kinds = {name: parse_source(source)[1].kind for name, source in checked.sources.items()}
    specs, warnings = fit_heads(start, train, kinds, options.head, checked.frozen, options.seed)
    tasks = {
        name: prepare_task(spec, checked.sources[name], train[name], tables[name][1], start.encoder)
        for name, spec in specs.items()
    }
    if reading.tally.skipped:
        warnings = [f"{reading.tally.skipped:,} rows skipped, such as {reading.tally.reasons[0]}", *warnings]
    return start, tasks, [Note(text, warning=True) for text in warnings]


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


def describe_tasks(tasks: dict[str, TaskData], start: Start) -> Iterator[Note]:
    """What each task is, and what of its texts does not fit."""
    length = start.encoder.encoding.max_length
    for name, task in tasks.items():
        what = f"{len(task.spec.labels)} classes" if task.spec.labels else task.spec.kind
        cut = (
            f", {task.truncated:.1%} of the texts cut to {length} tokens ({start.encoder.encoding.truncate})"
            if task.truncated
            else ""
        )
        yield Note(f"{name}: {len(task.train):,} rows to train on, {len(task.validation):,} to validate, {what}{cut}")
        for label, rows in task.validation.unseen.most_common(3):
            yield Note(f"{name}: {rows} validation rows have the label '{label}', unseen in training; left out", warning=True)


def check_unchanged(parts: Parts) -> None:
    """The proof of freezing. A difference is a bug of mtlkit."""
    for part in parts.parts:
        if part.after is not None and part.after != part.before:
            raise MtlkitError(f"{part.name} was frozen but changed: {part.before} became {part.after}; please report this")
