"""What the loaders of objectives return, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.cache import fingerprint
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.training.initial_model import InitialModel, start_from, start_from_scratch
from mtlkit.training.objectives.base import Objective


@dataclass(frozen=True)
class ObjectiveSetup:
    """A model to train, its objective, the fingerprint of the data, and how the source was read."""

    start: InitialModel
    objective: Objective
    data: dict[str, Any]
    record: SourceRecord


def start_model(options: TrainSentenceOptions, origin: ModelRef | None, texts: Sequence[str]) -> InitialModel:
    """The model to start from: `origin`, or fresh weights with a tokenizer trained on `texts`."""
    return start_from(origin, options) if origin else start_from_scratch(options, texts)


def texts_record(texts: Sequence[str]) -> dict[str, Any]:
    """The number of texts and their digest."""
    return {"values": len(texts), "sha256": fingerprint(texts)}
