"""What a training begins with: the model to train, and the data of its objectives."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.config.source_record import SourceRecord
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled import cap_tables, holds_out, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labels import kind_for
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.encoded import Encoded
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.sources.spec import parse_source
from mtlkit.errors import UsageError
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.randomness import draw_from
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.data_warnings import first_look
from mtlkit.recipes.training.initial_model import InitialModel, fit_heads, start_from, start_from_scratch
from mtlkit.recipes.training.objectives import load_lesson
from mtlkit.recipes.training.validate_continual import ContinualPlan
from mtlkit.report.sources import unseen_line
from mtlkit.training.events import Event, Note
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import Objective, head_objectives
from mtlkit.training.plan import MixtureOptions
from mtlkit.training.sampling.class_balance import drawn_classes, loss_options

Options = TrainSentenceOptions | TrainMtlOptions


@dataclass(frozen=True)
class Checked:
    """Options that go together: the model to start from (None: fresh weights), the tasks' sources, what is frozen, what else
    is to be kept of the start, and how the tasks share the training."""

    found: ModelRef | None
    sources: dict[str, str]
    freezing: FreezeRules
    keeping: ContinualPlan
    mixing: MixtureOptions

    @property
    def init(self) -> str:
        """What names the start, whatever is the newest run by then."""
        return str(self.found) if self.found else "scratch"


@dataclass(frozen=True)
class Prepared:
    """A model to train, what it is to learn by name, the fingerprint of each one's data, the tasks whose heads the starting
    model brought, the classes of the rows of tasks whose classes are drawn alike, and how the data of every task was read."""

    start: InitialModel
    objectives: Mapping[str, Objective]
    data: dict[str, Any]
    known: frozenset[str] = frozenset()
    classes: Mapping[str, Rows] = field(default_factory=dict)
    sources: Mapping[str, SourceRecord] = field(default_factory=dict)


def prepare_objectives(options: Options, checked: Checked) -> Generator[Event, None, Prepared]:
    """Reads the data and the model to train."""
    reading = ReadOptions(options.encoding, options.on_bad_row, SkippedRows())
    if isinstance(options, TrainSentenceOptions) and options.objective != "classify":
        ((name, source),) = checked.sources.items()
        lesson = yield from load_lesson(options, checked.found, source, reading)
        prepared = Prepared(lesson.start, {name: lesson.objective}, {name: lesson.data}, sources={name: lesson.record})
        if cut := cut_texts(lesson.objective.train.encoded, lesson.start):
            yield Note(f"{name}: {cut}")
    else:
        loaded = load(options, checked, reading)
        yield from (Note(text, warning=True) for text in loaded.warnings)
        yield from describe_tasks(loaded.tasks, loaded.start, checked.keeping)
        data = {name: task.fingerprint for name, task in loaded.tasks.items()}
        trained = {name: task for name, task in loaded.tasks.items() if name in checked.sources}
        losses = loss_options(
            trained,
            balanced=options.class_weights == "balanced",
            focal=options.focal,
            smoothing=options.label_smoothing,
        )
        classes = drawn_classes(trained) if options.sampling == "balanced" else {}
        objectives = head_objectives(loaded.start.model, loaded.tasks, losses)
        records = {name: task.record for name, task in loaded.tasks.items()}
        prepared = Prepared(loaded.start, objectives, data, loaded.known, classes, records)
    draw_from(prepared.start.random, prepared.start.model)
    if reading.tally.skipped:
        yield Note(str(reading.tally), warning=True)
    return prepared


@dataclass(frozen=True)
class Loaded:
    """The model to train, with a head a task; every task's rows as tokens and labels, those that are only watched last; which
    heads the starting model brought; and what the user should look at."""

    start: InitialModel
    tasks: dict[str, TaskData]
    known: frozenset[str]
    warnings: list[str]


def load(options: Options, checked: Checked, reading: ReadOptions) -> Loaded:
    """Reads the starting model and all data."""
    start = start_from(checked.found, options) if checked.found else None
    tables = {name: read_train_and_validation(source, reading) for name, source in checked.sources.items()}
    train = cap_tables({name: both[0] for name, both in tables.items()}, options.cap_rows())
    start = start or start_from_scratch(options, [text for table in train.values() for text in table.texts])
    brought = dict(start.model.tasks)
    kinds = {name: parse_source(source)[1].kind for name, source in checked.sources.items()}
    specs, warnings = fit_heads(start, train, kinds, options.head, checked.freezing, options.seed)
    tasks = {
        name: prepare_task(spec, checked.sources[name], train[name], tables[name][1], start.encoder)
        for name, spec in specs.items()
    }
    warnings += [text for name, spec in specs.items() for text in first_look(train[name], tables[name][1], name, spec.kind)]
    watched = {name: watched_task(start, name, source, reading) for name, source in checked.keeping.watched.items()}
    known = frozenset(name for name, spec in brought.items() if start.model.tasks[name] is spec)
    return Loaded(start, tasks | watched, known, warnings)


def watched_task(start: InitialModel, name: str, source: str, reading: ReadOptions) -> TaskData:
    """The data of a head that is only evaluated. Raises UsageError where it is of another kind."""
    spec = start.model.tasks[name]
    train, validation = read_train_and_validation(source, replace(reading, recorded=start.sources.get(name)))
    kind = kind_for(spec, validation.labels, validation.record.kind)
    if kind != spec.kind:
        raise UsageError(f"--watch {name}: its labels are of {kind}, and the head is for {spec.kind}; give its own data")
    return prepare_task(spec, source, train, validation, start.encoder, watched=True)


def describe_tasks(tasks: dict[str, TaskData], start: InitialModel, keeping: ContinualPlan) -> Iterator[Note]:
    """What each task is, and what of its texts does not fit."""
    for name, task in tasks.items():
        what = f"{len(task.spec.labels)} classes" if task.spec.labels else task.spec.kind
        used = "rehearse" if name in keeping.rehearsed else "train on"
        counts = f"{len(task.train):,} rows to {used}, {len(task.validation):,} to validate{held_out_share(task)}"
        if name in keeping.watched and name not in keeping.rehearsed:
            counts = f"watched on {len(task.validation):,} rows"
        yield from source_notes(task.record, name)
        yield Note(f"{name}: {', '.join(filter(None, (counts, what, cut_texts(task.train.encoded, start))))}")
        if unseen := task.validation.unseen:
            yield Note(f"{name}: {unseen_line(unseen, 'validation row')}; left out", warning=True)


def held_out_share(task: TaskData) -> str:
    """Which part of the rows is held out, where the source has no validation split."""
    if not holds_out(task.record.source):
        return ""
    return f" ({len(task.validation) / (len(task.train) + len(task.validation)):.1%} held out)"


def cut_texts(encoded: Encoded, start: InitialModel) -> str:
    """How many texts were cut; nothing where none was."""
    encoding = start.encoder.encoding
    share = f"{encoded.truncated / len(encoded):.1%} of the texts cut to {encoding.max_length} tokens ({encoding.truncate})"
    return share if encoded.truncated else ""
