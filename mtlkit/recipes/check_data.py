"""`mtlkit check-data`: looks for problems in the data before training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mtlkit.config.architecture import Kind
from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.task_training import ObjectiveName
from mtlkit.data.datasets.labelled import holds_out, read_test, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.codec import codec_of, infer_kind
from mtlkit.data.labels.tagged_spans import spans_by_type
from mtlkit.data.quality.classes import count_classes, sorted_labels, uneven_classes, unseen_classes
from mtlkit.data.quality.findings import CheckedSplit, Finding, SplitSummary, TaskSummary
from mtlkit.data.quality.leaks import near_texts, repeated_texts, shared_texts
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.quality.tagged import unseen_tags
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.evaluation.bag_of_words import WordsBaseline
from mtlkit.inference.find_model import find_model
from mtlkit.inference.load_weights import read_encoder
from mtlkit.recipes.checking.baseline import BaselineRows, check_baseline
from mtlkit.recipes.checking.measures import CheckedData, Measure, cut_texts, held_out
from mtlkit.recipes.checking.pairs import read_pair_tasks, read_scored_tasks, read_triplet_tasks
from mtlkit.recipes.checking.texts import read_distilled, read_text_data
from mtlkit.recipes.training.data_warnings import first_columns, quick_findings, splits_of


@dataclass(frozen=True)
class DataCheck:
    """Task summaries, findings, skipped rows, and the tokenizer and length limit used to measure texts. With `--baseline`, what a
    bag of words reaches on each task that has classes.
    """

    model: str
    reason: str
    max_length: int
    tasks: tuple[TaskSummary, ...]
    findings: tuple[Finding, ...]
    tally: SkippedRows
    baselines: Mapping[str, WordsBaseline | None] | None = None

    @property
    def spoiling(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.spoils]

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        tally, baselines = document.pop("tally"), document.pop("baselines")
        document["skipped"] = {"rows": tally["skipped"], "reasons": tally["reasons"]}
        return document if baselines is None else {**document, "baselines": baselines}


@dataclass(frozen=True)
class LabelledData:
    """Labelled texts."""

    name: str
    source: str
    kind: Kind
    texts: list[CheckedSplit]
    first: bool = True  # not a label column of a table with an earlier one, which has the same texts

    def check(self, measure: Measure) -> tuple[TaskSummary, list[Finding]]:
        """Its summary, and findings about this data alone."""
        summaries = []
        for split in self.texts:
            classes = dict(count_classes(split.table.labels)) if codec_of(self.kind).classes != "none" else {}
            lengths = measure.lengths(measure.whole(split.table.all_texts))
            summary = SplitSummary(split.name, len(split), False, classes, lengths, gaps=split.table.gaps)
            if split.table.words:
                spans = spans_by_type(split.table.labels, split.table.record.scheme)
                summary = replace(summary, words=sum(map(len, split.table.words)), spans=spans)
            summaries.append(summary)
        splits, absent = held_out(self.source, summaries)
        task = TaskSummary(self.name, self.source, self.kind, splits, absent, self.texts[0].table.record)
        findings = [
            *quick_findings(self.texts, self.kind, of_texts=self.first),
            *thorough_findings(self.texts, self.kind, measure.numbers, of_texts=self.first),
        ]
        for split in self.texts:
            if split.table.words and len(rows := measure.unread(split.table)):
                findings.append(split.finding("unread", rows))
        cut = self.first and codec_of(self.kind).classes != "words"  # of which long texts are read in windows
        return task, [*findings, *(cut_texts(task, measure.max_length) if cut else ())]


def check_data(options: CheckDataOptions) -> DataCheck:
    """Reads all data as training and evaluation do, and looks for problems that invalidate or weaken their results.

    Raises UsageError, DataError, IntegrityError.
    """
    if options.baseline:
        check_baseline(options.objective)
    sources = named_sources(options.tasks) if options.tasks else {}
    model_ref = find_model(options.model, options.runs, ("mtl", "sentence", "base"))
    encoder = read_encoder(model_ref.path)
    tally, numbers = SkippedRows(), TextNumbers()
    measure = Measure(encoder, options.max_length or encoder.encoding.max_length, numbers)
    reading = ReadOptions(options.encoding, options.on_bad_row, tally, keep_places=True)
    data = list(READERS[options.objective](sources, reading, numbers))
    data += read_text_data(options.text, reading, numbers) if options.text else []
    checked = [entry.check(measure) for entry in data]
    findings = [finding for _, own in checked for finding in own]
    findings += across_data([entry.texts for entry in data])
    findings.sort(key=lambda finding: not finding.spoils)
    tasks = tuple(task for task, _ in checked)
    baselines = dict(measured_baselines(data)) if options.baseline else None
    return DataCheck(str(model_ref), model_ref.reason, measure.max_length, tasks, tuple(findings), tally, baselines)


def measured_baselines(data: Iterable[CheckedData]) -> Iterator[tuple[str, WordsBaseline | None]]:
    """What a bag of words reaches on each task; None where that cannot be measured."""
    for entry in data:
        if isinstance(entry, LabelledData):
            train, validation = (split.table for split in entry.texts[:2])
            yield entry.name, BaselineRows(train, validation, holds_out(entry.source)).measure()


def read_labelled(sources: Mapping[str, str], reading: ReadOptions, numbers: TextNumbers) -> list[LabelledData]:
    """Labelled texts as a training reads them. Raises DataError."""
    tasks = []
    for name, source in sources.items():
        splits = read_splits(name, source, reading, numbers)
        tasks.append(LabelledData(name, source, kind_of(source, splits[0].table), splits))
    first = first_columns({task.name: task.texts[0].table for task in tasks})
    return [replace(task, first=task.name in first) for task in tasks]


def read_splits(name: str, source: str, reading: ReadOptions, numbers: TextNumbers) -> list[CheckedSplit]:
    """The train, validation and (if any) test splits."""
    train, validation = read_train_and_validation(source, reading)
    test = read_test(source, reading)
    return splits_of(name, {"train": train, "validation": validation, **({"test": test} if test else {})}, numbers)


def kind_of(source: str, table: LabelledTable) -> Kind:
    """The kind of a task: as given by its source or its columns, else inferred from its labels."""
    if table.words and table.record.kind is not None:
        return table.record.kind
    kind: Kind = parse_source(source)[1].kind or infer_kind(table.labels)
    return kind


def thorough_findings(
    splits: Sequence[CheckedSplit], kind: Kind, numbers: TextNumbers, *, of_texts: bool = True
) -> Iterator[Finding]:
    """The findings on one task that take longer to compute. `of_texts`: not only about labels."""
    train, *others = splits
    texts = numbers.texts()
    for other in others if of_texts else ():
        yield from near_texts(train, other, texts)
    for split in splits if of_texts else ():
        yield from repeated_texts(split)
    if codec_of(kind).classes != "none":
        for other in others:
            yield from unseen_tags(train, other) if codec_of(kind).classes == "words" else unseen_classes(train, other)
    if codec_of(kind).classes not in ("none", "words"):  # a text has many tags, most of them outside of spans
        yield from uneven_classes(train)
        yield from sorted_labels(train)


def across_data(data: Sequence[Sequence[CheckedSplit]]) -> Iterator[Finding]:
    """Texts on which one task is evaluated and another is trained: the shared backbone has seen them."""
    for index, (train, *_) in enumerate(data):
        for another, (own, *others) in enumerate(data):
            if another != index:
                for other in others:
                    yield from shared_texts(train, other, own)


READERS: dict[ObjectiveName, Callable[[Mapping[str, str], ReadOptions, TextNumbers], Sequence[CheckedData]]] = {
    "classify": read_labelled,
    "labels": read_labelled,
    "pairs": read_pair_tasks,
    "triplets": read_triplet_tasks,
    "similarity": read_scored_tasks,
    "distill": read_distilled,
}
