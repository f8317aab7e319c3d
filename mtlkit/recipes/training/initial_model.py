"""What a training starts from: an earlier run, or fresh weights; and the heads that its tasks need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from mtlkit.config.architecture import Encoding, Kind, Stage, TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.data.datasets.labelled import LabelledTable
from mtlkit.data.datasets.labels import check_varied, fits, infer_spec
from mtlkit.data.datasets.values import quoted
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import UsageError
from mtlkit.inference.find_model import ModelRef, find_model
from mtlkit.inference.load_weights import load_weights
from mtlkit.inference.prompts import prompt_note, with_prompt
from mtlkit.model.digest import digest_of
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import drawing_from, dropouts
from mtlkit.model.weight_names import head_weights
from mtlkit.training.freezing.rules import FreezeRules


@dataclass(frozen=True)
class InitialModel:
    """A model to train, how it reads texts, where it came from (`origin` is None for fresh weights), how its vectors are made and
    compared, what to tell the user of it, the generator that its fresh weights and its dropout draw from, and how the data of its
    heads was read."""

    model: MultiTaskModel
    encoder: TextEncoder
    origin: ModelRef | None
    vectors: VectorSettings = field(default_factory=VectorSettings)
    notes: tuple[str, ...] = ()
    random: torch.Generator = field(default_factory=torch.Generator)
    sources: Mapping[str, SourceRecord] = field(default_factory=dict)

    @property
    def parent(self) -> dict[str, str] | None:
        return {"path": str(self.origin), "digest": digest_of(self.origin.path)} if self.origin else None


def choose_start(init: str | None, runs: Path, stages: Sequence[Stage]) -> ModelRef | None:
    """The model to start from; None for `--init scratch`. Raises UsageError where the model is not found."""
    return None if init == "scratch" else find_model(init, runs, stages)


def start_from(found: ModelRef, options: TaskTrainingOptions) -> InitialModel:
    """An earlier run's model with the options of this one laid over it. Raises UsageError where they don't go together."""
    loaded = load_weights(found.path)
    encoding = loaded.checkpoint.encoding
    positions = loaded.checkpoint.architecture.max_length
    length = options.max_length or encoding.max_length
    if length > positions:
        raise UsageError(f"--max-length {length}: {found} has {positions} positions; give at most {positions}")
    encoder = loaded.encoder.with_encoding(max_length=length, truncate=options.truncate or encoding.truncate)
    if options.attention is not None:
        loaded.model.backbone.attend(options.attention)
    set_dropout(loaded.model, options.dropout)
    given = loaded.checkpoint.vectors
    encoder = with_prompt(encoder.with_literal(options.literal_special_tokens), given, options.prompt)
    notes = tuple(filter(None, (loaded.note, prompt_note(encoder.prompt, given, options.prompt))))
    vectors, random = given.with_default(options.prompt), torch.Generator().manual_seed(options.seed)
    return InitialModel(loaded.model, encoder, found, vectors, notes, random, loaded.checkpoint.sources)


def start_from_scratch(options: TaskTrainingOptions, texts: Sequence[str]) -> InitialModel:
    """Fresh weights, and a tokenizer trained on the training texts."""
    tokenizer = train_tokenizer(texts, options.vocab_size, options.lowercase)
    architecture = options.architecture(tokenizer.get_vocab_size())
    encoder = TextEncoder(tokenizer, Encoding(architecture.max_length, options.truncate or "head-tail"))
    none = VectorSettings()
    encoder = with_prompt(encoder.with_literal(options.literal_special_tokens), none, options.prompt)
    notes = tuple(filter(None, (prompt_note(encoder.prompt, none, options.prompt),)))
    random = torch.Generator().manual_seed(options.seed)
    with drawing_from(random):
        model = MultiTaskModel(Encoder(architecture))
    return InitialModel(model, encoder, None, none.with_default(options.prompt), notes, random)


def set_dropout(model: MultiTaskModel, rate: float) -> None:
    """Dropout is a choice of the training at hand, not of the one before."""
    model.backbone.architecture = replace(model.backbone.architecture, dropout=rate)
    for module in dropouts(model):
        module.p = rate


@dataclass(frozen=True)
class FittedHeads:
    """What the head of each task predicts, and warnings for the user."""

    specs: dict[str, TaskSpec]
    warnings: list[str]


def fit_heads(
    start: InitialModel,
    tables: Mapping[str, LabelledTable],
    kinds: Mapping[str, Kind | None],
    head: str,
    freezing: FreezeRules,
    seed: int,
) -> FittedHeads:
    """Gives every task a head: the starting model's where it knows all labels, else a fresh one.

    Raises UsageError when a frozen head does not know the labels of its data, DataError where labels allow no head or never
    differ.
    """
    start.random.manual_seed(seed)
    specs, notes = {}, []
    for name, table in tables.items():
        known = start.model.tasks.get(name)
        kind = kinds[name]
        if known is not None and fits(known, table.labels, kind):
            check_varied(known, table.labels, "+".join(table.record.label))
            specs[name] = known
            continue
        spec = infer_spec(name, table.labels, head, kind, table.record.names)
        check_varied(spec, table.labels, "+".join(table.record.label))
        if known is not None:
            reason = f"head '{name}' of {start.origin} was trained for other labels ({quoted(known.labels) or known.kind})"
            if freezing.always.intersection(head_weights(name, known.head)):
                raise UsageError(f"--freeze head:{name}: {reason}; give data with those labels, or another task name")
            notes.append(f"{reason}; a fresh one takes its place")
        with drawing_from(start.random):
            start.model.add_task(spec)
        specs[name] = spec
    return FittedHeads(specs, notes)
