"""Options of `mtlkit runs`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.common import OUTPUT, MachineOptions, Split, split_of_report
from mtlkit.config.inference import no_cache
from mtlkit.config.option import COMMON, option
from mtlkit.errors import UsageError

Sort = Literal["newest", "oldest", "name", "score", "size"]


@dataclass(frozen=True, kw_only=True)
class RunsOptions(MachineOptions):
    """Options of `mtlkit runs`."""

    folders: list[str] = option(
        [],
        "A folder with runs, to list them; or several runs, to compare them.",
        panel=COMMON,
        positional=True,
        metavar="DIR|RUN...",
        default_text="runs",
        complete="run",
    )
    sort: Sort = option("newest", "Order of the list; score is the mean over tasks, best first.", panel=COMMON, rank=1)
    split: Split = split_of_report("Rows for the paired tests of several runs; none leaves the tests out.")
    delete: list[str] = option(
        [],
        "Delete this run; repeatable. Refused if another run descends from it.",
        metavar="RUN",
        panel=OUTPUT,
        rank=1,
        complete="run",
    )
    keep: int | None = option(
        None,
        "Delete all runs of the folder but the N newest, and those that kept runs descend from.",
        metavar="N",
        minimum=0,
        panel=OUTPUT,
        rank=2,
    )
    yes: bool = option(False, "Delete without asking.", panel=OUTPUT, rank=3)
    no_cache: bool = no_cache()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delete and self.keep is not None:
            raise UsageError("--delete names runs to delete, and --keep chooses them; give one of them")
        if len(self.folders) > 1 and (self.delete or self.keep is not None):
            raise UsageError(f"{'--delete' if self.delete else '--keep'} works on one folder of runs; give at most one")
