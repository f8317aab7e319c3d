"""`report --pictures`: writes every chart of a page as a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mtlkit.config.commands.report import ReportOptions
from mtlkit.errors import UsageError, listed
from mtlkit.report.page.chart import Chart
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.overlap import check_not_in_model

FLAG = "--pictures"
MOST_SHOWN = 4  # names of files in a message


def check_folder(options: ReportOptions) -> None:
    """Raises UsageError if pictures must not or cannot be written to the folder. Call it before any work."""
    folder = options.pictures
    if folder is None:
        return
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{FLAG} {folder} is a file; specify a folder")
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.is_dir())
    if not os.access(existing, os.W_OK):
        raise UsageError(f"cannot write to {FLAG} {folder}; specify a folder that you may write to")
    check_not_in_model(folder / "overview.svg", FLAG)


def write_pictures(options: ReportOptions, charts: Sequence[Chart]) -> list[Path]:
    """Writes the charts and returns their paths. Files with other names are not touched. Raises UsageError if one exists, unless
    it may be replaced; SavingError."""
    folder = options.pictures
    assert folder is not None
    paths = {folder / f"{chart.name}.{options.picture_format}": chart for chart in charts}
    check_folder(options)
    taken = [path.name for path in paths if os.path.lexists(path) and (not options.overwrite or not path.is_file())]
    if taken:
        raise UsageError(
            f"{FLAG} {folder} has {listed(taken, MOST_SHOWN)} already; replace with --overwrite, or specify another folder"
        )
    for path, chart in paths.items():
        content = chart.bytes(options.picture_format)
        with saving(path):
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(path.resolve()) as file:
                file.write(content)
    return list(paths)
