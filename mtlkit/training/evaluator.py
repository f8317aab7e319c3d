"""How good a model is on its tasks' validation rows, and which epoch was the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mtlkit.data.encoded import Encoded
from mtlkit.errors import DivergedError, NotFiniteError
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.fast import SupportsEncode, fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import TaskState
from mtlkit.training.objectives.base import Objective


class Evaluator:
    """Evaluates objectives on their validation texts, whose vectors are worked out once until the weights move: all who ask at
    one moment share them. Those of a `frozen` backbone stay. Leaves the model in evaluation mode."""

    def __init__(self, model: MultiTaskModel, objectives: Mapping[str, Objective], compute: Compute, frozen: bool) -> None:
        self.model, self.objectives, self.compute, self.frozen = model, objectives, compute, frozen
        self._vectors: dict[str, Tensor] = {}
        self._fast: SupportsEncode | None = None

    def moved(self) -> None:
        """To be called when weights have changed."""
        if not self.frozen:
            self._vectors, self._fast = {}, None

    def encode(self, encoded: Encoded) -> Tensor:
        """The vectors of any texts, (N, D)."""
        self.model.eval()  # each time: the fastest form may be the model itself, in whatever mode it was left
        if self._fast is None:
            self._fast = fastest(self.model, self.compute)
        return encode_all(self._fast, encoded, self.compute)

    def vectors(self, name: str) -> Tensor:
        """Those of the validation texts of an objective, (N, D)."""
        if name not in self._vectors:
            self._vectors[name] = self.encode(self.objectives[name].validation.encoded)
        return self._vectors[name]

    def __call__(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The metrics of these objectives (None: of all); what is undefined is None, and `undefined` says why. Raises
        DivergedError where one is not finite."""
        self.model.eval()
        found = {}
        for name in self.objectives if names is None else names:
            found[name] = self._metrics(name)
        return found

    def _metrics(self, name: str) -> dict[str, Any]:
        """The metrics of one objective that are shown."""
        try:
            metrics = self.objectives[name].evaluate(self.vectors(name))
        except NotFiniteError as error:
            raise DivergedError(f"validation of '{name}': the {error.what} is not finite; lower --learning-rate") from None
        shown = {key: metrics[key] for key in ("undefined", "loss", *all_metrics()) if key in metrics}
        for key, value in shown.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise DivergedError(f"validation of '{name}': {key} is {value}; lower --learning-rate")
        return shown


@dataclass(frozen=True)
class Score:
    """The score of an epoch; of two with the same, the one with the lower loss is better. An undefined one (None) ranks as 0."""

    score: float | None
    loss: float

    def beats(self, other: Score) -> bool:
        return (self.score or 0.0, -self.loss) > (other.score or 0.0, -other.loss)

    def __str__(self) -> str:
        return "-" if self.score is None else f"{self.score:.3f}"


def rank(states: Sequence[TaskState], objectives: Mapping[str, Objective], select: str = "mean") -> Score:
    """The `mean` or the `min` over `objectives` of the metric that counts for each, or that of one task, and the sum of their
    losses; other states are not counted. An undefined metric counts as 0, unless all are undefined."""
    counted = [state for state in states if state.task in (objectives if select in ("mean", "min") else (select,))]
    found = [state.validation[objectives[state.task].metric] for state in counted]
    scores = [one or 0.0 for one in found]
    score = min(scores) if select == "min" else sum(scores) / len(scores)
    return Score(None if all(one is None for one in found) else score, sum(state.validation["loss"] for state in counted))


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch so far, the weights that were trained until its end, and the metric that counts for each task."""

    rank: Score
    weights: dict[str, Tensor]
    scores: dict[str, float | None]


def trained_weights(model: MultiTaskModel, frozen_params: frozenset[str]) -> dict[str, Tensor]:
    """A copy of everything that trains at some time."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if name not in frozen_params}
