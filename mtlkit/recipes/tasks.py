"""The way from options to a finished run that `train-sentence` and `train-mtl` share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from mtlkit.config.architecture import Architecture, Stage, parse_head
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.readers import Tally
from mtlkit.data.sources import parse_source, parse_task
from mtlkit.data.tables import Reading, cap_tables, read_train_and_validation
from mtlkit.data.tasks import TaskData, prepare_task
from mtlkit.errors import MtlkitError, UsageError
from mtlkit.model.checkpoint import read_checkpoint
from mtlkit.recipes.saving import save_run
from mtlkit.recipes.start import Start, choose_start, fit_heads, start_from, start_from_scratch
from mtlkit.runs import check_place, staged
from mtlkit.training.events import Epoch, Event, Finished, Note, Parts
from mtlkit.training.fit import fit
from mtlkit.training.freezing import check_freeze, parse_freeze
from mtlkit.training.loop import choose_compute

Options = TrainSentenceOptions | TrainMtlOptions


def train_tasks(
    options: Options, command: str, stage: Stage, folder: str, starts: Sequence[Stage], following: str
) -> Iterator[Event]:
    """Checks all options, reads the data, trains, and writes the run. Nothing slow happens before everything is checked."""
    started = time.monotonic()
    out = options.out or options.runs / folder
    check_place(out, options.overwrite)
    options.cap_rows()
    parse_head(options.head)
    compute = choose_compute(options.device, options.precision)
    sources = named_sources(options.tasks)
    found = choose_start(options, starts)
    if found is None:
        layers, dim, heads = options.shape()
        Architecture(options.vocab_size, layers, dim, heads, options.max_length or 256)
        yield Note("starting from fresh weights, as asked")
    else:
        yield Note(f"starting from {found.path}, {found.reason}")
    old = {task.name for task in read_checkpoint(found.path).tasks} if found else set()
    frozen = parse_freeze(options.freeze, sorted(old | set(sources)))
    check_freeze(frozen, sources, {"backbone", *(f"head:{name}" for name in old)}, fresh=found is None)
    start = start_from(found, options) if found else None
    tally = Tally()
    reading = Reading(options.encoding, options.on_bad_row, tally)
    tables = {name: read_train_and_validation(source, reading) for name, source in sources.items()}
    if tally.skipped:
        yield Note(f"{tally.skipped:,} rows skipped, such as {tally.reasons[0]}", warning=True)
    train = cap_tables({name: both[0] for name, both in tables.items()}, options.cap_rows())
    start = start or start_from_scratch(options, train)
    kinds = {name: parse_source(source)[1].kind for name, source in sources.items()}
    specs, notes = fit_heads(start, train, kinds, options.head, frozen, options.seed)
    yield from (Note(note, warning=True) for note in notes)
    tasks = {name: prepare_task(spec, sources[name], train[name], tables[name][1], start.encoder) for name, spec in specs.items()}
    yield from describe_tasks(tasks, start)
    unused = [name for name in start.model.tasks if name not in tasks]
    if unused:
        yield Note(f"heads kept as they are, for want of data: {', '.join(unused)}", warning="backbone" not in frozen)
    frozen |= {f"head:{name}" for name in unused}
    with staged(out) as place:
        last = None
        with (place / "metrics.jsonl").open("w", encoding="utf-8") as log:
            for event in fit(start.model, tasks, frozen, options.schedule, options, compute, log):
                if isinstance(event, Epoch) and event.best:
                    last = event
                if isinstance(event, Parts):
                    check_unchanged(event)
                yield event
        assert last is not None
        scores = {state.task: state.validation for state in last.tasks}
        metrics = {"validation": scores, "score": last.score, "best_epoch": last.epoch}
        data = {name: task.fingerprint for name, task in tasks.items()}
        save_run(
            place, out, start.model, start.encoder.tokenizer, stage, start.encoder.encoding, command, options,
            data=data, metrics=metrics, parent=start.parent,
        )  # fmt: skip
    yield Finished(out, metrics, time.monotonic() - started, following)


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
