"""Calibrates heads after a training, on rows that they were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import FittedOn
from mtlkit.errors import counted
from mtlkit.evaluation.calibration import calibration_error
from mtlkit.evaluation.metrics import Array
from mtlkit.evaluation.task_metrics import main_metric, score
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.tasks.base import kind_of
from mtlkit.training.events import Note
from mtlkit.training.head_incidents import CalibrationFitted
from mtlkit.training.plan import TrainPlan
from mtlkit.training.setup import TaskRoles
from mtlkit.training.validation.evaluator import has_validation

LEAST = 20  # rows: thresholds fitted on fewer are mostly noise
LEAST_TEMPERATURE = 5  # a temperature is one number, and held near 1 where rows are few


def calibrate(
    model: MultiTaskModel, task: str, outputs: Array, labels: Array, fitted_on: FittedOn
) -> CalibrationFitted | Note | None:
    """Calibrates the head of a task, so that the model is saved with its calibration. None for a kind of task without one; a
    message, and no calibration, on too few rows. A temperature that would make the log-loss of the rows worse, as it may
    where all are right, becomes 1.

    outputs: (N, outputs) of the head for rows that it was not trained on; out of fold with "cross-validation". labels: of these
    rows, as `encode_labels` gives them.
    """
    head = model.head(task)
    plain = head.spec.uncalibrated()
    fitted = kind_of(plain.kind).fit_calibration(plain, outputs, labels)
    if fitted is None:
        return None
    least = LEAST if fitted.method == "thresholds" else min(LEAST, LEAST_TEMPERATURE)
    if len(labels) < least:
        rows = counted(len(labels), "row")
        return Note(f"{task}: not calibrated, as {rows} that it was not trained on are too few ({least} at least)")
    fitted = replace(fitted, fitted_on=fitted_on)
    before, after = (figures(spec, outputs, labels) for spec in (plain, replace(plain, calibration=fitted)))
    if fitted.method == "temperature" and (after["log_loss"] or 0.0) > (before["log_loss"] or 0.0):
        fitted, after = replace(fitted, temperature=1.0), before
    head.spec = replace(plain, calibration=fitted)
    return CalibrationFitted(task, fitted.method, fitted_on, fitted.rows, fitted.temperature, fitted.thresholds, before, after)


def figures(spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, float | None]:
    """The main metric, the log-loss and the expected calibration error of a head on N rows."""
    metric = main_metric(spec)
    values = {metric: score(spec, outputs, labels)[metric]}
    forecast = kind_of(spec.kind).forecast(spec, outputs, labels)
    if forecast is not None:
        values |= {"log_loss": float(forecast.log_loss.mean()), "calibration_error": calibration_error(forecast)}
    return values


def calibrate_heads(
    plan: TrainPlan, model: MultiTaskModel, roles: TaskRoles, vectors: Callable[[str], Tensor]
) -> Iterator[CalibrationFitted | Note]:
    """Calibrates every trained head on its validation rows; `vectors` gives those of a task, (N, D). Nothing with `--calibrate
    none`."""
    if plan.options.calibrate == "none":
        return
    for name, objective in roles.labelled.items():
        if name in roles.trained and has_validation(objective):
            fitted = calibrate(model, name, objective.outputs(vectors(name)), objective.validation.labels, "validation")
            if fitted is not None:
                yield fitted
