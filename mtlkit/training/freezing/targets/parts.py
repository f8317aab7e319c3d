"""Targets that are a name alone: parts of the backbone, and all heads."""

from __future__ import annotations

import re

from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.training.freezing.targets.base import FreezeTarget, ModelParts

EMBEDDINGS = re.compile(r"backbone\.(tokens|positions|position_bias|embedding_norm|widen)\.")
POOLING = re.compile(r"backbone\.(norm\.|dense\.|token_weights$)")


def add(name: str, help: str, pattern: re.Pattern[str], rank: int) -> None:
    """Registers a target whose weights have the same names in every model."""

    def match(_: str, text: str | None, __: ModelParts) -> re.Pattern[str] | None:
        return pattern if text is None else None

    FREEZE_TARGETS.add(FreezeTarget(name=name, help=help, rank=rank, pattern=match))


add("backbone", "everything below the heads.", re.compile(r"backbone\."), 0)
add("embeddings", "embeddings of tokens and positions.", EMBEDDINGS, 1)
add("pooling", "the final norm, dense layers after the pooling and learned weights of tokens.", POOLING, 3)
add("norms", "all norms of the backbone.", re.compile(r"backbone\.(.*\.)?\w*[nN]orm\w*\."), 4)
add("bias", "all biases of the backbone.", re.compile(r"backbone\..*\.bias$"), 5)
add("heads", "the heads of all tasks.", re.compile(r"heads\."), 6)
