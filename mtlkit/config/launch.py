"""The processes that a launcher such as torchrun starts for one training, as its environment variables describe them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from mtlkit.errors import UsageError, shorten


@dataclass(frozen=True)
class Launch:
    """This process among those of a training: its `rank` among all `size`, `local_rank` among the `local_size` on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.rank == 0

    def command(self) -> list[str]:
        """The words that start mtlkit in as many processes."""
        if self.size == 1:
            return ["mtlkit"]
        nodes = ["--nnodes", str(-(-self.size // self.local_size))] if self.local_size < self.size else []
        return ["torchrun", *nodes, "--nproc-per-node", str(self.local_size), "-m", "mtlkit"]


def launched(environment: Mapping[str, str] | None = None) -> Launch:
    """What torchrun and other launchers have set: RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR. One process if there is only one,
    or if no address says where they meet. Raises UsageError.
    """
    values = os.environ if environment is None else environment
    if "MASTER_ADDR" not in values or values.get("WORLD_SIZE", "1") == "1":
        return Launch()
    size = _number(values, "WORLD_SIZE")
    rank = _number(values, "RANK")
    if not 0 <= rank < size:
        raise UsageError(f"RANK={rank} is not one of the {size} processes of WORLD_SIZE; start them with torchrun")
    local_size = _number(values, "LOCAL_WORLD_SIZE") if "LOCAL_WORLD_SIZE" in values else size
    return Launch(rank, size, _number(values, "LOCAL_RANK"), max(1, local_size))


def _number(values: Mapping[str, str], name: str) -> int:
    text = values.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        shown = f"{name}={shorten(text)!r} is not a number" if text else f"WORLD_SIZE is set, and {name} is not"
        raise UsageError(f"{shown}; start the processes of a training with torchrun")
    return int(text)
