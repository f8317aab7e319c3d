"""Messages for the events of a training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mtlkit.errors import counted, listed
from mtlkit.report.tables import metric_title, number
from mtlkit.report.training.small_data import small_data_message
from mtlkit.training.events import Event, Note
from mtlkit.training.head_incidents import CalibrationFitted, HeadSolved, ScopeFitted, WordsCompared
from mtlkit.training.incidents import (
    EpochPlanned,
    FeaturesCached,
    FreezeChanged,
    LimitExceeded,
    PhaseEnded,
    Refitted,
    RouterDropped,
    RouterTrained,
    RowsSeen,
    StepSkipped,
    StopReason,
    TaskStopped,
    TrainingStopped,
)
from mtlkit.training.validation.small_data import EpochsLengthened, FewValidationRows, NotMeasured, Overfitted, StillLearning


@dataclass(frozen=True)
class Message:
    """A message for the user. A `warning` needs attention; a `detail` is shown only with `--verbose`."""

    text: str
    warning: bool = False
    detail: bool = False


def training_messages(event: Event) -> Iterator[Message]:
    """The messages for an event; none for events that are shown as tables or progress."""
    match event:
        case Note(text, warning, detail):
            yield Message(text, warning, detail)
        case EpochPlanned(steps, batches, passes):
            tasks = (f"{name} {count:,} batches ({passes_text(f'{passes[name]:.2g}')})" for name, count in batches.items())
            yield Message(f"{steps:,} steps per epoch: {', '.join(tasks)}", detail=True)
        case FeaturesCached():
            yield Message(cache_message(event))
        case RouterDropped(old, new, replaced):
            known = (
                f"the starting model's router distinguishes {listed(old)}, but this training has {listed(new) or 'none of them'}"
            )
            way = "training a new one" if replaced else "dropping it; --router trains a new one"
            yield Message(f"{known}; {way}", warning=True)
        case RouterTrained(accuracy) if not accuracy:
            yield Message("trained a router; its accuracy is unknown, as no rows are held out")
        case RouterTrained(accuracy):
            mean = sum(accuracy.values()) / len(accuracy)
            shares = listed(f"{name} {share:.1%}" for name, share in accuracy.items())
            yield Message(f"the router recognises the task of {mean:.1%} of validation texts ({shares})")
        case FreezeChanged(step, thawed, frozen):
            for verb, parts in (("training", thawed), ("freezing", frozen)):
                if parts:
                    yield Message(f"from step {step}: {verb} {listed(parts)}")
        case FewValidationRows() | NotMeasured() | EpochsLengthened() | StillLearning() | Overfitted():
            yield Message(small_data_message(event), warning=isinstance(event, StillLearning | Overfitted | NotMeasured))
        case HeadSolved():
            yield from solved_messages(event)
        case WordsCompared():
            yield Message(words_message(event), warning=event.better, detail=not event.better)
        case Refitted():
            counts = ((name, count, event.given_back[name]) for name, count in event.rows.items())
            rows = listed(f"{name} {count:,} ({given_back:,} held out before)" for name, count, given_back in counts)
            yield Message(
                f"trained again on all rows: {rows}, to epoch {event.epoch} in {event.steps:,} steps; scores and calibration are "
                "those measured on held-out rows before"
            )
        case PhaseEnded(ended, follows, steps, metrics):
            reached = f"held-out perplexity {number(metrics.get('perplexity'), 2)}"
            yield Message(f"{ended}: {reached}; the last {counted(steps, 'step')}: {follows}, with bidirectional attention")
        case StepSkipped(step, spike, total):
            so_far = f"; {total:,} steps skipped so far" if total > 1 else ""
            yield Message(f"skipped step {step}: {spike or 'gradient not finite'}{so_far}", warning=True)
        case TaskStopped(task, _, score, best_epoch):
            yield Message(f"{task} stops training: best score {number(score)} was in epoch {best_epoch}")
        case TrainingStopped(reason, epochs):
            yield stop_message(reason, epochs)
        case LimitExceeded(task, points, allowed, kept):
            weights = f"step {kept}, the last within the limit" if kept else "the start, as no step was within the limit"
            fell = f"{task} fell {points:.1f} points below the starting model, more than --max-forgetting {allowed:g}"
            yield Message(f"{fell}; stopped, keeping the weights of {weights}", warning=True)
        case ScopeFitted():
            vectors = f"{event.prototypes:,} training vectors kept for predict --reject"
            yield Message(f"{event.task}: {vectors}, thresholds from {event.rows:,} rows", detail=True)
        case CalibrationFitted():
            yield Message(calibration_message(event))
        case RowsSeen():
            yield from coverage_messages(event)


def cache_message(event: FeaturesCached) -> str:
    """The message about cached outputs of frozen layers."""
    size = f"{event.size / 1e6:,.1f} MB"
    reused = f" ({event.reused:,} texts were cached already)" if event.reused else ""
    location = f"{size}{', partly' if event.partly else ''} in {event.folder}{reused}" if event.folder else f"{size} in memory"
    if event.depth is not None:
        return f"ran the frozen layers up to layers:{event.depth - 1} once on {event.texts:,} texts; cached {location}"
    cached = f"; cached {location}" if event.folder else ""
    return f"encoded {event.texts:,} texts once, as the backbone is frozen; training heads on cached vectors{cached}"


def calibration_message(event: CalibrationFitted) -> str:
    """The calibration of a head: the method, the rows it was fitted on, and the change of the metrics on these."""
    held_out = event.fitted_on == "validation"
    rows = counted(event.rows, "validation row") if held_out else f"{counted(event.rows, 'row')} by cross-validation"
    before, after = event.before, event.after
    if event.method == "thresholds":
        metric = next(iter(before))
        values = f"thresholds {min(event.thresholds):.2f} to {max(event.thresholds):.2f}"
        return (
            f"{event.task}: {values} fitted on {rows}: {metric_title(metric)} {number(before[metric])} -> {number(after[metric])}"
        )
    errors = (100 * (figures["calibration_error"] or 0.0) for figures in (before, after))
    error = "expected calibration error {:.1f} -> {:.1f} points".format(*errors)
    losses = f"log-loss {number(before['log_loss'])} -> {number(after['log_loss'])}"
    return f"{event.task}: calibrated on {rows}: temperature {event.temperature:.3g}, {losses}, {error}"


def solved_messages(event: HeadSolved) -> Iterator[Message]:
    """How a head was solved: the strength, what cross-validation says of it, and what it was fitted to."""
    for trial in event.trials:
        chosen = "  chosen" if trial.c == event.c else ""
        yield Message(f"{event.task}: C {trial.c:.4g}  loss {trial.loss:.4f} ± {trial.error:.4f}{chosen}", detail=True)
    fitted = f"fitted to all {event.rows:,} rows" if event.held_out else f"fitted to {event.rows:,} rows"
    end = "" if event.converged else f", stopped after {event.iterations} iterations"
    if not event.folds:
        yield Message(f"{event.task}: C {event.c:.3g}, not cross-validated; {fitted}{end}")
        return
    metric = metric_title(event.metric)
    figure = number(event.metrics[event.metric], 4)
    interval = f" (95 %: {number(event.interval[0])} to {number(event.interval[1])})" if event.interval else ""
    rounds = f", {event.rounds} times" if event.rounds > 1 else ""
    on = f" on {event.tested:,} rows" if event.tested < event.rows else ""
    yield Message(
        f"{event.task}: cross-validated {metric} {figure}{interval}, loss {number(event.metrics['loss'])} "
        f"({event.folds} folds{rounds}{on}, C {event.c:.3g}); {fitted}{end}"
    )


def words_message(event: WordsCompared) -> str:
    """The accuracies of a head and of a bag of words, and what their difference says."""
    low, high = event.interval
    rows = f"{event.rows:,} {'rows by cross-validation' if event.cross_validated else 'validation rows'}"
    figures = f"{number(event.words)} against {number(event.head)} on {rows} (difference 95 %: {number(low)} to {number(high)})"
    words = f"{event.task}: a bag of words (TF-IDF and logistic regression)"
    if event.better:
        return f"{words} does better: accuracy {figures}; another --init, --few-shot or more rows can help"
    return f"{words} {'does worse' if high < 0 else 'is not distinguishable from the head'}: accuracy {figures}"


def stop_message(reason: StopReason, epochs: int) -> Message:
    """The message on why a training ends early."""
    if reason == "patience":
        return Message(f"stopped: no better score in {epochs} epochs")
    if reason == "no task left":
        return Message("stopped: no task is left to train")
    return Message("nothing to train: every task had stopped before", warning=True)


def passes_text(number: str) -> str:
    """`1 pass`, `1.0 passes`, `2.5 passes`."""
    return f"{number} {'pass' if number == '1' else 'passes'}"


def coverage_messages(event: RowsSeen) -> Iterator[Message]:
    """Messages on how much of each task was trained on, including rows that were never seen."""
    words = (f"{name} {seen.texts:,} ({passes_text(f'{seen.repeats:.1f}')})" for name, seen in event.tasks.items())
    unseen = [f"{name} {seen.unseen:,} of {seen.rows:,}" for name, seen in event.tasks.items() if seen.unseen]
    never = f"; rows never seen: {', '.join(unseen)}" if unseen else ""
    yield Message(f"texts trained on: {', '.join(words)}{never}", detail=not unseen)
    for name, seen in event.tasks.items():
        if seen.untaught:
            yield Message(
                f"{name}: {seen.untaught:,} of {seen.texts:,} texts had nothing to compare with in their batch and taught "
                "nothing; larger batches (--batch-tokens) or fewer equal texts help",
                warning=True,
            )
