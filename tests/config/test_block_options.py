from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.errors import UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotary_base": 0.5}, r"rotary_base 0\.5 is out of range"),
        ({"rotary_base": 1e4, "rotary_scale": float("inf")}, "rotary_scale inf is out of range"),
        ({"kv_heads": 3}, "attention heads, 4, is not a multiple of that of keys and values, 3"),
        ({"window": -1}, "window -1 is out of range"),
        ({"local_layers": (1,)}, "local_layers need a window"),
        ({"window": 3, "local_layers": (2,)}, "numbers from 0 to 1"),
    ],
)
def test_options_that_no_block_can_have_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Architecture(40, 2, 32, 4, 64, blocks=BlockOptions(**options))


def test_rotary_positions_need_pairs() -> None:
    with pytest.raises(UsageError, match="heads of an even width, and 36 / 4 is odd"):
        Architecture(40, 2, 36, 4, 64, blocks=BlockOptions(rotary_base=1e4))
