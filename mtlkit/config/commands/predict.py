"""Options of `mtlkit predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.common import OUTPUT
from mtlkit.config.inference import TextOptions
from mtlkit.config.option import COMMON, finite, option
from mtlkit.config.outputs import OutputOptions
from mtlkit.errors import UsageError, shorten


def parse_reject(text: str) -> float | Literal["auto"]:
    """The value of `--reject`. Raises UsageError."""
    if text == "auto":
        return "auto"
    rate = finite(text)
    if rate is None or not 0 <= rate < 1:
        raise UsageError(f"--reject {shorten(text)!r} is not auto or a share of texts; use a number from 0 up to 1, such as 0.05")
    return rate


@dataclass(frozen=True, kw_only=True)
class PredictOptions(OutputOptions, TextOptions):
    """Options of `mtlkit predict`."""

    task: list[str] = option(
        [],
        "Predict with this head only. Repeatable.",
        metavar="NAME",
        panel=COMMON,
        rank=2,
        default_text="the heads that the router picks, else all",
        complete="task",
    )
    pair: str | None = option(
        None,
        "For heads that read pairs of texts: the first text, before the second; with --input, its two columns.",
        metavar="FIRST SECOND|COLUMN,COLUMN",
        panel=COMMON,
        rank=2,
        default_text="with --input, the columns of the training data",
    )
    reject: str | None = option(
        None,
        "Reject texts that fit no class: the share of fitting texts that may be lost, such as 0.05, or auto (0.05).",
        panel=COMMON,
        metavar="RATE|auto",
        rank=3,
        parse=parse_reject,
        complete=("auto",),
    )
    top_k: int | None = option(
        None,
        "Give the probabilities of the K likeliest labels only.",
        panel=OUTPUT,
        metavar="K",
        minimum=1,
        default_text="all labels",
    )

    @property
    def tasks(self) -> tuple[str, ...] | None:
        """The tasks of `--task`, each once; None for those that the router picks, or all."""
        return tuple(dict.fromkeys(self.task)) or None
