"""What may be wrong with the data of tasks, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.config.checking import CheckDataOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.class_checks import count_classes, sorted_labels, uneven_classes, unseen_classes
from mtlkit.data.findings import MOST_TOKENS, Finding, Lengths, Split, SplitSummary, TaskSummary
from mtlkit.data.grammar import named_sources, parse_source
from mtlkit.data.label_reader import Label
from mtlkit.data.labelled_rows import Reading
from mtlkit.data.labels import infer_kind
from mtlkit.data.leaks import near_texts, repeated_texts, shared_texts
from mtlkit.data.overlap import TextNumbers
from mtlkit.data.readers import Tally
from mtlkit.data.tables import holds_out, read_test, read_train_and_validation
from mtlkit.data.tokenizer import TextEncoder
from mtlkit.recipes.check_texts import read_sources, text_findings
from mtlkit.recipes.finding import find_model
from mtlkit.recipes.first_look import quick_findings, splits_of
from mtlkit.recipes.weights import read_encoder

MUCH_CUT = 0.1  # of the training texts


@dataclass(frozen=True)
class DataCheck:
    """Tasks, what was found, what rows were skipped, and by whose tokenizer and up to what length texts were counted."""

    model: str
    reason: str
    max_length: int
    tasks: tuple[TaskSummary, ...]
    findings: tuple[Finding, ...]
    tally: Tally

    @property
    def spoiling(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.spoils]

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        tally = document.pop("tally")
        document["skipped"] = {"rows": tally["skipped"], "reasons": tally["reasons"]}
        return document


def check_data(options: CheckDataOptions) -> DataCheck:
    """Reads all data as a training and an evaluation would, and looks for what would spoil their results.

    Raises UsageError, DataError, IntegrityError.
    """
    sources = named_sources(options.tasks) if options.tasks else {}
    found = find_model(options.model, options.runs, ("mtl", "sentence", "base"))
    encoder = read_encoder(found.path)
    max_length = options.max_length or encoder.encoding.max_length
    tally, numbers = Tally(), TextNumbers()
    reading = Reading(options.encoding, options.on_bad_row, tally, keep_places=True)
    splits = {name: read_splits(name, source, reading, numbers) for name, source in sources.items()}
    kinds = {name: kind_of(source, splits[name][0].table.labels) for name, source in sources.items()}
    records: dict[str, SourceRecord] = {}
    texts = read_sources(options.text, reading, numbers, records) if options.text else {}
    tasks, findings = [], []
    for name, source in sources.items():
        task = summary(name, source, kinds[name], splits[name], encoder, max_length)
        tasks.append(task)
        findings += [*quick_findings(splits[name], kinds[name]), *thorough_findings(splits[name], kinds[name], numbers)]
        cut, rows = task.splits[0].lengths.cut, task.splits[0].rows
        if cut > MUCH_CUT * rows:
            findings.append(Finding("cut", name, "train", cut, rows, figure=max_length))
    for source, found_splits in texts.items():
        tasks.append(text_summary(source, found_splits, encoder, records[source]))
        findings += text_findings(found_splits, numbers)
    findings += across_tasks({**splits, **{f"text={source}": found_splits for source, found_splits in texts.items()}})
    findings.sort(key=lambda finding: not finding.spoils)
    return DataCheck(str(found), found.reason, max_length, tuple(tasks), tuple(findings), tally)


def read_splits(name: str, source: str, reading: Reading, numbers: TextNumbers) -> list[Split]:
    """Train, validation, and test where there is one."""
    train, validation = read_train_and_validation(source, reading)
    test = read_test(source, reading)
    return splits_of(name, {"train": train, "validation": validation, **({"test": test} if test else {})}, numbers)


def kind_of(source: str, labels: Sequence[Label]) -> Kind:
    """The kind of a task: what its source says, else what its labels look like."""
    kind: Kind = parse_source(source)[1].kind or infer_kind(labels)
    return kind


def thorough_findings(splits: Sequence[Split], kind: Kind, numbers: TextNumbers) -> Iterator[Finding]:
    """The rest of what can be said of one task."""
    train, *others = splits
    texts = numbers.texts()
    for other in others:
        yield from near_texts(train, other, texts)
    for split in splits:
        yield from repeated_texts(split)
    if kind != "regression":
        for other in others:
            yield from unseen_classes(train, other)
        yield from uneven_classes(train)
        yield from sorted_labels(train)


def across_tasks(splits: Mapping[str, Sequence[Split]]) -> Iterator[Finding]:
    """Texts that a task is judged by and another one is trained on: the backbone that both share has seen them."""
    for name, (train, *_) in splits.items():
        for another, (own, *others) in splits.items():
            if another != name:
                for other in others:
                    yield from shared_texts(train, other, own)


def summary(name: str, source: str, kind: Kind, splits: Sequence[Split], encoder: TextEncoder, max_length: int) -> TaskSummary:
    """The figures of a task."""
    classes = [{} if kind == "regression" else dict(count_classes(split.table.labels)) for split in splits]
    made = split_summaries(splits, classes, holds_out(source), encoder, max_length)
    there = {split.name for split in made if not split.held_out}
    absent = tuple(one for one in ("validation", "test") if one not in there)
    return TaskSummary(name, source, kind, tuple(made), absent, splits[0].table.record)


def text_summary(source: str, splits: Sequence[Split], encoder: TextEncoder, record: SourceRecord) -> TaskSummary:
    """The figures of texts for pretraining, which cuts none."""
    held_out = holds_out(source)
    made = split_summaries(splits, [{} for _ in splits], held_out, encoder, MOST_TOKENS)
    return TaskSummary(source, source, "text", tuple(made), ("validation",) if held_out else (), record)


def split_summaries(
    splits: Sequence[Split], classes: Sequence[dict[str, int]], held_out: bool, encoder: TextEncoder, max_length: int
) -> list[SplitSummary]:
    """The figures of each split, with its rows by class; `held_out` says that validation rows are held out of train."""
    return [
        SplitSummary(
            split.name,
            len(split),
            held_out and split.name == "validation",
            counts,
            lengths(split.table.texts, encoder, max_length),
        )
        for split, counts in zip(splits, classes, strict=True)
    ]


def lengths(texts: Sequence[str], encoder: TextEncoder, max_length: int) -> Lengths:
    """How long texts are."""
    counts = encoder.with_encoding(max_length=MOST_TOKENS, truncate="head").encode(texts).lengths
    median, most_are_below = np.percentile(counts, [50, 95]).tolist()
    return Lengths(median, most_are_below, int(counts.max()), int((counts > max_length).sum()))
