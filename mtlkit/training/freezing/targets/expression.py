"""Weights whose names match a regular expression."""

from __future__ import annotations

import re

from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.errors import UsageError, listed
from mtlkit.training.freezing.targets.base import FreezeTarget, ModelParts


def pattern(where: str, text: str | None, parts: ModelParts) -> re.Pattern[str] | None:
    """Compiles the expression. Raises UsageError if it is invalid or matches no weight."""
    if text is None:
        return None
    try:
        compiled = re.compile(f".*(?:{text})")
    except (re.error, OverflowError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{where}: not a regular expression ({reason})") from None
    if not any(map(compiled.match, parts.weights)):
        raise UsageError(f"{where}: matches no weight; their names are such as {listed(parts.weights[:3])}")
    return compiled


FREEZE_TARGETS.add(
    FreezeTarget(name="re", help="weights whose names match a regular expression.", form="re:PATTERN", rank=8, pattern=pattern)
)
