"""Options of `mtlkit report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.common import OUTPUT, MachineOptions, Split, run_argument, runs_folder, split_of_report
from mtlkit.config.inference import no_cache
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
    split: Split = split_of_report("Rows to evaluate the heads on; none leaves the evaluation out.")
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)
    no_cache: bool = no_cache()
