"""What a page needs of a run's log."""

from __future__ import annotations

from pathlib import Path

from mtlkit.report.log_reader import read_curves
from mtlkit.report.page.content import Logged
from mtlkit.report.step_log import read_steps
from mtlkit.runs.record import log_of


def log_facts(folder: Path) -> Logged | None:
    """What the log of a run holds, finished or not; None without a log."""
    log = log_of(folder)
    return None if log is None else Logged(read_curves(log), *read_steps(log))
