"""Options of the commands that write a row for each text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import OUTPUT
from mtlkit.config.option import COMMON, option, whole
from mtlkit.errors import UsageError, shorten

PART_ROWS = 65536
PartFormat = Literal["parquet", "jsonl", "csv", "npy", "safetensors"]


@dataclass(frozen=True)
class Shard:
    """One of `count` equal shares of the work, from 0."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str) -> Shard | None:
    """The value of `--shard`; None for `auto`. Raises UsageError."""
    if text == "auto":
        return None
    index, _, count = text.partition("/")
    first, total = whole(index), whole(count, 1)
    if first is None or total is None:
        raise UsageError(f"--shard {shorten(text)!r} is not auto or I/N; use 0/4, 1/4, 2/4 and 3/4 for four processes")
    if first >= total:
        raise UsageError(f"--shard {shorten(text)}: shards are numbered from 0; use 0/{total} to {total - 1}/{total}")
    return Shard(first, total)


def shard_of(text: str | None, environment: Mapping[str, str]) -> Shard:
    """The shard of this process: what `--shard` says, with `auto` what the environment says; everything without it.

    `auto` reads SLURM_ARRAY_TASK_ID with the COUNT, MIN and STEP of the array, JOB_COMPLETION_INDEX with
    JOB_COMPLETION_COUNT, and RANK with WORLD_SIZE. Ranks within a task of an array share the work of that task. Raises
    UsageError.
    """
    if text is None:
        return Shard(0, 1)
    if (given := parse_shard(text)) is not None:
        return given
    levels = [shard for shard in (_slurm(environment), _kubernetes(environment), _ranks(environment)) if shard is not None]
    if not levels:
        raise UsageError(
            "--shard auto: none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and RANK is set; use --shard I/N, such as 0/4"
        )
    shard = Shard(0, 1)
    for level in levels:
        shard = Shard(shard.index * level.count + level.index, shard.count * level.count)
    return shard


def _slurm(environment: Mapping[str, str]) -> Shard | None:
    name = "SLURM_ARRAY_TASK"
    if f"{name}_ID" not in environment:
        return None
    task, count = _number(environment, f"{name}_ID"), _number(environment, f"{name}_COUNT", 1)
    first = _number(environment, f"{name}_MIN") if f"{name}_MIN" in environment else 0
    step = _number(environment, f"{name}_STEP", 1) if f"{name}_STEP" in environment else 1
    index, rest = divmod(task - first, step)
    if rest or not 0 <= index < count:
        raise UsageError(
            f"--shard auto: task {task} is not one of {count} tasks from {first} in steps of {step}; submit the array as "
            f"--array=0-{count - 1}, or use --shard I/N"
        )
    return Shard(index, count)


def _kubernetes(environment: Mapping[str, str]) -> Shard | None:
    if "JOB_COMPLETION_INDEX" not in environment:
        return None
    if "JOB_COMPLETION_COUNT" not in environment:
        raise UsageError(
            "--shard auto: JOB_COMPLETION_INDEX is set but not JOB_COMPLETION_COUNT, which Kubernetes does not set; set it to "
            "the job's completions, or use --shard I/N"
        )
    return _checked(environment, "JOB_COMPLETION_INDEX", "JOB_COMPLETION_COUNT")


def _ranks(environment: Mapping[str, str]) -> Shard | None:
    return _checked(environment, "RANK", "WORLD_SIZE") if "RANK" in environment and "WORLD_SIZE" in environment else None


def _checked(environment: Mapping[str, str], index: str, count: str) -> Shard:
    shard = Shard(_number(environment, index), _number(environment, count, 1))
    if shard.index >= shard.count:
        raise UsageError(f"--shard auto: {index} {shard.index} is not below {count} {shard.count}; use --shard I/N")
    return shard


def _number(environment: Mapping[str, str], name: str, least: int = 0) -> int:
    text = environment.get(name, "")
    value = whole(text, least)
    if value is None:
        raise UsageError(f"--shard auto: {name} is {shorten(text)!r}, not a whole number from {least}; use --shard I/N")
    return value


def parse_keep(text: str) -> tuple[str, ...]:
    """The columns of `--keep`. Raises UsageError for an empty or repeated name."""
    names = tuple(text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--keep {shorten(text)!r} names a column twice, or none; use the form id,title")
    return names


@dataclass(frozen=True, kw_only=True)
class OutputOptions(CheckedOptions):
    """Options of commands that write a row for each text."""

    output: Path | None = option(
        None,
        "Write to a file (.parquet, .jsonl, .csv; vectors also .npy, .safetensors), or to a folder or URL, in parts.",
        metavar="FILE|FOLDER",
        panel=COMMON,
        short="-o",
        rank=2,
        complete="file",
    )
    keep: str | None = option(
        None,
        "Columns of --input to write instead of the text, such as an id.",
        metavar="NAME,NAME",
        panel=OUTPUT,
        parse=parse_keep,
        default_text="the text",
    )
    resume: bool = option(False, "Continue an unfinished run of the same --output.", panel=OUTPUT)
    overwrite: bool = option(False, "Replace --output and discard unfinished parts of it.", panel=OUTPUT)
    shard: str | None = option(
        None,
        "Do one share of the work, from 0/N to N-1/N; auto asks Slurm, Kubernetes or torchrun which.",
        metavar="auto|I/N",
        panel=OUTPUT,
        parse=parse_shard,
        complete=("auto",),
        rank=1,
    )
    format: PartFormat | None = option(
        None, "Format of the parts in a folder.", panel=OUTPUT, default_text="parquet", rank=1, advanced=True
    )
    part_rows: int = option(PART_ROWS, "Rows per part in a folder.", panel=OUTPUT, metavar="N", minimum=1, rank=1, advanced=True)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of `--keep`."""
        return () if self.keep is None else parse_keep(self.keep)
