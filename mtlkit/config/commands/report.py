"""Options of `mtlkit report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.common import OUTPUT, MachineOptions, run_argument, runs_folder
from mtlkit.config.option import COMMON, option


@dataclass(frozen=True, kw_only=True)
class ReportOptions(MachineOptions):
    """Options of `mtlkit report`."""

    run: str | None = run_argument("Folder of a run, also of one that is still training.")
    output: Path = option(
        Path("report.html"),
        "File to write: .html, one page that needs nothing else, or .md for a pull request.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=1,
        complete="file",
    )
    split: Literal["test", "validation", "none"] = option(
        "test", "Rows to evaluate the heads on; none leaves the evaluation out.", panel=COMMON, rank=2
    )
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)
