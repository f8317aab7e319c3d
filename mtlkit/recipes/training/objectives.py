"""The objectives of `train-sentence` without heads: checks, data, and the starting model."""

from __future__ import annotations

from collections.abc import Callable, Generator

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.held_out import HOLDOUT
from mtlkit.config.task_training import ObjectiveName
from mtlkit.data.cache import encode_cached
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.held_out import SPLIT_SEED
from mtlkit.data.datasets.labelled import labels_words, read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.pair_data import TargetTexts, check_texts
from mtlkit.data.datasets.task_data import prepare_task
from mtlkit.data.labels.codec import infer_spec
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.data.sources.pair_columns import pair_head_of
from mtlkit.errors import UsageError, listed
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.encoder import own_encoder
from mtlkit.model.weight_names import parts_of
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.objective_setup import ObjectiveSetup, start_model, texts_record
from mtlkit.recipes.training.pair_objectives import load_pairs, load_similarity, load_triplets
from mtlkit.recipes.training.teacher import open_teacher, principal_axes, teacher_tokens, turned
from mtlkit.training.events import Event, Note
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.contrastive import DistillObjective
from mtlkit.training.objectives.labels import check_single_texts, labels_objective
from mtlkit.training.objectives.token_init import rarity_weights, start_from_tokens


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
    if len(names := list(named_sources(options.tasks))) > 1:
        raise UsageError(
            f"--objective {named} reads one column of labels, and labels= names several ({listed(names)}); use "
            "NAME=SOURCE?label=COLUMN"
        )
    if options.adapter is None and any(freezing.wholly("backbone", state) for state in freezing.states):
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
    start = start_model(options, origin, train)
    encoded = encode_cached(train, start.encoder)
    dim = start.model.vector_dim
    widths = options.widths(dim)
    vectors = teacher.vectors(train)
    axes = principal_axes(vectors, dim)
    if options.token_init == "teacher":
        table = teacher_tokens(teacher, start.encoder)
        start_from_tokens(own_encoder(start.model.backbone), turned(table, axes), rarity_weights(encoded.ids, len(table)))
    examples = TargetTexts(encoded, turned(vectors, axes))
    check_texts(examples, source)
    held_out_vectors = teacher.vectors(held_out)
    validation = TargetTexts(encode_cached(held_out, start.encoder), turned(held_out_vectors, axes))
    data = {"source": source, "train": texts_record(train), "validation": texts_record(held_out), "teacher": teacher.record}
    return ObjectiveSetup(start, DistillObjective(examples, validation, options.distill_loss, widths), data, records[source])


def _labels(
    options: TrainSentenceOptions, origin: ModelRef | None, source: str, reading: ReadOptions
) -> Generator[Event, None, ObjectiveSetup]:
    (name,) = named_sources(options.tasks)
    query = parse_source(source)[1]
    check_single_texts(name, pair_head_of(query), "--objective labels", words=labels_words(source))
    train, validation = read_train_and_validation(source, reading)
    start = start_model(options, origin, train.texts)
    spec = infer_spec(name, train.labels, "linear", query.kind, train.record.classes)
    task = prepare_task(spec, source, train, validation, start.encoder)
    yield from source_notes(task.record, source)
    yield Note(f"{len(task.train):,} texts to train on, {len(task.validation):,} to validate; {len(spec.labels)} labels")
    widths = options.widths(start.model.vector_dim)
    objective = labels_objective(task, options.temperature, widths, options.max_pairs, batch_texts=options.most_examples)
    return ObjectiveSetup(start, objective, task.fingerprint, task.record)


LOADERS: dict[ObjectiveName, Callable[..., Generator[Event, None, ObjectiveSetup]]] = {
    "distill": _distill,
    "labels": _labels,
    "pairs": load_pairs,
    "similarity": load_similarity,
    "triplets": load_triplets,
}
