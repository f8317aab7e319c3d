"""Reads the labels of a source: first row by row, then as a whole, as lists can mean different things."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mtlkit.config.architecture import Kind
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.classes import OrderedLabels
from mtlkit.data.labels.codec import codec_of
from mtlkit.data.labels.marks import Label, RawLabel, RowError, marked_labels, repeats, written_marks
from mtlkit.data.labels.values import MultiHotLabels, label_value, mark_of, shown, split_marks
from mtlkit.data.labels.written import parse_written
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import Row
from mtlkit.errors import DataError

BRACKETS = ("[", "(", "{", "s")  # with which a list, a set or a dictionary begins; `set()` is one
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))  # blanks without width


@dataclass(frozen=True)
class LabelOptions:
    """How labels are written: `sep` between the names of one row, `names` of marks by their places, `order` of ordinal
    labels; `strip` and `fold` join names that differ only in blanks, or in case and Unicode form."""

    kind: Kind | None = None
    sep: str | None = None
    names: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    strip: bool = False
    fold: bool = False

    @classmethod
    def of(cls, query: Query, recorded: SourceRecord | None) -> LabelOptions:
        """The options of the source, else those that the model was trained with."""
        known = recorded or SourceRecord("")
        return cls(
            query.kind or known.kind,
            query.sep or known.sep,
            query.names or known.names,
            query.order or (known.order if query.kind in (None, known.kind) else ()),
            known.strip if query.strip is None else query.strip,
            known.fold if query.fold is None else query.fold,
        )

    def clean(self, name: str) -> str:
        """The name as `strip` and `fold` want it."""
        if self.fold:
            name = unicodedata.normalize("NFKC", name).casefold()
        return " ".join(name.translate(INVISIBLE).split()) if self.strip else name


@dataclass
class LabelReader:
    """Reads the labels of one split, row by row; `finish` then interprets lists."""

    columns: tuple[str, ...]
    options: LabelOptions
    named: bool = False  # by the user, so that names without marks are a mistake
    of_names: bool = False  # the model at hand was trained on labels by their names, which may be 0 and 1, and not on marks
    keys: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        options = self.options
        self._codec = None if options.kind is None else codec_of(options.kind)
        self._checks = self._codec is not None and self._codec.checks_labels
        self._order = OrderedLabels(options.order) if options.order else None
        self._plain = not (options.sep is not None or options.strip or options.fold or self._checks)

    @property
    def _classes(self) -> str:
        """How many classes a row has, if the kind of the task is known."""
        return "" if self._codec is None else self._codec.classes

    def read(self, row: Row) -> RawLabel | None:
        """The label of a row; None if it is missing. Raises ValueError that describes an invalid value."""
        if len(self.columns) > 1:
            return self._several_columns(row)
        value = row.get(self.columns[0])
        if self._plain and type(value) is str:  # most labels of all; anything more would cost
            return value if value and not value.isspace() else None
        if isinstance(value, Mapping):
            self.keys.update(dict.fromkeys(self.options.clean(str(name)) for name in value))
        elif isinstance(value, str) and self.options.sep is not None:
            value = split_marks([part.strip() for part in value.split(self.options.sep) if part.strip()])
        label = self._cleaned(value if isinstance(value, MultiHotLabels) else label_value(value, self.columns[0]))
        if label is None:
            return None
        if self._order is not None:
            self._order.check(label, value)
        elif self._checks and self._codec is not None:
            self._codec.check_label(label, value)
        return label

    def _several_columns(self, row: Row) -> tuple[str, ...] | None:
        marked = []
        for column, name in zip(self.columns, self.names(), strict=True):
            value = row.get(column)
            if label_value(value) is None:
                return None
            mark = mark_of(value)
            if mark is None:
                raise ValueError(f"{shown(value)} in '{column}', where each of several label columns holds 0 or 1")
            if mark:
                marked.append(name)
        return tuple(marked)

    def _cleaned(self, label: RawLabel | None) -> RawLabel | None:
        if not (self.options.strip or self.options.fold) or isinstance(label, float):
            return label
        if isinstance(label, MultiHotLabels):
            return replace(label, written=tuple(map(self.options.clean, label.written)))
        if isinstance(label, tuple):
            return tuple(dict.fromkeys(self.options.clean(name) for name in label))
        return (self.options.clean(label) or None) if label is not None else None

    def names(self) -> tuple[str, ...]:
        """The names of label columns: those given, else the columns' own."""
        names = self.options.names or self.columns
        if len(names) != len(self.columns):
            raise DataError(f"names={','.join(names)} gives {len(names)} names, and there are {len(self.columns)} label columns")
        return names

    def finish(self, labels: Sequence[RawLabel], location: str) -> tuple[list[Label], tuple[str, ...]]:
        """The labels of all rows, and the names of all multi-hot labels if they are known independently of the rows.

        Raises RowError, DataError.
        """
        written = self._written(labels, location)
        if self.of_names and not any(isinstance(label, MultiHotLabels) and repeats(label) for label in written):
            written = [label.classes if isinstance(label, MultiHotLabels) else label for label in written]
        if any(isinstance(label, MultiHotLabels) for label in written):
            return marked_labels(written, self._classes == "one", self.options.names, f"column '{self.columns[0]}'", location)
        plain = [label for label in written if not isinstance(label, MultiHotLabels)]
        if len(self.columns) > 1:
            return plain, self.names()
        if self.named:
            raise DataError(f"{location}: names= names marks 0 and 1, and column '{self.columns[0]}' has none; remove it")
        if self._classes == "one" and plain and all(isinstance(classes, tuple) and len(classes) == 1 for classes in plain):
            return [classes[0] for classes in plain if isinstance(classes, tuple)], ()
        return plain, tuple(self.keys)

    def _written(self, labels: Sequence[RawLabel], location: str) -> Sequence[RawLabel]:
        """Parses labels written as a list, a set or a dictionary: if all rows are, or, where several labels are expected, in each
        row that is. If several labels are expected, 0-or-1 marks in every row are parsed as well."""
        several = self._classes == "several"
        if self._classes == "none" or self.options.sep is not None:
            return labels
        if not several and not all(isinstance(label, str) and label.lstrip()[:1] in BRACKETS for label in labels):
            return labels
        if several and (marks := written_marks(labels)):
            return marks
        values = [parse_written(label) if isinstance(label, str) else None for label in labels]
        if not several and any(value is None for value in values):
            return labels
        labels_read: list[RawLabel] = []
        for row, (label, value) in enumerate(zip(labels, values, strict=True)):
            if isinstance(value, dict):
                self.keys.update(dict.fromkeys(map(self.options.clean, value)))
            try:
                read = self._cleaned(label_value(value, self.columns[0])) if value is not None else label
            except ValueError as error:
                problem = f"{shown(label)}, whose values are not all 0 and 1; write the names of the labels instead"
                raise RowError(
                    row, location, f"column '{self.columns[0]}' holds {problem if isinstance(value, dict) else error}"
                ) from None
            if read is None:
                raise RowError(row, location, f"label {shown(label)} has a missing part; complete it, or remove the row")
            labels_read.append(read)
        return labels_read


def label_reader(columns: tuple[str, ...], query: Query, recorded: SourceRecord | None) -> LabelReader:
    """The reader of the labels in these columns."""
    options = LabelOptions.of(query, recorded)
    if options.strip or options.fold:
        names, order = (tuple(map(options.clean, labels)) for labels in (options.names, options.order))
        options = replace(options, names=names, order=tuple(dict.fromkeys(order)))
    several = recorded is not None and recorded.kind is not None and codec_of(recorded.kind).classes == "several"
    of_names = several and not options.names
    return LabelReader(columns, options, named=query.names is not None, of_names=of_names)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in case, blanks or Unicode form."""
    joined = LabelOptions(strip=True, fold=True)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(joined.clean(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def joining_key(unseen: Iterable[str], known: Iterable[str]) -> str:
    """The end of an error: the keys by which labels that a head does not know become some that it knows, if any do."""
    labels, unseen = set(known), list(unseen)
    for options, keys in (
        (LabelOptions(strip=True), "strip=yes"),
        (LabelOptions(fold=True), "fold=yes"),
        (LabelOptions(strip=True, fold=True), "strip=yes and fold=yes"),
    ):
        if not labels.isdisjoint(map(options.clean, unseen)):
            return f"; to read labels that differ only in spelling as these, specify {keys}"
    return ""
