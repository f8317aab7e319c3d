"""The model that a training starts from, an earlier run or random weights, and the heads for its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mtlkit.config.architecture import Encoding, Stage
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import UsageError
from mtlkit.inference.find_model import ModelRef, find_model
from mtlkit.inference.load_weights import load_weights
from mtlkit.inference.prompts import prompt_note, with_prompt
from mtlkit.model.encoder import Encoder, own_encoder
from mtlkit.model.interop.auto.models import check_supported
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import drawing_from, dropouts
from mtlkit.recipes.inputs.model_record import model_record
from mtlkit.runs.record import RECORD, read_record


@dataclass(frozen=True)
class InitialModel:
    """A model to train, with its tokenizer and encoding of texts.

    `origin` is the model that it was loaded from (None: random weights). `vectors` are the settings for prompts and
    similarity, `notes` are messages for the user, new weights and dropout draw from `random`, and `sources` say how the data
    of existing heads was read.
    """

    model: MultiTaskModel
    encoder: TextEncoder
    origin: ModelRef | None
    vectors: VectorSettings = field(default_factory=VectorSettings)
    notes: tuple[str, ...] = ()
    random: torch.Generator = field(default_factory=torch.Generator)
    sources: Mapping[str, SourceRecord] = field(default_factory=dict)

    @property
    def parent(self) -> dict[str, str] | None:
        """The path and digest of the origin, for records."""
        return model_record(self.origin) if self.origin else None


def labels_seen(origin: ModelRef | None, fingerprints: Mapping[str, Any]) -> list[str]:
    """The tasks whose training rows are those that a sentence encoder was trained on with their labels, by contrast."""
    if origin is None or not (origin.path / RECORD).is_file():
        return []
    record = read_record(origin.path)
    if record.options.get("objective") != "labels":
        return []
    seen = [data.get("train") for data in record.data.values()]
    return [name for name, data in fingerprints.items() if data.get("train") in seen]


def choose_start(init: str | None, runs: Path, stages: Sequence[Stage]) -> ModelRef | None:
    """The model to start from; None for `--init scratch`. Raises UsageError if it is not found."""
    return None if init == "scratch" else find_model(init, runs, stages)


def start_from(origin: ModelRef, options: TaskTrainingOptions) -> InitialModel:
    """Loads a model and applies the options to it. Raises UsageError if they do not fit together, IntegrityError."""
    loaded = load_weights(origin.path, classifier=isinstance(options, TrainMtlOptions))
    encoding = loaded.checkpoint.encoding
    architecture = loaded.checkpoint.architecture
    positions = architecture.max_length
    length = options.max_length or encoding.max_length
    if length > positions:
        raise UsageError(f"--max-length {length}: {origin} has {positions} positions; give at most {positions}")
    encoder = loaded.encoder.with_encoding(max_length=length, truncate=options.truncate or encoding.truncate)
    if options.attention is not None:
        check_supported(architecture, f"--attention {options.attention}", "remove it: the model keeps its attention")
    attention = options.attention or options.default_attention
    if attention is not None and architecture.transformers is None:
        own_encoder(loaded.model.backbone).attend(attention)
    if options.embedding_share is not None:
        check_supported(architecture, f"--embedding-share {options.embedding_share}", "remove it")
        own_encoder(loaded.model.backbone).mix(options.embedding_share)
    set_dropout(loaded.model, options.dropout)
    settings = loaded.checkpoint.vectors
    encoder = with_prompt(encoder.with_literal(options.literal_special_tokens), settings, options.prompt)
    notes = tuple(filter(None, (loaded.note, prompt_note(encoder.prompt, settings, options.prompt))))
    vectors, random = settings.with_default(options.prompt), torch.Generator().manual_seed(options.seed)
    return InitialModel(loaded.model, encoder, origin, vectors, notes, random, loaded.checkpoint.sources)


def start_from_scratch(options: TaskTrainingOptions, texts: Sequence[str]) -> InitialModel:
    """A model with random weights, and a tokenizer trained on `texts`."""
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
    """Sets the dropout of all layers, which is an option of each training and not kept from the starting model."""
    model.backbone.architecture = replace(model.backbone.architecture, dropout=rate)
    for module in dropouts(model):
        module.p = rate
