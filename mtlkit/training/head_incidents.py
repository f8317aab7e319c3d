"""Events about heads that are solved, judged, calibrated or compared, as plain data; part of `incidents`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.calibration import FittedOn, Method
from mtlkit.inference.scope.scope import Scope


@dataclass(frozen=True)
class StrengthTrial:
    """A strength of L2 regularization (`c`: inverse, relative to the spread of the vectors), the mean cross-validated loss, and
    its standard error."""

    c: float
    loss: float
    error: float


@dataclass(frozen=True)
class HeadSolved:
    """The head of a task was solved on `rows` rows, of which `held_out` had been held out for validation.

    `c` was chosen of `trials` by cross-validation in `folds` folds, drawn `rounds` times, on `tested` rows. `metrics` are those
    of the left-out rows, with a 95 % `interval` of `metric`. Without enough rows, `folds` is 0 and there are none."""

    task: str
    rows: int
    held_out: int
    c: float
    trials: tuple[StrengthTrial, ...]
    folds: int
    rounds: int
    tested: int
    metric: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    iterations: int = 0
    converged: bool = True
    seconds: float = 0.0

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> HeadSolved:
        """The inverse of `dataclasses.asdict`, after JSON."""
        trials = tuple(StrengthTrial(**trial) for trial in plain["trials"])
        interval = tuple(plain["interval"]) if plain["interval"] else None
        return cls(**{**plain, "trials": trials, "interval": interval})


@dataclass(frozen=True)
class RowsJudged:
    """Which rows a head of one class per row got right, `hits`, (N,): rows that it was not trained on. `rows`, (N,), are their
    places among the training rows of the task followed by its validation rows. `cross_validated`: by models of other folds."""

    task: str
    rows: NDArray[np.int64] = field(compare=False, repr=False)
    hits: NDArray[np.bool_] = field(compare=False, repr=False)
    cross_validated: bool = False


@dataclass(frozen=True)
class ScoreInterval:
    """The 95 % interval of the main `metric` of a task on the rows that its score was measured on; None if it is undefined.
    `cross_validated`: on training rows, by models of other folds; else on the validation rows, by the kept weights."""

    task: str
    metric: str
    interval: tuple[float, float] | None
    cross_validated: bool = False


@dataclass(frozen=True)
class WordsCompared:
    """The accuracy of a head and of a bag of words on the same `rows` rows. `interval`: 95 %, of `words` - `head`. `better`: the
    bag of words is, by this interval and McNemar's test."""

    task: str
    rows: int
    head: float
    words: float
    interval: tuple[float, float]
    better: bool
    cross_validated: bool


@dataclass(frozen=True)
class CalibrationFitted:
    """A head was calibrated on `rows` rows of `fitted_on`; `before` and `after` have figures of the same rows by name."""

    task: str
    method: Method
    fitted_on: FittedOn
    rows: int
    temperature: float
    thresholds: tuple[float, ...]
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]


@dataclass(frozen=True)
class ScopeFitted:
    """Training vectors of a task are kept to recognize texts that fit none of its classes; `rows` texts gave the threshold."""

    task: str
    prototypes: int
    rows: int
    scope: Scope = field(compare=False, repr=False)
