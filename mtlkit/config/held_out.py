"""Options of held-out rows: how many there are, and whether they are trained on in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import DATA, TRAINING
from mtlkit.config.option import option

HOLDOUT = 0.1  # share of the training rows


@dataclass(frozen=True, kw_only=True)
class HeldOutOptions(CheckedOptions):
    """Options of every command that holds out rows of a source without a validation split."""

    holdout: float = option(
        HOLDOUT,
        "Share of the training rows held out for validation where the source has no validation split. 0 trains on all rows, "
        "without validation, and keeps the last epoch.",
        panel=DATA,
        metavar="SHARE",
        minimum=0,
        maximum=1,
        advanced=True,
    )
    refit: bool = option(
        False,
        "When the best epoch is known, train again from the start to that epoch, with the held-out rows.",
        panel=TRAINING,
        advanced=True,
    )


def holdout_of(options: Mapping[str, Any]) -> float:
    """The value of `--holdout` in the recorded options of a run; earlier versions held out a tenth."""
    share = options.get("holdout", HOLDOUT)
    return float(share) if isinstance(share, int | float) and 0 <= share <= 1 else HOLDOUT
