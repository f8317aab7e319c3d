"""The grammar of `--finish`: a last phase of pretraining with another objective."""

from __future__ import annotations

from mtlkit.errors import UsageError, shorten

USUAL = 0.1  # of the steps


def parse_finish(text: str) -> float:
    """The share of the steps that predict masked tokens: 0.1 of `mlm:0.1`, and of `mlm`. Raises UsageError."""
    objective, colon, number = text.partition(":")
    try:
        share = float(number) if colon else USUAL
    except ValueError:
        share = 0.0
    if objective != "mlm" or not 0 < share < 1:
        raise UsageError(f"--finish {shorten(text)!r} is not mlm:SHARE, with a share of the steps between 0 and 1")
    return share
