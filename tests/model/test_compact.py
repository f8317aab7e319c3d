"""Weights in a quarter of their bytes."""

from __future__ import annotations

import pytest
import torch

from mtlkit.errors import UsageError
from mtlkit.model.compact import narrow, widen

WEIGHTS = {
    "matrix": torch.tensor([[1.0, -127.0, 0.4], [0.0, 0.0, 0.0], [1e-3, 2e-3, -3e-3]]),
    "vector": torch.tensor([0.5, 1 / 3]),
}


def test_rows_are_bytes_of_their_own_scale() -> None:
    stored = narrow(WEIGHTS)
    assert {name: weight.dtype for name, weight in stored.items()} == {
        "matrix": torch.int8,
        "matrix.scale": torch.float32,
        "vector": torch.float16,
    }
    assert stored["matrix"].tolist() == [[1, -127, 0], [0, 0, 0], [42, 85, -127]]
    assert stored["matrix.scale"].shape == (3, 1)


def test_what_comes_back_is_off_by_half_a_unit_of_its_row_at_most() -> None:
    back = widen(narrow(WEIGHTS))
    assert set(back) == set(WEIGHTS)
    assert all(weight.dtype == torch.float32 for weight in back.values())
    units = WEIGHTS["matrix"].abs().amax(1, keepdim=True) / 127
    assert ((back["matrix"] - WEIGHTS["matrix"]).abs() <= units * 0.5001).all()
    assert torch.allclose(back["vector"], WEIGHTS["vector"], rtol=2**-11, atol=0)


def test_plain_weights_stay_as_they_are() -> None:
    assert all(torch.equal(weight, WEIGHTS[name]) for name, weight in widen(WEIGHTS).items())


def test_bytes_without_a_scale_are_refused() -> None:
    with pytest.raises(KeyError, match="matrix"):
        widen({"matrix": torch.ones(2, 2, dtype=torch.int8)})


def test_numbers_that_half_precision_cannot_hold_are_named() -> None:
    weights = {**WEIGHTS, "norm.weight": torch.tensor([1.0, -7e4])}
    with pytest.raises(UsageError, match=r"weight 'norm\.weight' reaches 7e\+04, .* up to 65,504; export in another format"):
        narrow(weights)
    assert narrow({**weights, "norm.weight": torch.tensor([1.0, -65504.0])})["norm.weight"].isfinite().all()
