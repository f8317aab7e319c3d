"""The objectives of `train-sentence` without heads: checks, data, and the starting model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from mtlkit.config.held_out import HOLDOUT
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import ObjectiveName
from mtlkit.config.train_sentence import TrainSentenceOptions
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.held_out import SPLIT_SEED
from mtlkit.data.datasets.labelled import read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labels import infer_spec
from mtlkit.data.datasets.pair_data import PairTexts, TargetTexts, check_pairs, check_scored_pairs, check_texts, prepare_pairs
from mtlkit.data.datasets.pairs import PairTable, read_train_and_validation_pairs
from mtlkit.data.datasets.task_data import prepare_task
from mtlkit.data.sources.spec import named_sources, parse_source
from mtlkit.errors import UsageError
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.weight_names import parts_of
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.initial_model import InitialModel, start_from, start_from_scratch
from mtlkit.recipes.training.teacher import open_teacher, principal_axes, teacher_tokens, turned
from mtlkit.training.events import Event, Note
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import Objective
from mtlkit.training.objectives.contrastive import DistillObjective, PairsObjective, SimilarityObjective
from mtlkit.training.objectives.labels import labels_objective
from mtlkit.training.objectives.token_init import rarity_weights, start_from_tokens


@dataclass(frozen=True)
class ObjectiveSetup:
    """A model to train, its objective, the fingerprint of the data, and how the source was read."""

    start: InitialModel
    objective: Objective
    data: dict[str, Any]
    record: SourceRecord


def check_objective(options: TrainSentenceOptions, origin: ModelRef | None, freezing: FreezeRules, dim: int) -> None:
    """Raises UsageError if options do not fit the objective, or if vector lengths exceed the `dim` of the model. `origin` is
    the model to start from.
    """
    named = options.objective
    if named != "classify":
        _check_headless(options, freezing)
    distill_only = {"--teacher": options.teacher is not None, "--token-init teacher": options.token_init == "teacher"}
    for option, is_set in distill_only.items():
        if is_set and named != "distill":
            raise UsageError(f"{option} is for --objective distill, and this is {named}; remove one of them")
    if named == "distill" and options.teacher is None:
        raise UsageError("--objective distill needs a --teacher, such as --teacher sentence-transformers/all-MiniLM-L6-v2")
    if named == "classify" and options.matryoshka:
        raise UsageError("--matryoshka does not apply to --objective classify, which trains a head; choose another objective")
    options.widths(dim)
    if options.token_init == "teacher" and origin is not None:
        raise UsageError(f"--token-init teacher is for fresh weights, and {origin} has its own; add --init scratch")


def _check_headless(options: TrainSentenceOptions, freezing: FreezeRules) -> None:
    """Raises UsageError for options that need labels or heads, and for a frozen backbone, which would leave nothing to train."""
    named = options.objective
    if any(freezing.wholly("backbone", state) for state in freezing.states):
        raise UsageError(f"--freeze backbone leaves nothing to train: --objective {named} has no head; remove one of them")
    heads = {f"--freeze {part}": True for part in parts_of(sorted(freezing.always)) if part.startswith("head:")}
    others = {f"--head {options.head}": options.head != "linear", "--refit": options.refit}
    others[f"--holdout {options.holdout:g}"] = options.holdout != HOLDOUT
    for option, is_set in {**heads, **others}.items():
        if is_set:
            raise UsageError(f"{option} is for --objective classify, and {named} trains no head; remove one of them")
    if options.cap != "none":
        raise UsageError(f"--cap {options.cap} is for --objective classify; cut the data of {named} with ?limit=N in --task")


def load_objective(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    """Reads the data of an objective and the starting model. Raises DataError, UsageError, IntegrityError."""
    return (yield from LOADERS[options.objective](options, origin, source, reading))


def _start(options: TrainSentenceOptions, origin: ModelRef | None, texts: Sequence[str]) -> InitialModel:
    return start_from(origin, options) if origin else start_from_scratch(options, texts)


def _distill(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    teacher = open_teacher(options)
    split = read_corpus([source], reading, SPLIT_SEED)
    train, held_out, records = split.train, split.held_out, split.records
    yield from source_notes(records[source], source)
    yield Note(
        f"teacher: {teacher.model.name}, vectors of {teacher.model.dim}; "
        f"{len(train):,} texts to train on, {len(held_out):,} held out{split.origin}"
    )
    start = _start(options, origin, train)
    encoded = encode_cached(train, start.encoder)
    dim = start.model.dim
    widths = options.widths(dim)
    vectors = teacher.vectors(train)
    axes = principal_axes(vectors, dim)
    if options.token_init == "teacher":
        table = teacher_tokens(teacher, start.encoder)
        start_from_tokens(start.model.backbone, turned(table, axes), rarity_weights(encoded.ids, len(table)))
    examples = TargetTexts(encoded, turned(vectors, axes))
    check_texts(examples, source)
    held_out_vectors = teacher.vectors(held_out)
    validation = TargetTexts(encode_cached(held_out, start.encoder), turned(held_out_vectors, axes))
    data = {"source": source, "train": _fingerprint(train), "validation": _fingerprint(held_out), "teacher": teacher.record}
    return ObjectiveSetup(start, DistillObjective(examples, validation, options.distill_loss, widths), data, records[source])


def _pairs(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    pairs = yield from _read_pairs(options, origin, source, reading, scored=False)
    check_pairs(pairs.train, pairs.table.columns, source)
    widths = options.widths(pairs.start.model.dim)
    objective = PairsObjective(pairs.train, pairs.validation, options.temperature, widths)
    return ObjectiveSetup(pairs.start, objective, pairs.data, pairs.table.record)


def _similarity(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    pairs = yield from _read_pairs(options, origin, source, reading, scored=True)
    check_scored_pairs(pairs.train, pairs.table.columns, source)
    objective = SimilarityObjective(pairs.train, pairs.validation, options.widths(pairs.start.model.dim))
    return ObjectiveSetup(pairs.start, objective, pairs.data, pairs.table.record)


@dataclass(frozen=True)
class PreparedPairs:
    """A model to train, tokenized pairs, the fingerprint of the data, and the table of training pairs."""

    start: InitialModel
    train: PairTexts
    validation: PairTexts
    data: dict[str, Any]
    table: PairTable


def _read_pairs(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions, scored: bool
) -> Generator[Event, None, PreparedPairs]:
    tables = read_train_and_validation_pairs(source, reading, scored)
    yield from source_notes(tables[0].record, source)
    yield Note(f"{len(tables[0]):,} pairs to train on, {len(tables[1]):,} to validate")
    start = _start(options, origin, [*tables[0].firsts, *tables[0].seconds])
    train, validation = (prepare_pairs(table.firsts, table.seconds, table.scores, start.encoder) for table in tables)
    train_values, validation_values = (table.all_values() for table in tables)
    data = {"source": source, "train": _fingerprint(train_values), "validation": _fingerprint(validation_values)}
    return PreparedPairs(start, train, validation, data, tables[0])


def _labels(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    (name,) = named_sources(options.tasks)
    train, validation = read_train_and_validation(source, reading)
    start = _start(options, origin, train.texts)
    spec = infer_spec(name, train.labels, "linear", parse_source(source)[1].kind, train.record.names)
    task = prepare_task(spec, source, train, validation, start.encoder)
    yield from source_notes(task.record, source)
    yield Note(f"{len(task.train):,} texts to train on, {len(task.validation):,} to validate; {len(spec.labels)} labels")
    widths = options.widths(start.model.dim)
    objective = labels_objective(task, options.temperature, widths, options.max_pairs)
    return ObjectiveSetup(start, objective, task.fingerprint, task.record)


def _fingerprint(texts: Sequence[str]) -> dict[str, Any]:
    return {"values": len(texts), "sha256": fingerprint(texts)}


LOADERS: dict[ObjectiveName, Callable[..., Generator[Event, None, ObjectiveSetup]]] = {
    "distill": _distill,
    "labels": _labels,
    "pairs": _pairs,
    "similarity": _similarity,
}
