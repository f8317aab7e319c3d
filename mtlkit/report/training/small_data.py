"""Messages about few rows and few steps, and about what the losses say at the end of a training."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.errors import counted, listed
from mtlkit.report.tables import number
from mtlkit.training.validation.small_data import (
    EpochsLengthened,
    FewValidationRows,
    NotMeasured,
    Overfitted,
    SmallData,
    StillLearning,
)


def small_data_message(event: SmallData) -> str:
    """An event in one sentence."""
    match event:
        case FewValidationRows(rows, by):
            return few_rows_message(rows, by)
        case NotMeasured(names, keeps_last):
            kept = "the last epoch is kept, and " if keeps_last else ""
            missing = "there is no score, no calibration and no threshold for predict --reject"
            measure = "measure with mtlkit eval on other rows"
            return f"{listed(names)}: trained on all rows (--holdout 0), so {kept}{missing}; {measure}"
        case EpochsLengthened(epochs, planned, passes, steps):
            usual = f"{counted(epochs, 'epoch')} of one pass would be {counted(planned, 'step')}"
            return (
                f"{usual}; each epoch has {passes} times as many batches ({steps:,} steps in total); "
                "--min-steps 0 trains exactly --epochs"
            )
        case StillLearning(task, epochs, (before, after), steps):
            longer = f"--min-steps {2 * steps}" if steps else f"--epochs {2 * epochs}"
            fell = f"validation loss {number(before)} to {number(after)} in the last epoch"
            return f"{task}: the loss was still falling ({fell}); train longer with {longer}"
        case Overfitted(task, epoch, last, (low, high)):
            rose = f"validation loss rose from {number(low)} in epoch {epoch} to {number(high)} in epoch {last}"
            return f"{task}: {rose} while training loss fell (overfitting); more rows, fewer --epochs or --freeze can help"


def few_rows_message(rows: Mapping[str, int], by: tuple[str, ...]) -> str:
    """What is kept instead of the best-scoring epoch."""
    counts = listed(f"{name} {count:,}" for name, count in rows.items())
    if by:
        return f"too few validation rows to choose an epoch by ({counts}); it is chosen by {listed(by)}"
    only = counted(next(iter(rows.values())), "validation row") if len(rows) == 1 else f"few validation rows ({counts})"
    return f"only {only}: keeping the last epoch instead of the best-scoring one"
