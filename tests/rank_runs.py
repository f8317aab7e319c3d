"""Trainings in several processes with the environment that torchrun gives each, but forked, which is ten times faster."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from forks import Child, Forks


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def environment_of(rank: int, size: int, port: int) -> dict[str, str]:
    """What torchrun sets for a process."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    return {"MASTER_ADDR": "127.0.0.1", **{name: str(number) for name, number in numbers.items()}}


def start_ranks(forks: Forks, size: int, *arguments: object, cwd: Path | None = None) -> list[Child]:
    """Starts a command in so many processes that train together."""
    port = free_port()
    return [forks.start(*arguments, cwd=cwd, environment=environment_of(rank, size, port)) for rank in range(size)]


def ended(ranks: Sequence[Child]) -> list[int]:
    """Waits for all of them, and returns their exit codes."""
    return [rank.wait() for rank in ranks]
