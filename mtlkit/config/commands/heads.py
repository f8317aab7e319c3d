"""Options of `mtlkit heads`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.architecture import check_task_name
from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import OUTPUT, run_argument, runs_folder
from mtlkit.config.option import COMMON, option
from mtlkit.errors import UsageError


def parse_rename(text: str) -> tuple[str, str]:
    """`OLD=NEW`. Raises UsageError."""
    old, equals, new = text.partition("=")
    if not equals or not old:
        raise UsageError(f"--rename {text}: write OLD=NEW, such as topic=subject")
    return old, check_task_name(new)


def parse_take(text: str) -> tuple[str, str]:
    """`RUN:TASK`. Raises UsageError."""
    run, colon, task = text.rpartition(":")
    if not colon or not run or not task:
        raise UsageError(f"--take {text}: write RUN:TASK, such as runs/other:mood")
    return run, check_task_name(task)


@dataclass(frozen=True, kw_only=True)
class HeadsOptions(CheckedOptions):
    """Options of `mtlkit heads`."""

    run: str | None = run_argument("Folder of a run.")
    drop: list[str] = option([], "Leave a head out. Repeatable.", panel=COMMON, metavar="TASK", rank=1, complete="task")
    rename: list[str] = option(
        [],
        "Rename a head and its task. Repeatable.",
        panel=COMMON,
        metavar="OLD=NEW",
        rank=2,
        parse=parse_rename,
        complete="task",
    )
    take: list[str] = option(
        [],
        "Add a head of another run with the same backbone. Repeatable.",
        panel=COMMON,
        metavar="RUN:TASK",
        rank=3,
        parse=parse_take,
        complete="head",
    )
    out: Path | None = option(
        None, "Folder of the new run.", panel=COMMON, metavar="DIR", default_text="runs/heads", rank=4, complete="file"
    )
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace a run in --out.", panel=OUTPUT)
