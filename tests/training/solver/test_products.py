from __future__ import annotations

import numpy as np
import pytest

from mtlkit.training.solver.linear import LinearFit
from mtlkit.training.solver.products import folded, products, with_products


def test_a_fit_with_products_is_one_to_what_heads_read() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(2, 6, 5))
    inputs = np.concatenate([first, second, abs(first - second), first * second], 1)
    assert products(inputs)[:, 0] == pytest.approx((first * second).sum(1))
    fitted = LinearFit(draw.normal(size=(21, 3)), draw.normal(size=3))
    assert folded(fitted).outputs(inputs) == pytest.approx(fitted.outputs(with_products(inputs)))
