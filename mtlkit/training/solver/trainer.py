"""Trains linear heads on a frozen backbone without steps: each is solved to the optimum of its regularized loss."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.calibration import Calibration, FittedOn
from mtlkit.inference.engines.base import Array
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs.record import CROSS_VALIDATED, NOT_MEASURED, TRAINED_ON
from mtlkit.training.checkpointing import Saver
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.events import Chosen, Epoch, Event, Forgetting, Note, Parts, TaskState
from mtlkit.training.freezing.apply import FreezeProof, lr_scales_of
from mtlkit.training.freezing.features import CachedVectors
from mtlkit.training.head_incidents import CalibrationFitted, HeadSolved, RowsJudged, ScopeFitted, ScoreInterval
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.objectives.router import routed, take_router, teach_router
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.setup import assign_roles, idle_weights, make_features
from mtlkit.training.solver.head import HeadRows, join_rows, solve_head
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.train_state import TrainState
from mtlkit.training.validation.calibrate import calibrate
from mtlkit.training.validation.evaluator import Evaluator, has_validation, judged, rank, score_interval
from mtlkit.training.validation.scope import SCOPES, Prototypes, draw_prototypes, scope_fitted, scoped, scopes_from, scopes_state
from mtlkit.training.validation.small_data import NotMeasured


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
        self.router = take_router(model, list(routed(self.roles.labelled)), options.router)
        self.frozen_params = plan.freezing.always | idle_weights(plan, model, self.roles.trained)
        scales = lr_scales_of(model, options.head_rate, options.layer_lr_decay)
        self.proof = FreezeProof(model, plan.freezing, self.frozen_params, plan.learning_rate, scales)
        self.steps, self.strength = steps, strength
        self.state = TrainState(step=steps)
        self.solved: dict[str, HeadSolved] = {}
        self.calibrated: dict[str, CalibrationFitted | Note] = {}
        self.scopes: dict[str, ScopeFitted] = {}
        self.judged: list[RowsJudged] = []
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
        self.evaluator = Evaluator(self.model, self.roles.all, self.plan.compute, frozen=True, ranks=self.plan.ranks)
        start_model = None
        if self.data.probe is not None:
            start_model = StartModel(self.model, self._compared(), self.data.probe, self.evaluator, self.data.old_rows)
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
            vectors = features.source.all_of(name).cpu().numpy()
            solved = self._solve(objective, vectors)
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

    def _compared(self) -> dict[str, HeadObjective]:
        """The existing heads that are compared with what they were: not those that are fitted to all rows."""
        refitted = {name for name in self.roles.trained if self.plan.options.refit and self.roles.labelled[name].task.held_out}
        return {name: objective for name, objective in self.roles.known.items() if name not in refitted}

    def _solve(self, objective: HeadObjective, vectors: NDArray[np.floating]) -> HeadSolved:
        """Solves a head from the vectors of its training rows, (N, D); calibrates it and fits its scope on left-out rows."""
        task, options = objective.task, self.plan.options
        # a known head is compared with what it was on the validation rows, so that it is fitted to them only if asked for
        joins = task.held_out and has_validation(objective) and (task.name not in self.roles.known or options.refit)
        held_out = self.evaluator.vectors(task.name).cpu().numpy() if joins else None
        rows = join_rows(objective, vectors, held_out)
        balanced = task.name in self.data.classes
        solved = solve_head(objective, rows, options.seed, balanced=balanced, strength=self.strength)
        outputs, labels = solved.outputs, rows.labels[solved.left_out]
        fitted_on: FittedOn = "cross-validation" if solved.cross_validated else "validation"
        if not len(labels) and has_validation(objective):
            outputs, labels = objective.outputs(self.evaluator.vectors(task.name)), objective.validation.labels
        if not len(labels):
            return solved.event
        if not len(solved.left_out):
            self.judged += judged(objective, outputs)
        elif solved.cross_validated:
            self.judged += judged(objective, outputs, solved.left_out, labels)
        if options.calibrate != "none" and (calibrated := calibrate(self.model, task.name, outputs, labels, fitted_on)):
            self.calibrated[task.name] = calibrated
        if task.name in scoped(self.plan, self.roles):
            self.scopes[task.name] = self._scope(objective, rows, solved.left_out, outputs)
        return solved.event

    def _scope(self, objective: HeadObjective, rows: HeadRows, left_out: NDArray[np.int64], outputs: Array) -> ScopeFitted:
        """Prototypes of all rows; scores of the left-out rows, or without any, of the validation rows."""
        drawn = draw_prototypes(self.plan, self.roles, objective, rows.labels)
        prototypes = Prototypes(rows.vectors[drawn], rows.labels[drawn])
        if not len(left_out):
            return scope_fitted(objective, prototypes, outputs, self.evaluator.vectors(objective.task.name).cpu().numpy(), None)
        own = np.full(len(rows), -1)
        own[drawn] = np.arange(len(drawn))
        return scope_fitted(objective, prototypes, outputs, rows.vectors[left_out], own[left_out])

    def _finish(self, start_model: StartModel | None) -> Iterator[Event]:
        self.model.eval()
        self.evaluator.moved()
        yield Parts(self.proof.parts(self.frozen_params, final=True), final=True)
        yield from self.scopes.values()
        yield from self.judged
        yield from self._intervals()
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
        if names := tuple(state.task for state in states if state.validation.get(NOT_MEASURED)):
            yield NotMeasured(names, keeps_last=False)

    def _cross_validated(self, name: str) -> bool:
        """Whether the score of a task is cross-validated: its validation rows were trained on, or it has none."""
        solved = self.solved.get(name)
        return solved is not None and solved.folds > 0 and (solved.held_out > 0 or not has_validation(self.roles.all[name]))

    def _intervals(self) -> Iterator[ScoreInterval]:
        for name, objective in self.roles.labelled.items():
            if self._cross_validated(name):
                solved = self.solved[name]
                yield ScoreInterval(name, solved.metric, solved.interval, cross_validated=True)
            elif has_validation(objective):
                yield score_interval(objective, objective.outputs(self.evaluator.vectors(name)))

    def _state_of(self, name: str) -> TaskState:
        """The metrics of a task: cross-validated where its validation rows were trained on, or it has none."""
        objective, solved = self.roles.all[name], self.solved.get(name)
        if solved and self._cross_validated(name):
            marked = {**solved.metrics, CROSS_VALIDATED: True}
        else:
            marked = self.evaluator([name])[name] | ({TRAINED_ON: True} if solved and solved.held_out else {})
        texts = solved.rows if solved else 0
        return TaskState(name, objective.kind, None, marked, 0, 0, watched=solved is None, texts=texts, repeats=float(texts > 0))

    def state_dict(self) -> StateDict:
        """The heads that are solved, between two of them."""
        weights = {name: weight for name, weight in self.model.named_parameters() if name not in self.frozen_params}
        solved = {name: asdict(event) for name, event in self.solved.items()}
        found = {name: spec.calibration for name, spec in self.model.tasks.items() if name in self.solved}
        calibrations = {name: asdict(calibration) if calibration else None for name, calibration in found.items()}
        plain = {"solved": solved, "calibrations": calibrations}
        parts = {"trainer": self.state.state_dict(complete=False), "solver": StateDict(weights, plain)}
        return StateDict.join({**parts, SCOPES: scopes_state(self.scopes)})

    def load_state_dict(self, state: StateDict) -> None:
        self.state.load_state_dict(state.part("trainer"))
        solver = state.part("solver")
        self.solved = {name: HeadSolved.from_plain(event) for name, event in solver.plain["solved"].items()}
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
