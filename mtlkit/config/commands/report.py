"""Options of `mtlkit report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.common import OUTPUT, MachineOptions, Split, run_argument, runs_folder, split_of_report
from mtlkit.config.inference import no_cache
from mtlkit.config.option import COMMON, option


@dataclass(frozen=True, kw_only=True)
class ReportOptions(MachineOptions):
    """Options of `mtlkit report`."""

    run: str | None = run_argument("Folder of a run, also of one that is still training.")
    others: list[str] = option(
        [],
        "More runs, which the page compares with the first.",
        panel=COMMON,
        positional=True,
        metavar="RUN...",
        complete="run",
    )
    output: Path | None = option(
        None,
        "File to write: .html, one page that needs nothing else, or .md for a pull request.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=1,
        default_text="report.html, or report.md with --format md",
        complete="file",
    )
    format: Literal["html", "md"] | None = option(
        None, "Form of the page.", panel=COMMON, rank=1, default_text="by the suffix of --output, else html"
    )
    pictures: Path | None = option(
        None,
        "Also write every chart of the page to a file in this folder, such as topic-confusion.svg.",
        metavar="DIR",
        panel=COMMON,
        rank=2,
    )
    picture_format: Literal["svg", "png", "pdf"] = option("svg", "Format of the files in --pictures.", panel=COMMON, rank=2)
    split: Split = split_of_report("Rows to evaluate the heads on; none leaves the evaluation out.")
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace --output, and files in --pictures.", panel=OUTPUT)
    no_cache: bool = no_cache()

    @property
    def page(self) -> Path:
        """The file of the page."""
        return self.output or Path(f"report.{self.format or 'html'}")
