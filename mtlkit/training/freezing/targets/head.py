"""The head of one task."""

from __future__ import annotations

import re

from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.training.freezing.targets.base import FreezeTarget, ModelParts


def pattern(_: str, text: str | None, parts: ModelParts) -> re.Pattern[str] | None:
    return re.compile(re.escape(f"heads.{text}.")) if text in parts.heads else None


def examples(parts: ModelParts) -> list[str]:
    return [f"head:{name}" for name in parts.heads]


FREEZE_TARGETS.add(
    FreezeTarget(
        name="head",
        help="the head of one task, which is then evaluated but not trained.",
        form="head:NAME",
        rank=7,
        pattern=pattern,
        examples=examples,
        complete="task",
    )
)
