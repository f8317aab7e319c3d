"""Which share of the work a process does: from --shard, or from what starts it."""

from __future__ import annotations

import pytest

from mtlkit.config.outputs import OutputOptions, Shard, parse_shard, shard_of
from mtlkit.errors import UsageError

ARRAY = {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_STEP": "2"}


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        (None, {"RANK": "1", "WORLD_SIZE": "2"}, Shard(0, 1)),
        ("3/4", {"RANK": "1", "WORLD_SIZE": "2"}, Shard(3, 4)),
        ("auto", {"RANK": "1", "WORLD_SIZE": "2"}, Shard(1, 2)),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_ID": "5"}, Shard(2, 4)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"}, Shard(0, 1)),
        ("auto", {"JOB_COMPLETION_INDEX": "7", "JOB_COMPLETION_COUNT": "8"}, Shard(7, 8)),
        ("auto", {**ARRAY, "SLURM_ARRAY_TASK_ID": "7", "RANK": "1", "WORLD_SIZE": "2"}, Shard(7, 8)),
    ],
)
def test_the_shard_of_a_process(text: str | None, environment: dict[str, str], shard: Shard) -> None:
    assert shard_of(text, environment) == shard


@pytest.mark.parametrize("text", ["", "4", "1/", "/4", "-1/4", "1/0", "a/b", "1/4/2", "1.0/4"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not auto or I/N"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "none of SLURM_ARRAY_TASK_ID"),
        ({"RANK": "0"}, "none of"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "RANK 2 is not below WORLD_SIZE 2"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x'"),
        ({"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETION_COUNT"),
        ({**ARRAY, "SLURM_ARRAY_TASK_ID": "6"}, "task 6 is not one of 4 tasks from 1 in steps of 2"),
        ({"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3"}, "--array=0-1"),
    ],
)
def test_an_environment_that_does_not_say_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        shard_of("auto", environment)


def test_shards_are_numbered_from_0() -> None:
    with pytest.raises(UsageError, match="use 0/4 to 3/4"):
        parse_shard("4/4")


@pytest.mark.parametrize("keep", ["", "id,", "id,id"])
def test_kept_columns_have_names(keep: str) -> None:
    with pytest.raises(UsageError, match="--keep"):
        OutputOptions(keep=keep)
