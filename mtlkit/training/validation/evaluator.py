"""Evaluates a model on the validation rows of its tasks, and ranks evaluations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data.encoded import Encoded
from mtlkit.errors import DivergedError, NotFiniteError
from mtlkit.evaluation.metric_names import all_metrics
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import hits_of, main_interval, main_metric
from mtlkit.inference.compute import Compute
from mtlkit.inference.engines.fast import SupportsEncode, fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.progress import counting
from mtlkit.runs.record import NOT_MEASURED
from mtlkit.training.distributed.encoding import encode_shared
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.events import TaskState
from mtlkit.training.head_incidents import RowsJudged, ScoreInterval
from mtlkit.training.objectives.base import HeadObjective, Objective, all_inputs
from mtlkit.training.sampling.columns import shared_texts


class Evaluator:
    """Evaluates objectives on their validation texts, and leaves the model in eval mode.

    Vectors of validation texts are cached until `moved` reports that weights have changed; those of a `frozen` backbone are kept.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        compute: Compute,
        frozen: bool,
        ranks: Ranks = ALONE,
    ) -> None:
        self.ranks = ranks
        self.model, self.objectives, self.compute, self.frozen = model, objectives, compute, frozen
        self._vectors: dict[str, Tensor] = {}
        shared = shared_texts({name: objective.validation for name, objective in objectives.items()})
        self._shared = {name: texts for texts in shared for name in texts.index}
        self._fast: dict[str | None, SupportsEncode] = {}

    def moved(self) -> None:
        """Drops cached vectors, unless the backbone is frozen. Must be called when weights have changed."""
        if not self.frozen:
            self._vectors, self._fast = {}, {}

    def encode(self, encoded: Encoded, task: str | None = None) -> Tensor:
        """The vectors of any texts, (N, D), for a task or without one."""
        self.model.eval()  # every time, as the fastest form may be the model itself
        own = task if task is not None and task in self.model.adapters else None
        if own not in self._fast:
            self._fast[own] = fastest(self.model, self.compute, own, self._fast.get(None))
        return encode_shared(self._fast[own], encoded, self.compute, self.ranks)

    def vectors(self, name: str) -> Tensor:
        """What an objective reads for its validation examples: the vectors of their texts, or what a head combines them to. Texts
        that several objectives share are encoded once."""
        validation = self.objectives[name].validation
        shared = None if name in self.model.adapters else self._shared.get(name)
        key, encoded = (name, validation.encoded) if shared is None else (shared.name, shared.encoded)
        if key not in self._vectors:
            with counting(f"evaluating {key}", "encoded", len(encoded)):
                vectors = self.encode(encoded, name)
                self._vectors[key] = vectors if shared else all_inputs(validation, vectors)
        vectors = self._vectors[key]
        return vectors if shared is None else vectors[torch.from_numpy(shared.index[name]).to(vectors.device)]

    def __call__(self, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
        """The loss and metrics of the objectives in `names` (None: all), by objective.

        An undefined metric is None, and the entry `undefined` maps its name to the reason. Loss and main metric of a task without
        validation rows are None. Raises DivergedError if a value is not finite.
        """
        self.model.eval()
        # one evaluation decides for all ranks
        return self.ranks.from_main({name: self._metrics(name) for name in (self.objectives if names is None else names)})

    def _metrics(self, name: str) -> dict[str, Any]:
        objective = self.objectives[name]
        if not has_validation(objective):
            return {"loss": None, objective.metric: None, NOT_MEASURED: True}
        try:
            metrics = objective.evaluate(self.vectors(name))
        except NotFiniteError as error:
            raise DivergedError(f"validation of '{name}': the {error.what} is not finite; lower --learning-rate") from None
        shown = {key: metrics[key] for key in ("undefined", "loss", *all_metrics()) if key in metrics}
        for key, value in shown.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise DivergedError(f"validation of '{name}': {key} is {value}; lower --learning-rate")
        return shown


def has_validation(objective: Objective) -> bool:
    """Whether an objective has validation rows: none are held out with `--holdout 0`."""
    return len(objective.validation.lengths) > 0


@dataclass(frozen=True)
class Score:
    """The score of an evaluation (None: undefined, ranks as 0). Of equal scores, the one with the lower loss is better."""

    score: float | None
    loss: float

    def beats(self, other: Score) -> bool:
        return (self.score or 0.0, -self.loss) > (other.score or 0.0, -other.loss)

    def __str__(self) -> str:
        return "-" if self.score is None else f"{self.score:.3f}"


def rank(states: Sequence[TaskState], objectives: Mapping[str, Objective], select: str = "mean") -> Score:
    """The overall score of an evaluation: the `mean` or `min` of the main metrics of `objectives`, or the metric of the task
    named by `select`; its loss is the sum of their losses. States of other tasks are ignored. An undefined metric counts as 0,
    but the score is undefined if all metrics are.
    """
    counted = [state for state in states if state.task in (objectives if select in ("mean", "min") else (select,))]
    metrics = [state.validation[objectives[state.task].metric] for state in counted]
    scores = [metric or 0.0 for metric in metrics]
    score = min(scores) if select == "min" else sum(scores) / len(scores)
    undefined = all(metric is None for metric in metrics)
    return Score(None if undefined else score, sum(state.validation["loss"] or 0.0 for state in counted))


@dataclass(frozen=True)
class BestEpoch:
    """The best evaluation so far: its rank, a copy of the trained weights, and the main metric of each task."""

    rank: Score
    weights: dict[str, Tensor]
    scores: dict[str, float | None]


def judged(
    objective: HeadObjective, outputs: Array, rows: NDArray[np.int64] | None = None, labels: NDArray[Any] | None = None
) -> Iterator[RowsJudged]:
    """The event about rows that a head got right, from its outputs, (N, outputs); nothing for kinds without one class per row.

    Without `rows` and `labels`, of the validation rows; else of cross-validated ones."""
    true = objective.validation.labels if labels is None else labels
    hits = hits_of(objective.task.spec, outputs, true)
    if hits is not None:
        own = len(objective.task.train) + np.arange(len(true)) if rows is None else rows
        yield RowsJudged(objective.task.name, own, hits, rows is not None)


def score_interval(objective: HeadObjective, outputs: Array) -> ScoreInterval:
    """The event about the interval of a head's score on its validation rows, from its outputs for them, (N, outputs)."""
    spec = objective.task.spec.uncalibrated()  # scores are measured before a head is calibrated
    interval = main_interval(spec, outputs, objective.validation.labels)
    return ScoreInterval(objective.task.name, main_metric(spec), interval.ends if interval else None)


def trained_weights(model: MultiTaskModel, frozen_params: frozenset[str]) -> dict[str, Tensor]:
    """Copies of all weights except `frozen_params`, which never train."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if name not in frozen_params}
