"""What all processes of a training must have in common."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtlkit.errors import IntegrityError
from mtlkit.training.distributed.agreement import check_equal
from mtlkit.training.distributed.ranks import ALONE, Ranks


class WithOthers(Ranks):
    """Rank 0, whose value the others have, except those that `differ`."""

    size = 3

    def __init__(self, *differ: int) -> None:
        self.differ = differ

    def agreed(self, value: object) -> list[object]:  # type: ignore[override]
        return [f"not {value}" if rank in self.differ else value for rank in range(self.size)]


WEIGHTS: dict[str, Tensor] = {"weight": torch.ones(2)}


def test_ranks_with_other_weights_are_named() -> None:
    check_equal(ALONE, "at the end", WEIGHTS)
    check_equal(WithOthers(), "at the end", WEIGHTS)
    with pytest.raises(IntegrityError, match=r"1 rank \(2\) had other weights .* than rank 0 after step 7"):
        check_equal(WithOthers(2), "after step 7", WEIGHTS)
