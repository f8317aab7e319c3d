"""The default output of a training: a line per epoch and task, aligned below one header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

from rich.text import Text

from mtlkit.report.tables import metric_names, metric_title, number, reasons
from mtlkit.report.text import literal, one_line
from mtlkit.training.events import Epoch, Part, TaskState

LEAST_NAME, MOST_NAME = 6, 24  # columns for the name of a task
GAP = "  "


class EpochLines:
    """Formats evaluations as lines of at most `width` columns. The header is repeated if the columns change."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._columns: list[tuple[str, int]] = []

    def reset(self) -> None:
        """Makes the next lines start with a header, as another training begins."""
        self._columns = []

    def lines(self, epoch: Epoch) -> list[Text]:
        """A line per task, then warnings."""
        metrics = metric_names(epoch.tasks)
        several = sum(not state.watched for state in epoch.tasks) > 1
        titles = ["train loss", "val loss", *map(metric_title, metrics), *(["score"] if several else [])]
        columns = self._laid_out(epoch, titles)
        lines = []
        if columns != self._columns:
            self._columns = columns
            lines.append(literal(_row(columns, [title for title, _ in columns]), "bold"))
        for index, state in enumerate(epoch.tasks):
            last = index == len(epoch.tasks) - 1
            cells = [epoch_name(epoch), one_line(state.task).plain, *_figures(state, metrics)]
            cells += [number(epoch.score) if last else ""] if several else []
            lines.append(literal(_row(columns, cells)).append(mark(epoch) if last else "", "green"))
        return [*lines, *attention(epoch.tasks)]

    def _laid_out(self, epoch: Epoch, titles: Sequence[str]) -> list[tuple[str, int]]:
        figures = [(title, max(len(title), 6)) for title in titles]
        first = max(len("epoch"), len(f"{epoch.epochs}/{epoch.epochs}"), len("start"))
        other_columns = first + sum(len(GAP) + width for _, width in figures) + len("  best")
        longest = max(one_line(state.task).cell_len for state in epoch.tasks)
        available = max(LEAST_NAME, min(MOST_NAME, self.width - other_columns - len(GAP)))
        return [("epoch", first), ("task", max(len("task"), min(longest, available))), *figures]


def _row(columns: Sequence[tuple[str, int]], cells: Sequence[str]) -> str:
    """A line with names aligned left and figures aligned right. A name that is too long is truncated, figures never are."""
    (_, first), (_, name), *figures = columns
    task = Text(cells[1])
    task.truncate(name, overflow="ellipsis", pad=True)
    rest = (f"{cell:>{width}}" for cell, (_, width) in zip(cells[2:], figures, strict=True))
    return GAP.join([f"{cells[0]:<{first}}", task.plain, *rest]).rstrip()


def mark(epoch: Epoch) -> str:
    """Whether the weights of an epoch are the best ones, or kept because they are the last."""
    if epoch.keeps_last:
        return "  kept" if epoch.epoch == epoch.epochs and not epoch.place else ""
    return "  best" if epoch.best else ""


def epoch_name(epoch: Epoch) -> str:
    """`start`, `2/6`, or the step of an evaluation within an epoch."""
    if epoch.place:
        return f"@{epoch.step}"
    return f"{epoch.epoch}/{epoch.epochs}" if epoch.epoch else "start"


def _figures(state: TaskState, metrics: Sequence[str]) -> list[str]:
    train = "watched" if state.watched and state.train_loss is None else number(state.train_loss)
    return [train, *(number(state.validation.get(name)) for name in ("loss", *metrics))]


def attention(states: Sequence[TaskState]) -> list[Text]:
    """Warnings about texts without negatives and undefined metrics."""
    lines = []
    for state in states:
        name = one_line(state.task).plain
        if state.untaught:
            lines.append(f"{name}: {state.untaught:,} of {state.texts:,} texts had nothing to compare with in their batch")
        lines += [f"{name}: {reason}" for reason in reasons(state.validation)]
    return [literal(line, "yellow") for line in lines]


def pretraining_line(epoch: int, epochs: int, objective: str, losses: Sequence[float]) -> str:
    """A line for an epoch of pretraining, with the mean loss and perplexity of its objective."""
    width, loss = len(str(epochs)), sum(losses) / len(losses)
    return f"epoch {epoch:>{width}}/{epochs}  {objective}  train loss {loss:.3f}  perplexity {exp(min(50.0, loss)):,.1f}"


def loss_words(losses: Mapping[str, float]) -> list[str]:
    """Each loss with its name, for a progress line."""
    return [f"{one_line(name).plain} loss {value:.3f}" for name, value in losses.items()]


def parts_in_words(parts: Sequence[Part]) -> str:
    """Before training, how much of the model trains; after it, which parts are proven unchanged (empty if none)."""
    if any(part.after for part in parts):
        same = [part.name for part in parts if part.after is not None and part.after == part.before]
        return f"frozen and unchanged (same SHA-256): {', '.join(same)}" if same else ""
    trainable, total = sum(part.trainable for part in parts), sum(part.parameters for part in parts)
    words = [f"training {trainable:,} of {total:,} parameters"]
    if frozen := [part.name for part in parts if not part.trainable and part.parameters]:
        words.append(f"frozen: {', '.join(frozen)}")
    if partly := [part.name for part in parts if 0 < part.trainable < part.parameters]:
        words.append(f"partly frozen: {', '.join(partly)}")
    return "; ".join(words)
