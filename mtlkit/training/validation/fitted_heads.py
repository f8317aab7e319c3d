"""What is fitted to trained weights on validation rows: the calibration and the scope of each head."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from mtlkit.config.architecture import TaskSpec
from mtlkit.inference.scope.scope import Scope
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import BestOfTask, Note
from mtlkit.training.freezing.features import FeatureSource
from mtlkit.training.head_incidents import CalibrationFitted, RowsJudged, ScopeFitted, ScoreInterval
from mtlkit.training.plan import TrainPlan
from mtlkit.training.setup import TaskRoles
from mtlkit.training.state_dict import copy_into
from mtlkit.training.validation.calibrate import calibrate_heads
from mtlkit.training.validation.evaluator import Evaluator, has_validation, judged, score_interval
from mtlkit.training.validation.scope import fit_scopes


@dataclass
class FittedHeads:
    """Fits heads to the weights that are in the model. `specs` and `scopes` are those of the last `fit`, by task."""

    plan: TrainPlan
    model: MultiTaskModel
    roles: TaskRoles
    evaluator: Evaluator
    source: FeatureSource

    def __post_init__(self) -> None:
        self.before = self.specs = self.model.tasks
        self.scopes: dict[str, Scope] = {}

    def fit(self) -> Iterator[CalibrationFitted | Note | RowsJudged | ScopeFitted]:
        """Calibrates the heads in the model, tells which validation rows they get right, and fits their scopes. The
        evaluator must know if weights have changed."""
        self._give(self.before)
        yield from calibrate_heads(self.plan, self.model, self.roles, self.evaluator.vectors)
        for name, objective in self.roles.labelled.items():
            if name in self.roles.trained and has_validation(objective):
                yield from judged(objective, objective.outputs(self.evaluator.vectors(name)))
        self.specs, self.scopes = self.model.tasks, {}
        for fitted in fit_scopes(self.plan, self.roles, self.evaluator, self.source):
            self.scopes[fitted.task] = fitted.scope
            yield fitted

    def intervals(self) -> Iterator[ScoreInterval]:
        """The intervals of the scores of all heads with validation rows."""
        for name, objective in self.roles.labelled.items():
            if has_validation(objective):
                yield score_interval(objective, objective.outputs(self.evaluator.vectors(name)))

    def with_bests(self, bests: Sequence[BestOfTask], step: int) -> tuple[BestOfTask, ...]:
        """The best evaluations of tasks with heads that are fitted to their weights, where these were kept. Those that are in the
        model, of `step`, are fitted already; they are in it again afterwards."""
        parameters = dict(self.model.named_parameters())
        specs, scopes = self.specs, self.scopes
        chosen: dict[str, Tensor] = {}
        fitted = []
        for best in bests:
            if best.weights is None:
                fitted.append(best)
                continue
            if best.step == step:
                fitted.append(replace(best, specs=specs, scopes=scopes))
                continue
            chosen = chosen or {name: parameters[name].detach().clone() for name in best.weights}
            copy_into(parameters, best.weights)
            self.evaluator.moved()
            deque(self.fit(), maxlen=0)
            fitted.append(replace(best, specs=self.specs, scopes=self.scopes))
        copy_into(parameters, chosen)
        self._give(specs)
        if chosen:
            self.evaluator.moved()
        self.specs, self.scopes = specs, scopes
        return tuple(fitted)

    def _give(self, specs: Mapping[str, TaskSpec]) -> None:
        for name, spec in specs.items():
            self.model.head(name).spec = spec
