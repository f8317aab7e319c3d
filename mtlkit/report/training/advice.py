"""Advice after a training, on what was found in it: only what measurements of this project back, with their figures, or what the
run itself shows.

The figures are those of `examples/README.md` and `docs/results.md`; `tests/report/training/test_advice.py` looks them up there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtlkit.errors import counted, listed
from mtlkit.report.tables import points, unit_of
from mtlkit.report.text import one_line

MOST = 2  # lines of advice
FEW_PER_CLASS = 16  # training rows per class up to which `--few-shot` was measured
FEW_STEPS = 12
FAR_ABOVE = 2  # times the loss of guessing, from which a loss has exploded


def advice(
    options: Mapping[str, Any], data: Mapping[str, Any], metrics: Mapping[str, Any], classes: Mapping[str, int]
) -> list[str]:
    """At most two lines of advice, the most important first: from the options, data and metrics in the record of a run, and the
    number of classes of each task."""
    too_fast = [*_worse_than_start(options, data, metrics), *_exploded(options, metrics, classes)][:1]
    lines = [  # losses of old tasks and few steps tell nothing about a training that went wrong
        *(too_fast or _forgetting(options, data, metrics)),
        *_sharing(options, metrics),
        *_few_rows(options, data, classes),
        *(() if too_fast else _few_steps(metrics)),
    ]
    return lines[:MOST]


def _exploded(options: Mapping[str, Any], metrics: Mapping[str, Any], classes: Mapping[str, int]) -> Iterator[str]:
    """On tasks of classes whose loss is far above that of a head that predicts all classes alike."""
    scores = metrics.get("validation")
    for task, figures in scores.items() if isinstance(scores, dict) else ():
        loss, count = (figures.get("loss") if isinstance(figures, dict) else None), classes.get(task, 0)
        if isinstance(loss, (int, float)) and "accuracy" in figures and count > 1 and loss > FAR_ABOVE * math.log(count):
            guessing = f"its validation loss, {loss:.2f}, is far above that of guessing, {math.log(count):.2f}"
            yield f"{one_line(task).plain}: {guessing}: {_slower(options)}"


def _worse_than_start(options: Mapping[str, Any], data: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    """On a training of known tasks alone which the starting model was better at, beyond noise."""
    changes = {change["task"]: change for change in _list(metrics.get("forgetting"), "changes")}
    own = [task for task, about in data.items() if isinstance(about, dict) and not _kept(task, options, data)]
    if not own or any(task not in changes for task in own) or sum(_change(changes[task]) for task in own) >= 0:
        return
    worst = min((changes[task] for task in own), key=_change)
    if _high(worst) < 0:
        better = f"{points(-worst['change'])} {unit_of(worst['metric'])} better before this training"
        yield f"{one_line(worst['task']).plain}: the starting model was {better}: {_slower(options)}"


def _slower(options: Mapping[str, Any]) -> str:
    rate = options.get("learning_rate")
    return f"lower --learning-rate{f', which was {rate:g}' if isinstance(rate, (int, float)) else ''}"


def _forgetting(options: Mapping[str, Any], data: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    """On old tasks whose heads were kept and that lost beyond noise."""
    changes = _list(metrics.get("forgetting"), "changes")
    lost = sorted((one for one in changes if _high(one) < 0 and _kept(one["task"], options, data)), key=_change)
    if not lost:
        return
    most, others = lost[0], len(lost) - 1
    losses = f"{one_line(most['task']).plain} lost {points(-most['change'])} {unit_of(most['metric'])}"
    if others:
        losses += f", and {counted(others, 'other task')} lost less"
    if not any(str(guard).partition(":")[0] == "lwf" for guard in options.get("guard", ())):
        way = "--guard lwf kept old tasks within 0.6 points in our measurements; see docs/concepts/forgetting"
    else:
        way = "--adapter lora:8 --adapter-per task left old tasks unchanged in our measurements; see docs/concepts/adapters"
    yield f"{losses}: {way}"


def _kept(task: str, options: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Whether the head of a task stayed as it was: watched, or frozen. `--guard lwf` protects no others."""
    frozen = [item for text in options.get("freeze", ()) for item in str(text).split(",")]
    return bool(data.get(task, {}).get("watched")) or f"head:{task}" in frozen or "heads" in frozen


def _sharing(options: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    """On tasks that are worse together than alone, beyond noise."""
    worse = [
        f"{one_line(task['task']).plain} is {points(-task['difference'])} {unit_of(task['metric'])} worse than alone"
        for task in _list(metrics.get("sharing"), "tasks")
        if task.get("beyond_noise") and task["difference"] < 0
    ]
    if not worse:
        return
    if options.get("schedule") == "proportional":
        way = "--schedule round-robin had 61.7 % on the smallest task in our measurements, proportional 55.0 %; see examples"
    elif options.get("schedule") == "sequential":
        way = "--schedule round-robin had 83.1 % on the first task in our measurements, sequential 82.1 %; see examples"
    else:
        way = "no --schedule or --balance did better beyond noise in our measurements; see examples/README.md"
    yield f"{listed(worse)}: {way}"


def _few_rows(options: Mapping[str, Any], data: Mapping[str, Any], classes: Mapping[str, int]) -> Iterator[str]:
    """On heads of a frozen backbone with few rows per class."""
    if options.get("few_shot", True) or "backbone" not in options.get("freeze", ()) or options.get("adapter"):
        return
    few = []
    for task, count in classes.items():
        train = data.get(task, {}).get("train")
        if count > 1 and isinstance(train, dict) and train.get("rows", 0) <= FEW_PER_CLASS * count:
            few.append(one_line(task).plain)
    if few:
        yield (
            f"{listed(few)}: few rows per class; --few-shot was 9 points better than --freeze backbone on 8 rows per class in "
            "our measurements; see docs/results"
        )


def _few_steps(metrics: Mapping[str, Any]) -> Iterator[str]:
    """On a loss that was still falling at the end of a training of as few steps as were measured."""
    trends, step, epoch = (metrics.get(name) for name in ("loss_trends", "best_step", "best_epoch"))
    falling = [found for found in trends if found.get("trend") == "still learning"] if isinstance(trends, list) else []
    if not falling or not isinstance(step, int):
        return
    epochs = falling[0].get("epochs")
    steps = round(step * epochs / epoch) if isinstance(epochs, int) and isinstance(epoch, int) and epoch else step
    if steps <= FEW_STEPS:
        yield (
            f"{steps} steps are few: 60 (--min-steps 60) were 4.8 points better than 6 to {FEW_STEPS} in our measurements; see "
            "docs/results"
        )


def _list(report: Any, key: str) -> Sequence[Mapping[str, Any]]:
    values = report.get(key) if isinstance(report, dict) else None
    return [value for value in values or () if isinstance(value, dict)]


def _change(change: Mapping[str, Any]) -> float:
    """A change; 0 if it is undefined."""
    value = change.get("change")
    return float(value) if isinstance(value, (int, float)) else 0.0


def _high(change: Mapping[str, Any]) -> float:
    """The upper end of the interval of a change; 0 if that is unknown."""
    interval = change.get("interval")
    return float(interval[1]) if isinstance(interval, (list, tuple)) and len(interval) == 2 else 0.0
