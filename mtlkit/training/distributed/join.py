"""Connects the processes of a training. Without others, torch.distributed is not imported: not every build of torch has it."""

from __future__ import annotations

from mtlkit.config.common import Device
from mtlkit.config.launch import launched
from mtlkit.errors import UsageError
from mtlkit.training.distributed.ranks import ALONE, Ranks


def join_ranks(device: Device) -> Ranks:
    """Connects this process with the others of its training; ALONE if there are none. Raises UsageError, LostRankError."""
    launch = launched()
    if launch.size == 1:
        return ALONE
    try:
        from mtlkit.training.distributed.process_group import ProcessGroup, backend_of
    except ImportError:
        raise UsageError("this build of torch cannot train in several processes (torch.distributed is not available)") from None
    return ProcessGroup(launch, backend_of(device))
