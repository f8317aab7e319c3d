"""Reads the starting model and the data of a training."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.config.architecture import TagScheme
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.held_out import HOLDOUT
from mtlkit.config.registries.adapters import SHARED
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.data.datasets.labelled import holds_out, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.tables import cap_tables, different_texts
from mtlkit.data.datasets.task_data import TaskData, prepare_task, rows_of_classes
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.data.labels.codec import kind_for
from mtlkit.data.quality.findings import Finding
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import UsageError, counted
from mtlkit.evaluation.task_metrics import examples_in
from mtlkit.model.randomness import draw_from, drawing_from
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.data_warnings import first_columns, first_look, warning
from mtlkit.recipes.training.fit_heads import fit_heads
from mtlkit.recipes.training.initial_model import InitialModel, start_from, start_from_scratch
from mtlkit.recipes.training.new_classes import OldRows, with_old_rows
from mtlkit.recipes.training.objectives import load_objective
from mtlkit.recipes.training.planning.held_out import check_held_out, recorded_holdout
from mtlkit.recipes.training.test_rows import TestRows, read_tests
from mtlkit.recipes.training.words import Tables, small_tables
from mtlkit.report.sources import unseen_line
from mtlkit.training.continual.start_model import probe_texts
from mtlkit.training.events import Event, Note
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.sampling.class_balance import drawn_classes, options_of_losses


@dataclass(frozen=True)
class Prepared:
    """The model to train and its data; the fingerprint of each task's data, and how it was read, for the record of the run; the
    tables of small tasks; the test rows of `--test`; problems of the rows (None: not looked for)."""

    start: InitialModel
    data: TrainData
    fingerprints: dict[str, Any]
    sources: Mapping[str, SourceRecord] = field(default_factory=dict)
    tables: Mapping[str, Tables] = field(default_factory=dict)
    tests: Mapping[str, TestRows] = field(default_factory=dict)
    findings: tuple[Finding, ...] | None = None


def prepare(plan: TrainPlan) -> Generator[Event, None, Prepared]:
    """Reads the model to train and all data. Raises DataError, UsageError, IntegrityError."""
    options = plan.options
    reading = ReadOptions(options.encoding, options.on_bad_row, SkippedRows(), holdout=options.holdout)
    if isinstance(options, TrainSentenceOptions) and options.objective != "classify":
        prepared = yield from _prepare_vectors(plan, options, reading)
    else:
        prepared = yield from _prepare_tasks(plan, reading)
    add_adapters(prepared.start, plan, plan.trained(prepared.data.objectives))
    draw_from(prepared.start.random, prepared.start.model)
    if reading.tally.skipped:
        yield Note(str(reading.tally), warning=True)
    return prepared


def add_adapters(start: InitialModel, plan: TrainPlan, trained: Iterable[str]) -> None:
    """Adds the adapters that are to be trained, unless the starting model has them."""
    if plan.adapter is not None:
        with drawing_from(start.random):
            for task in trained if plan.own_adapters else [SHARED]:
                if task not in start.model.adapters:
                    start.model.add_adapter(task, plan.adapter)


def _prepare_vectors(plan: TrainPlan, options: TrainSentenceOptions, reading: ReadOptions) -> Generator[Event, None, Prepared]:
    """The data of an objective without labels and heads."""
    ((name, source),) = plan.sources.items()
    setup = yield from load_objective(options, plan.start, source, reading)
    if cut := cut_texts(setup.objective.train.encoded, setup.start):
        yield Note(f"{name}: {cut}")
    return Prepared(setup.start, TrainData({name: setup.objective}), {name: setup.data}, {name: setup.record})


def _prepare_tasks(plan: TrainPlan, reading: ReadOptions) -> Generator[Event, None, Prepared]:
    """Tokens and labels of every task, and a head for each. Watched tasks come last."""
    options, sources = plan.options, plan.sources
    unsplit = {name for name, source in sources.items() if holds_out(source)}
    check_held_out(plan, unsplit)
    start = start_from(plan.start, options) if plan.start else None
    queries = {name: parse_source(source)[1] for name, source in sources.items()}
    schemes = schemes_of(start, queries, options)
    tables = {
        name: read_train_and_validation(source, replace(reading, scheme=schemes.get(name))) for name, source in sources.items()
    }
    train = cap_tables({name: both[0] for name, both in tables.items()}, options.cap_rows())
    start = start or start_from_scratch(options, list(different_texts(train.values())))
    existing = dict(start.model.heads.items())
    fitted = fit_heads(start, train, queries, options, plan.freezing)
    before = replace(reading, holdout=recorded_holdout(start.origin) or HOLDOUT, records=start.sources, tables={})
    old = {name: with_old_rows(start, spec, tables[name][1], before) for name, spec in fitted.extended.items()}
    validation = {name: both[1] for name, both in tables.items()} | {name: rows.table for name, rows in old.items()}
    held_out = unsplit if options.holdout and options.cap_rows() is None else set()
    trained = {
        name: prepare_task(spec, sources[name], train[name], validation[name], start.encoder, held_out=name in held_out)
        for name, spec in fitted.specs.items()
    }
    first = first_columns(train)
    findings = [
        finding
        for name, spec in fitted.specs.items()
        for finding in first_look(train[name], tables[name][1], name, spec.kind, of_texts=name in first)
    ]
    notes_of_old = (rows.note for rows in old.values() if rows.note)
    warnings = [*fitted.warnings, *notes_of_old, *map(warning, findings)]
    watched = {name: watched_task(start, name, source, before) for name, source in plan.watched.items()}
    yield from (Note(text, warning=True) for text in warnings)
    tasks = trained | watched
    yield from describe_tasks(tasks, old, start, plan)
    losses = options_of_losses(trained, options)
    kept = {name for name, head in existing.items() if start.model.heads[name] is head}
    known = frozenset(kept | set(fitted.extended))
    old_rows = {name: rows_of_classes(trained[name], spec.labels) for name, spec in fitted.extended.items()}
    for name, rows in old_rows.items():
        count = examples_in(trained[name].spec, trained[name].validation.labels[rows])
        yield Note(f"{name}: old classes are compared with before on {counted(count, 'row')}")
    data = TrainData(
        head_objectives(start.model, tasks, losses),
        known,
        drawn_classes(trained) if options.sampling == "balanced" else {},
        start.encoder.encode(probe_texts()) if known else None,
        old_rows,
    )
    records = {name: task.record for name, task in tasks.items()}
    tests, leaks = yield from read_tests(plan, start, reading, records, train)
    fingerprints = {name: task.fingerprint for name, task in tasks.items()}
    fingerprints |= {name: {**fingerprints.get(name, {}), "test": rows.fingerprint} for name, rows in tests.items()}
    small = small_tables({name: (train[name], validation[name]) for name in trained})
    return Prepared(start, data, fingerprints, records, small, tests, (*findings, *leaks))


def schemes_of(start: InitialModel | None, queries: Mapping[str, Query], options: TaskTrainingOptions) -> dict[str, TagScheme]:
    """The schemes of the tags that heads of the starting model know, by task, unless new heads replace them. Raises UsageError if
    a source names another one."""
    if start is None or options.new_classes == "fresh":
        return {}
    schemes = {name: spec.tags for name, spec in start.model.tasks.items() if spec.tags is not None}
    for name in schemes.keys() & queries.keys():
        typed, own = queries[name].scheme, schemes[name]
        if typed not in (None, own):
            raise UsageError(
                f"task '{name}': scheme={typed}, and head '{name}' of {start.origin} has {own} tags; omit it, as tags are read "
                "in the scheme of the head, or specify --new-classes fresh"
            )
    return schemes


def watched_task(start: InitialModel, name: str, source: str, reading: ReadOptions) -> TaskData:
    """The data of a task that is only evaluated. Raises UsageError if its labels do not fit the kind of its head."""
    spec = start.model.tasks[name]
    train, validation = read_train_and_validation(source, replace(reading, recorded=start.sources.get(name)))
    kind = kind_for(spec, validation.labels, validation.record.kind)
    if kind != spec.kind:
        raise UsageError(f"--watch {name}: its labels are of {kind}, and the head is for {spec.kind}; give its own data")
    return prepare_task(spec, source, train, validation, start.encoder, watched=True)


def describe_tasks(
    tasks: Mapping[str, TaskData], old: Mapping[str, OldRows], start: InitialModel, plan: TrainPlan
) -> Iterator[Note]:
    """Messages about the rows, kind and truncated texts of each task; those about a source that several have are given once."""
    said: set[str] = set()
    for name, task in tasks.items():
        what = described_labels(task)
        used = "rehearse" if name in plan.rehearsed else "train on"
        share = held_out_share(task, old[name].added if name in old else 0)
        validated = f"{len(task.validation):,} to validate{share}" if len(task.validation) else "none held out"
        counts = f"{len(task.train):,} {noun(task)} to {used}, {validated}"
        if name in plan.watched and name not in plan.rehearsed:
            counts = f"watched on {len(task.validation):,} rows"
        notes = [note for note in source_notes(task.record, name) if note.text not in said]
        said.update(note.text for note in notes)
        yield from notes
        cut = cut_texts(task.train.encoded if task.train.pool is None else task.train.pool, start)
        yield Note(f"{name}: {', '.join(filter(None, (counts, gaps_of(task), what, cut)))}")
        if unread := words_without_token(task):
            yield Note(f"{name}: {unread}", warning=True)
        if unseen := task.validation.unseen:
            yield Note(f"{name}: {unseen_line(unseen, 'validation row')}; left out", warning=True)


def noun(task: TaskData) -> str:
    """What examples of a task are, in the plural."""
    words = task.train.encoded
    return "rows" if not isinstance(words, EncodedWords) or len(words) == len(task.train.rows) else "windows"


def described_labels(task: TaskData) -> str:
    """The classes of a task, or the tags of its words, as text."""
    if task.spec.tags is not None:
        return f"{len(task.train.labels):,} words, {counted(len(task.spec.labels), 'tag')} ({task.spec.tags})"
    return f"{len(task.spec.labels)} classes" if task.spec.labels else task.spec.kind


def words_without_token(task: TaskData) -> str:
    """How many words have no token, as text; empty if all have one."""
    encoded = [part.encoded for part in (task.train, task.validation) if isinstance(part.encoded, EncodedWords)]
    unread = sum(part.unread for part in encoded)
    if not unread:
        return ""
    what = f"{unread:,} of {counted(sum(part.vectors for part in encoded), 'word')} without a token, such as control characters"
    return f"{what}; each is read at the token before it; mtlkit check-data says which texts"


def gaps_of(task: TaskData) -> str:
    """The number of rows without a label of a task that is a label column of several, as text; empty if there are none."""
    gaps = sum(task.fingerprint[split].get("gaps", 0) for split in ("train", "validation"))
    return f"{gaps:,} without a label" if gaps else ""


def held_out_share(task: TaskData, added: int) -> str:
    """The share of rows that is held out, as text; empty if the source has a validation split. `added` validation
    rows are of other data."""
    if not holds_out(task.record.source):
        return ""
    held_out = len(task.validation) - added
    return f" ({held_out / (len(task.train) + held_out):.1%} held out{f', {added:,} of old data' if added else ''})"


def cut_texts(encoded: Encoded, start: InitialModel) -> str:
    """The share of truncated texts, as text; empty if there are none."""
    encoding = start.encoder.encoding
    share = f"{encoded.truncated / len(encoded):.1%} of the texts cut to {encoding.max_length} tokens ({encoding.truncate})"
    return share if encoded.truncated else ""
