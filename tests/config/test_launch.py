"""What launchers set for the processes of a training."""

from __future__ import annotations

import pytest

from mtlkit.config.launch import Launch, launched
from mtlkit.errors import UsageError

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}


def test_the_variables_of_torchrun_are_read() -> None:
    assert launched(TORCHRUN) == Launch(3, 4, 1, 4)
    assert not launched(TORCHRUN).is_main


def test_the_command_that_starts_as_many_processes() -> None:
    assert launched({}).command() == ["mtlkit"]
    assert launched(TORCHRUN).command() == ["torchrun", "--nproc-per-node", "4", "-m", "mtlkit"]
    two_machines = launched({**TORCHRUN, "LOCAL_WORLD_SIZE": "2"}).command()
    assert two_machines == ["torchrun", "--nnodes", "2", "--nproc-per-node", "2", "-m", "mtlkit"]


@pytest.mark.parametrize("values", [{}, {**TORCHRUN, "WORLD_SIZE": "1"}, {"RANK": "1", "WORLD_SIZE": "2"}])
def test_one_process_has_nothing_to_do_with_others(values: dict[str, str]) -> None:
    assert launched(values) == Launch(0, 1, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RANK": "x"}, "RANK='x'"),
        ({"RANK": "4"}, "RANK=4"),
        ({"LOCAL_RANK": ""}, "LOCAL_RANK is not"),
        ({"WORLD_SIZE": "-2"}, "-2"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        launched(TORCHRUN | changes)
