"""The head of each task: that of the starting model, with more classes where asked, or a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mtlkit.config.architecture import Kind, PairHead, TaskSpec
from mtlkit.config.task_training import NewClasses, TaskTrainingOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.classes import classes_in, numbers_of, parts_of
from mtlkit.data.labels.codec import check_varied, codec_of, infer_spec, kind_for, unseen_labels
from mtlkit.data.labels.tag_schemes import complete_tags
from mtlkit.data.labels.values import quoted
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.pair_columns import pair_head_of
from mtlkit.errors import NewClassesError, UsageError
from mtlkit.model.randomness import drawing_from
from mtlkit.model.weight_names import head_weights
from mtlkit.recipes.training.initial_model import InitialModel
from mtlkit.training.freezing.rules import FreezeRules


@dataclass
class FittedHeads:
    """The specification of each task's head; those that were `extended`, as they were before; and warnings for the user."""

    specs: dict[str, TaskSpec] = field(default_factory=dict)
    extended: dict[str, TaskSpec] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class HeadFit:
    """An existing head and the training rows of its task, with the keys of their source."""

    known: TaskSpec
    table: LabelledTable
    query: Query
    model: str

    @property
    def same_kind(self) -> bool:
        same_texts = self.known.pair in ("either", self.pair) and self.query.transitions in (None, self.known.transitions)
        if not same_texts or kind_for(self.known, self.table.labels, self.kind) != self.known.kind:
            return False
        values = numbers_of(self.known.name, self.table.labels) if self.known.sigmoid else np.zeros(1)
        return bool(values.min() >= 0 and values.max() <= 1)

    @property
    def pair(self) -> PairHead | None:
        """How the head reads pairs of texts in this data."""
        return pair_head_of(self.query, self.known.pair)

    @property
    def kind(self) -> Kind | None:
        """The kind that the source says, or that its rows have whatever their labels are."""
        return self.table.record.kind if self.table.words else self.query.kind

    @property
    def lacks(self) -> tuple[str, ...]:
        """The classes of the rows, and of the order of the source, that the head does not know."""
        labels = [*self.table.labels, *self.table.record.order]
        return tuple(unseen_labels(self.known, labels))

    @property
    def other_order(self) -> bool:
        """Whether the source has the classes of the head in another order."""
        order = self.table.record.order
        return bool(order) and not self.lacks and order != self.known.labels

    def described(self) -> str:
        """`2 classes that head 'topic' of runs/mtl does not know ('a', 'b'; 12 of 100 rows)`."""
        lacks = self.lacks
        rows = sum(any(part in lacks for part in parts_of(label)) for label in self.table.labels)
        classes = "1 class" if len(lacks) == 1 else f"{len(lacks)} classes"
        return f"{classes} that {self.head} does not know ({quoted(lacks)}; {rows:,} of {len(self.table):,} rows)"

    @property
    def head(self) -> str:
        return f"head '{self.known.name}' of {self.model}"


def fit_heads(
    start: InitialModel,
    tables: Mapping[str, LabelledTable],
    queries: Mapping[str, Query],
    options: TaskTrainingOptions,
    freezing: FreezeRules,
) -> FittedHeads:
    """Gives each task a head: that of the starting model if it knows all labels of `tables`, or if `--new-classes` extends it or
    drops the others; otherwise a new one of form `--head`.

    `queries` are the keys of the sources. Raises NewClassesError if a head does not know all classes and nobody says what to do,
    UsageError if a frozen head does not know the labels of its data, DataError if a head cannot be trained on the labels, for
    example because all are the same.
    """
    start.random.manual_seed(options.seed)
    fitted = FittedHeads()
    for name, table in tables.items():
        known, column = start.model.tasks.get(name), "+".join(table.record.label)
        if known is None:
            spec = _new(table, name, queries[name], options.head, pair_head_of(queries[name]))
            _add(start, spec)
        else:
            fit = HeadFit(known, table, queries[name], str(start.origin))
            frozen = freezing.keeps(f"head:{name}")
            spec = known if frozen else known.uncalibrated()
            if options.new_classes in ("extend", "drop") and (not fit.same_kind or fit.other_order):
                new = _new(table, name, queries[name], options.head, fit.pair)
                raise UsageError(
                    f"--new-classes {options.new_classes}: {fit.head} was trained for {other_data(known, new)}, and such a head "
                    "cannot go on with this data; give data like that, another task name, or --new-classes fresh"
                )
            if not fit.same_kind or fit.other_order or (fit.lacks and options.new_classes == "fresh"):
                spec = _replaced(start, fit, options.head, freezing)
                fitted.warnings.append(f"{fit.head} was trained for {other_data(known, spec)}; a fresh one takes its place")
            elif fit.lacks:
                fitted.warnings += _with_new_classes(start, fit, options.new_classes, frozen=frozen)
                spec = start.model.head(name).spec if options.new_classes == "extend" else spec
                fitted.extended |= {name: known} if options.new_classes == "extend" else {}
            else:
                check_varied(known, table.labels, column)
            start.model.head(name).spec = spec
        fitted.specs[name] = spec
    return fitted


def _with_new_classes(start: InitialModel, fit: HeadFit, choice: NewClasses, *, frozen: bool) -> Iterator[str]:
    """Extends a head, or says that rows are dropped."""
    name, known = fit.known.name, fit.known
    if choice == "drop":
        yield f"{name}: {fit.described()}; left out"
        return
    if choice != "extend":
        raise NewClassesError(
            f"task '{name}': {fit.described()}; specify --new-classes extend to add them to the head, drop to leave such rows "
            "out, fresh to train a new head in its place, or give another task name"
        )
    if frozen:
        raise UsageError(f"--freeze head:{name}: there are {fit.described()}, and a frozen head cannot learn them; thaw it")
    old = start.model.head(name)
    _add(start, codec_of(known.kind).extended(known, fit.lacks, fit.table.record.order))
    start.model.head(name).grow_from(old)
    yield f"{name}: {fit.described()}; added to the head"


def _replaced(start: InitialModel, fit: HeadFit, form: str, freezing: FreezeRules) -> TaskSpec:
    """A new head for a task whose labels the existing one is not for."""
    name, table = fit.known.name, fit.table
    spec = _new(table, name, fit.query, form, fit.pair)
    if freezing.always.intersection(head_weights(name, fit.known.head)):
        reason = f"{fit.head} was trained for {other_data(fit.known, spec)}"
        raise UsageError(f"--freeze head:{name}: {reason}; give data like that, or another task name")
    _add(start, spec)
    return spec


def _new(table: LabelledTable, name: str, query: Query, form: str, pair: PairHead | None) -> TaskSpec:
    """The task of a new head. Raises DataError if no head can be trained on the labels."""
    kind = table.record.kind if table.words else query.kind
    spec = infer_spec(name, table.labels, form, kind, table.record.classes)
    if spec.tags is not None and table.record.scheme is not None:
        tags = complete_tags(classes_in(table.labels, table.record.classes), table.record.scheme)
        spec = replace(spec, labels=tags.names, tags=tags.scheme)
    check_varied(spec, table.labels, "+".join(table.record.label))
    return replace(spec, pair=pair, transitions=query.transitions)


def _add(start: InitialModel, spec: TaskSpec) -> None:
    with drawing_from(start.random):
        start.model.add_task(spec)


def other_data(known: TaskSpec, new: TaskSpec) -> str:
    """How the data of a head that exists differs from that of a new one."""
    if known.transitions != new.transitions:
        return f"transitions={known.transitions}" if known.transitions else "tags without learned transitions"
    if known.pair not in (new.pair, "either"):
        return "single texts" if known.pair is None else f"pairs of texts (pair-head={known.pair})"
    if known.sigmoid and not new.labels:
        return "numbers from 0 to 1"
    return f"other labels ({quoted(known.labels) or known.kind})"
