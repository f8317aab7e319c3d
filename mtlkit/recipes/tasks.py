"""The way from options to a finished run that `train-sentence` and `train-mtl` share."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlkit.config.architecture import Stage, parse_head
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.grammar import parse_source, parse_task
from mtlkit.data.readers import Tally
from mtlkit.data.tables import Reading, cap_tables, read_train_and_validation
from mtlkit.data.tasks import TaskData, prepare_task
from mtlkit.data.tokenizer import Encoded
from mtlkit.errors import MtlkitError, UsageError
from mtlkit.inference.compute import choose_compute
from mtlkit.model.weight_names import weight_names
from mtlkit.recipes.finding import Found
from mtlkit.recipes.saving import Product, save_run
from mtlkit.recipes.start import Start, choose_start, fit_heads, start_from, start_from_scratch
from mtlkit.recipes.vector_objectives import check_objective, load_lesson
from mtlkit.recipes.weights import describe
from mtlkit.runs import check_place, staged
from mtlkit.training.events import Epoch, Event, Finished, Note, Parts
from mtlkit.training.fit import fit
from mtlkit.training.freezing import Freezing, check_freeze, parse_freeze
from mtlkit.training.objectives import Objective, head_objectives

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
    """Options that go together: the model to start from (None: fresh weights), the tasks' sources, what is frozen."""

    found: Found | None
    sources: dict[str, str]
    freezing: Freezing


@dataclass(frozen=True)
class Prepared:
    """A model to train, what it is to learn by name, and the fingerprint of each one's data."""

    start: Start
    objectives: Mapping[str, Objective]
    data: dict[str, Any]


def train_tasks(options: Options, stages: Stages) -> Iterator[Event]:
    """Checks all options, reads the data, trains, and writes the run. No data is read before everything is checked."""
    started = time.monotonic()
    out = options.out or options.runs / stages.folder
    check_place(out, options.overwrite)
    compute = choose_compute(options.device, options.precision)
    checked = check(options, stages)
    yield Note(
        f"starting from {checked.found}, {checked.found.reason}" if checked.found else "starting from fresh weights, as asked"
    )
    prepared = yield from prepare_objectives(options, checked)
    start = prepared.start
    unused = {f"head:{name}" for name in start.model.tasks} - {one.head for one in prepared.objectives.values()}
    if unused:
        moves = not checked.freezing.wholly("backbone", checked.freezing.always)
        yield Note(f"kept as they are, for want of data: {', '.join(sorted(unused))}", warning=moves)
    with staged(out) as place:
        best = None
        with (place / "metrics.jsonl").open("w", encoding="utf-8") as log:
            for event in fit(start.model, prepared.objectives, checked.freezing, options.schedule, options, compute, log):
                if isinstance(event, Epoch) and event.best:
                    best = event
                if isinstance(event, Parts):
                    check_unchanged(event)
                yield event
        assert best is not None
        scores = {state.task: state.validation for state in best.tasks}
        metrics = {"validation": scores, "score": best.score, "best_epoch": best.epoch}
        product = Product(start.model, start.encoder.tokenizer, stages.stage, start.encoder.encoding)
        save_run(place, out, product, stages.command, options, data=prepared.data, metrics=metrics, parent=start.parent)
    yield Finished(out, metrics, time.monotonic() - started, stages.following)


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
    if isinstance(options, TrainSentenceOptions):
        check_objective(options, found, freezing, architecture.dim)
    if options.objective == "classify":
        check_freeze(freezing, list(sources), {"backbone", *(f"head:{name}" for name in known)}, fresh=found is None)
    return Checked(found, sources, freezing)


def prepare_objectives(options: Options, checked: Checked) -> Generator[Event, None, Prepared]:
    """Reads the data and the model to train."""
    reading = Reading(options.encoding, options.on_bad_row, Tally())
    if isinstance(options, TrainSentenceOptions) and options.objective != "classify":
        ((name, source),) = checked.sources.items()
        lesson = yield from load_lesson(options, checked.found, source, reading)
        prepared = Prepared(lesson.start, {name: lesson.objective}, {name: lesson.data})
        if cut := cut_texts(lesson.objective.train.encoded, lesson.start):
            yield Note(f"{name}: {cut}")
    else:
        start, tasks, warnings = load(options, checked, reading)
        yield from (Note(text, warning=True) for text in warnings)
        yield from describe_tasks(tasks, start)
        data = {name: task.fingerprint for name, task in tasks.items()}
        prepared = Prepared(start, head_objectives(start.model, tasks), data)
    if reading.tally.skipped:
        yield Note(f"{reading.tally.skipped:,} rows skipped, such as {reading.tally.reasons[0]}", warning=True)
    return prepared


def load(options: Options, checked: Checked, reading: Reading) -> tuple[Start, dict[str, TaskData], list[str]]:
    """The model to train, with a head a task; every task's rows as tokens and labels; and what the user should look at."""
    start = start_from(checked.found, options) if checked.found else None
    tables = {name: read_train_and_validation(source, reading) for name, source in checked.sources.items()}
    train = cap_tables({name: both[0] for name, both in tables.items()}, options.cap_rows())
    start = start or start_from_scratch(options, [text for table in train.values() for text in table.texts])
    kinds = {name: parse_source(source)[1].kind for name, source in checked.sources.items()}
    specs, warnings = fit_heads(start, train, kinds, options.head, checked.freezing, options.seed)
    tasks = {
        name: prepare_task(spec, checked.sources[name], train[name], tables[name][1], start.encoder)
        for name, spec in specs.items()
    }
    return start, tasks, warnings


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
    for name, task in tasks.items():
        what = f"{len(task.spec.labels)} classes" if task.spec.labels else task.spec.kind
        counts = f"{len(task.train):,} rows to train on, {len(task.validation):,} to validate"
        yield Note(f"{name}: {', '.join(filter(None, (counts, what, cut_texts(task.train.encoded, start))))}")
        for label, rows in task.validation.unseen.most_common(3):
            yield Note(f"{name}: {rows} validation rows have the label '{label}', unseen in training; left out", warning=True)


def cut_texts(encoded: Encoded, start: Start) -> str:
    """How many texts were cut; nothing where none was."""
    encoding = start.encoder.encoding
    share = f"{encoded.truncated / len(encoded):.1%} of the texts cut to {encoding.max_length} tokens ({encoding.truncate})"
    return share if encoded.truncated else ""


def check_unchanged(parts: Parts) -> None:
    """The proof of freezing. A difference is a bug of mtlkit."""
    for part in parts.parts:
        if part.after is not None and part.after != part.before:
            raise MtlkitError(f"{part.name} was frozen but changed: {part.before} became {part.after}; please report this")
