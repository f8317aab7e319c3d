"""Trains linear heads on a frozen backbone without steps: each is solved to the optimum of its regularized loss."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtlkit.config.calibration import Calibration, FittedOn
from mtlkit.evaluation.intervals import Values, bootstrap_change
from mtlkit.evaluation.task_metrics import main_metric, measure_of, score
from mtlkit.inference.engine import Array
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.progress import count, counting
from mtlkit.runs.record import CROSS_VALIDATED
from mtlkit.seeding import generator
from mtlkit.tasks.base import kind_of
from mtlkit.tasks.convex import ConvexLoss
from mtlkit.training.calibrate import calibrate
from mtlkit.training.checkpointing import Saver
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.evaluator import Evaluator, rank
from mtlkit.training.events import Chosen, Epoch, Event, Forgetting, Parts, TaskState
from mtlkit.training.freezing.apply import FreezeProof, lr_scales_of
from mtlkit.training.freezing.features import CachedVectors
from mtlkit.training.incidents import CalibrationFitted, HeadSolved, ScopeFitted, StrengthTrial
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.objectives.router import take_router, teach_router
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.scope import SCOPES, Prototypes, draw_prototypes, scope_fitted, scoped, scopes_from, scopes_state
from mtlkit.training.setup import assign_roles, idle_heads, make_features
from mtlkit.training.solver.linear import Features, LinearFit, fit
from mtlkit.training.solver.strength import GRID, Choice, choose_strength, l2_of, not_cross_validated
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.train_state import TrainState

LARGE = 200_000_000  # numbers (rows x D x K) beyond which an iteration takes long
IN_FLOAT64 = 2**30  # bytes of vectors that are kept in float64; larger ones stay in float32


@dataclass(frozen=True)
class Rows:
    """The rows that a head is solved on: vectors (N, D), encoded labels, and how many of them were held out for validation."""

    vectors: NDArray[np.floating]
    labels: NDArray[Any]
    held_out: int

    def __len__(self) -> int:
        return len(self.labels)


class HeadSolver:
    """Solves the head of each task in turn, with the interface of `Trainer`.

    The strength of regularization is chosen by cross-validation on the training rows. The head is then fitted to all of them, and
    to the rows that were held out for validation, unless they are a split of the source. A solver that `resume`s a saved state
    continues with the next head; solving is deterministic, so that the heads are the same bit for bit. `steps` are those of a
    training of the backbone before it, after which its own are counted. With `strength`, that one is used, without
    cross-validation: for vectors that were trained on the labels of the rows, so that no row would be left out for real.
    """

    def __init__(
        self,
        plan: TrainPlan,
        model: MultiTaskModel,
        data: TrainData,
        cache: Path | None = None,
        *,
        steps: int = 0,
        strength: float | None = None,
    ) -> None:
        options = plan.options
        model.to(plan.compute.device)
        self.plan, self.model, self.data, self.cache = plan, model, data, cache
        self.roles = assign_roles(plan, data)
        self.router = take_router(model, list(self.roles.labelled), options.router)
        self.frozen_params = plan.freezing.always | idle_heads(model, self.roles.trained)
        scales = lr_scales_of(model, options.head_rate, options.layer_lr_decay)
        self.proof = FreezeProof(model, plan.freezing, self.frozen_params, options.learning_rate, scales)
        self.steps, self.strength = steps, strength
        self.state = TrainState(step=steps)
        self.solved: dict[str, HeadSolved] = {}
        self.calibrated: dict[str, CalibrationFitted] = {}
        self.scopes: dict[str, ScopeFitted] = {}
        self._resumed: StateDict | None = None

    @property
    def objectives(self) -> Mapping[str, Objective]:
        return self.data.objectives

    def resume(self, state: StateDict, *, extended: bool = False) -> None:
        """Continues from a saved state once `events` begins."""
        self._resumed = state

    def events(self, log: TextIO, saver: Saver | None = None) -> Iterator[Event]:
        """Solves all heads. Raises StoppedError after a signal."""
        began = time.monotonic()
        yield Parts(self.proof.parts(self.frozen_params))
        if self.router.dropped:
            yield self.router.dropped
        features = make_features(self.plan, self.model, self.roles, self.frozen_params, self.cache)
        if features.cached:
            yield features.cached
        self.log = MetricsLog(log)
        self.evaluator = Evaluator(self.model, self.roles.all, self.plan.compute, frozen=True)
        start_model = None
        if self.data.probe is not None:
            start_model = StartModel(self.model, self.roles.known, self.data.probe, self.evaluator)
        if self._resumed:
            self.load_state_dict(self._resumed)
        if saver:
            saver.after(self.state.step, self.state_dict)
        before = self.state.seconds
        for name, objective in self.roles.trained.items():
            if name in self.solved:
                continue
            assert isinstance(objective, HeadObjective)
            assert isinstance(features.source, CachedVectors)
            vectors = features.source.all_of(name, len(objective.task.train)).cpu().numpy()
            solved = self._solve(objective, self._rows(objective, vectors))
            self.solved[name] = solved
            self.state.step, self.state.seconds = self.steps + len(self.solved), before + time.monotonic() - began
            self.log.event(solved, self.state.step)
            yield solved
            if calibrated := self.calibrated.get(name):
                self.log.event(calibrated, self.state.step)
                yield calibrated
            if saver:
                saver.after(self.state.step, self.state_dict)
        if saver:
            saver.ended(self.state.step, self.state_dict)
        yield from self._finish(start_model)

    def _rows(self, objective: HeadObjective, vectors: NDArray[np.floating]) -> Rows:
        task = objective.task
        labels, held_out = task.train.labels, 0
        if task.held_out and task.name not in self.roles.known:  # a known head is compared with what it was on these rows
            held_out = len(task.validation)
            vectors = np.concatenate([vectors, self.evaluator.vectors(task.name).cpu().numpy()])
            labels = np.concatenate([labels, task.validation.labels])
        if 8 * vectors.size <= IN_FLOAT64:
            vectors = vectors.astype(np.float64)
        return Rows(vectors, labels, held_out)

    def _loss(self, objective: HeadObjective, labels: NDArray[Any]) -> ConvexLoss:
        spec = objective.task.spec
        kind, weights = kind_of(spec.kind), np.ones(len(labels))
        if spec.name in self.data.classes and (balanced := kind.class_weights(spec, labels)):  # --sampling balanced
            weights = np.array(balanced[0])[labels]
        loss = kind.convex_loss(spec, labels, objective.options, weights)
        assert loss is not None
        return loss

    def _solve(self, objective: HeadObjective, rows: Rows) -> HeadSolved:
        """Chooses the strength, fits the head, and puts the fit into the model."""
        spec, seed, began = objective.task.spec, self.plan.options.seed, time.monotonic()
        features, loss = Features(rows.vectors), self._loss(objective, rows.labels)
        strata = kind_of(spec.kind).strata(spec, rows.labels)
        with counting(f"fitting head:{spec.name}", "fitted", len(GRID), unit="strengths"):
            if self.strength is None:
                choice = choose_strength(features, loss, strata, spec.name, seed, lambda: count("fitted", 1))
            else:
                choice = not_cross_validated(loss, self.strength)
            compact, basis = features.rotated()
            start = choice.start if compact is features else None
            tolerance = 1e-12 if rows.vectors.size * loss.outputs < LARGE else 1e-8  # the rest changes no decision
            fitted = fit(compact, loss, l2_of(choice.c, features.variance, len(rows)), start, tolerance=tolerance)
        self._install(spec.name, LinearFit(basis @ fitted.weights, fitted.intercepts))
        metrics, interval = self._left_out(objective, rows, choice)
        return HeadSolved(
            task=spec.name,
            rows=len(rows),
            held_out=rows.held_out,
            c=choice.c,
            trials=tuple(StrengthTrial(trial.c, trial.loss, trial.error) for trial in choice.trials),
            folds=choice.folds,
            rounds=choice.rounds,
            tested=len(choice.rows),
            metric=main_metric(spec),
            metrics=metrics,
            interval=interval,
            iterations=fitted.iterations,
            converged=fitted.converged,
            seconds=round(time.monotonic() - began, 3),
        )

    @torch.no_grad()
    def _install(self, task: str, found: LinearFit) -> None:
        layer = self.model.head(task).layers[-1]
        assert isinstance(layer, nn.Linear)
        layer.weight.copy_(torch.from_numpy(found.weights.T))
        layer.bias.copy_(torch.from_numpy(found.intercepts))

    def _left_out(
        self, objective: HeadObjective, rows: Rows, choice: Choice
    ) -> tuple[dict[str, Any], tuple[float, float] | None]:
        """Calibrates the head on the rows that the folds left out. Their metrics, and the interval of the first; none without
        cross-validation."""
        spec, labels, validation = objective.task.spec.uncalibrated(), rows.labels[choice.rows], objective.validation
        outputs = in_units(choice.outputs, spec.center, spec.spread)
        if self.plan.options.calibrate != "none":
            held_out: tuple[Array, NDArray[Any], FittedOn] = (outputs, labels, "cross-validation")
            if not choice.folds:
                held_out = (objective.outputs(self.evaluator.vectors(spec.name)), validation.labels, "validation")
            if calibrated := calibrate(self.model, spec.name, *held_out):
                self.calibrated[spec.name] = calibrated
        if spec.name in scoped(self.plan, self.roles):
            self.scopes[spec.name] = self._scope(objective, rows, choice, outputs)
        if not choice.folds:
            return {}, None
        metrics = {"loss": objective.plain_loss(outputs, labels), **shown(score(spec, outputs, labels))}
        random = generator(self.plan.options.seed, "cross-validated", spec.name)
        interval = bootstrap_change(_nothing, measure_of(spec, outputs, labels), len(labels), random)
        return metrics, None if interval.to_json() is None else interval.ends

    def _scope(self, objective: HeadObjective, rows: Rows, choice: Choice, outputs: Array) -> ScopeFitted:
        """Prototypes of all rows; scores of the rows that the folds left out, or without folds, of the validation rows."""
        drawn = draw_prototypes(self.plan, self.roles, objective, rows.labels)
        prototypes = Prototypes(rows.vectors[drawn], rows.labels[drawn])
        own = np.full(len(rows), -1)
        own[drawn] = np.arange(len(drawn))
        if not choice.folds:
            vectors = self.evaluator.vectors(objective.task.name)
            held_out = own[len(rows) - rows.held_out :] if rows.held_out else None
            return scope_fitted(objective, prototypes, objective.outputs(vectors), vectors.cpu().numpy(), held_out)
        return scope_fitted(objective, prototypes, outputs, rows.vectors[choice.rows], own[choice.rows])

    def _finish(self, start_model: StartModel | None) -> Iterator[Event]:
        self.model.eval()
        self.evaluator.moved()
        yield Parts(self.proof.parts(self.frozen_params, final=True))
        yield from self.scopes.values()
        if self.router.wanted:
            yield teach_router(self.model, self.roles.labelled, self.plan.compute, self.plan.options.seed)
        states = tuple(self._state_of(name) for name in self.roles.all)
        scores = {state.task: state.validation[self.roles.all[state.task].metric] for state in states}
        ranked = rank(states, self.roles.trained, self.plan.options.select)
        epoch = Epoch(0, 0, states, ranked.score, best=True, step=self.state.step)
        self.log.evaluation(epoch, ends=False)
        if start_model:
            yield Forgetting(start_model.report(self.model, scores))
        yield Chosen(epoch)

    def _state_of(self, name: str) -> TaskState:
        """The metrics of a task: cross-validated where its validation rows were trained on."""
        objective, solved = self.roles.all[name], self.solved.get(name)
        cross_validated = solved is not None and solved.held_out > 0 and solved.folds > 0
        metrics = dict(solved.metrics) if solved and cross_validated else self.evaluator([name])[name]
        marked = {**metrics, CROSS_VALIDATED: True} if cross_validated else metrics
        texts = solved.rows if solved else 0
        return TaskState(name, objective.kind, None, marked, 0, 0, watched=solved is None, texts=texts, repeats=float(texts > 0))

    def state_dict(self) -> StateDict:
        """The heads that are solved, between two of them."""
        weights = {name: weight for name, weight in self.model.named_parameters() if name not in self.frozen_params}
        solved = {name: asdict(one) for name, one in self.solved.items()}
        found = {name: spec.calibration for name, spec in self.model.tasks.items() if name in self.solved}
        calibrations = {name: asdict(calibration) if calibration else None for name, calibration in found.items()}
        plain = {"solved": solved, "calibrations": calibrations}
        parts = {"trainer": self.state.state_dict(complete=False), "solver": StateDict(weights, plain)}
        return StateDict.join({**parts, SCOPES: scopes_state(self.scopes)})

    def load_state_dict(self, state: StateDict) -> None:
        self.state.load_state_dict(state.part("trainer"))
        solver = state.part("solver")
        self.solved = {name: HeadSolved.from_plain(one) for name, one in solver.plain["solved"].items()}
        copy_into(dict(self.model.named_parameters()), solver.tensors)
        if SCOPES in state.plain:  # not in earlier checkpoints
            self.scopes = scopes_from(state.part(SCOPES))
        for name, plain in solver.plain["calibrations"].items():
            head = self.model.head(name)
            calibration = Calibration(**{**plain, "thresholds": tuple(plain["thresholds"])}) if plain else None
            head.spec = replace(head.spec, calibration=calibration)


def is_solver_state(state: StateDict) -> bool:
    """Whether a `HeadSolver` saved this state, not a `Trainer`."""
    return "solver" in state.plain


def in_units(outputs: Values, center: float, spread: float) -> Array:
    """Outputs of a linear layer as the head gives them."""
    found: Array = (outputs * spread + center).astype(np.float32)
    return found


def shown(metrics: dict[str, Any]) -> dict[str, Any]:
    """Single figures alone."""
    return {name: value for name, value in metrics.items() if name == "undefined" or isinstance(value, float | None)}


def _nothing(counts: Values) -> Values:
    return np.zeros(len(counts))
