from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import Architecture
from mtlkit.errors import DataError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.recipes.perplexity import held_out_windows, perplexity

CPU = Compute(torch.device("cpu"), "fp32")


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    model = Encoder(Architecture(50, 1, 8, 1, 8))
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    ids = np.random.default_rng(0).integers(0, 50, 401).astype(np.uint16)
    found = perplexity(model, held_out_windows(ids, 8), ["x" * 1203], CPU)
    assert found["loss"] == pytest.approx(math.log(50), rel=1e-5)
    assert found["perplexity"] == pytest.approx(50, rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(math.log2(50) / 3, rel=1e-4)  # three bytes a token


def test_bytes_are_counted_not_letters() -> None:
    model = Encoder(Architecture(50, 1, 8, 1, 8))
    windows = held_out_windows(np.arange(41).astype(np.uint16), 8)
    plain, wide = (perplexity(model, windows, [text], CPU)["bits_per_byte"] for text in ("x" * 30, "猫" * 30))
    assert plain == pytest.approx(3 * wide)


def test_short_texts_make_one_shorter_window() -> None:
    assert (len(held_out_windows(np.arange(5), 8)), held_out_windows(np.arange(5), 8).length) == (1, 4)
    with pytest.raises(DataError, match="too short to measure perplexity on"):
        held_out_windows(np.arange(2), 8)
