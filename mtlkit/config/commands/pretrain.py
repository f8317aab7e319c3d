"""Options of `mtlkit pretrain`."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.common import MODEL, TRAINING, ShapeOptions, TrainingOptions
from mtlkit.config.option import COMMON, option


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(ShapeOptions, TrainingOptions):
    """Options of `mtlkit pretrain`."""

    sources: list[str] = option(
        ["sample:topic", "sample:sentiment"],
        "Texts: sample:NAME, files, folders or Hugging Face ids.",
        panel=COMMON,
        positional=True,
        metavar="SOURCE...",
        complete="source",
    )
    epochs: int = option(20, "Passes over the texts.", panel=COMMON, minimum=1, rank=4)
    tokens: int | None = option(None, "Tokens to train on, instead of --epochs.", panel=COMMON, minimum=1, rank=4)
    learning_rate: float = option(2e-3, "Peak learning rate.", panel=COMMON, minimum=0, rank=7)
    context: int = option(256, "Context length in tokens.", panel=MODEL, minimum=8)
    batch_tokens: int = option(2048, "Tokens per step.", panel=TRAINING, minimum=8)
