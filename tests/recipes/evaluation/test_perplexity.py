from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import Architecture
from mtlkit.errors import DataError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.recipes.evaluation.perplexity import HeldOutTexts, loss_interval, perplexity, strides
from mtlkit.report.evaluation.figures import base_lines
from mtlkit.training.pretraining import window_batch

CPU = Compute(torch.device("cpu"), "fp32")
BOS, EOS = 1, 2


def random_ids(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    return np.random.default_rng(0).integers(3, 50, count).astype(np.uint16)


@pytest.fixture
def model() -> Encoder:
    torch.manual_seed(0)
    return Encoder(Architecture(50, 1, 8, 1, 8))


@pytest.fixture
def ignorant(model: Encoder) -> Encoder:
    """A model that gives every token the same probability."""
    for weight in model.parameters():
        torch.nn.init.zeros_(weight)
    return model


def test_perplexity_of_an_untrained_model_is_its_vocabulary_size(ignorant: Encoder) -> None:
    found = perplexity(ignorant, HeldOutTexts(["x" * 1200], random_ids(401), ()), CPU)
    assert found["loss"] == pytest.approx(math.log(50), rel=1e-5)
    assert found["perplexity"] == pytest.approx(50, rel=1e-4)
    assert found["bits_per_byte"] == pytest.approx(math.log2(50) / 3, rel=1e-4)  # three bytes a token
    assert found["tokens_scored"] == 400


def test_bytes_are_counted_not_letters(ignorant: Encoder) -> None:
    plain, wide = (
        perplexity(ignorant, HeldOutTexts([text], random_ids(41), ()), CPU)["bits_per_byte"] for text in ("x" * 30, "猫" * 30)
    )
    assert plain == pytest.approx(3 * wide)


def test_tokens_that_are_not_text_are_left_out_and_counted_apart(ignorant: Encoder) -> None:
    """Ten texts of four tokens, each between a first and a last one: 40 of text among 59 that are predicted."""
    ids = np.concatenate([[BOS, *random_ids(4), EOS] for _ in range(10)]).astype(np.uint16)
    found = perplexity(ignorant, HeldOutTexts(["four"] * 10, ids, {BOS, EOS}), CPU)
    assert found["tokens_scored"] == 40
    assert found["bits_per_byte"] == pytest.approx(math.log2(50))
    assert found["bits_per_byte_with_special"] == pytest.approx(math.log2(50) * 59 / 40)
    assert found["loss_with_special"] == pytest.approx(found["loss"])


@pytest.mark.parametrize(("targets", "context"), [(4, 4), (5, 4), (6, 4), (7, 4), (100, 8), (101, 7), (3, 1)])
def test_every_token_is_scored_once_with_context(targets: int, context: int) -> None:
    windows = strides(targets, context)
    scored = [place for start, last in windows for place in range(start + context - last, start + context)]
    assert scored == list(range(targets))
    for start, last in windows[1:]:
        assert start >= 0
        assert context - last >= context // 2 or last == 1


def test_losses_are_those_of_each_window(model: Encoder) -> None:
    """One token at a time, from the window that scores it, in plain torch."""
    ids = random_ids(30)
    total = 0.0
    for start, last in strides(29, 8):
        batch, targets = window_batch(
            ids[start : start + 8].astype(np.int64), ids[start + 1 : start + 9].astype(np.int64), 8, CPU.device
        )
        with torch.no_grad():
            probabilities = (model(batch) @ model.tokens.weight.T).log_softmax(-1)
        total -= float(probabilities[range(8), targets][8 - last :].sum())
    assert perplexity(model, HeldOutTexts(["x"], ids, ()), CPU)["loss"] == pytest.approx(total / 29, rel=1e-5)


def test_the_tail_counts(model: Encoder) -> None:
    """Tokens after the last whole window change the figures."""
    ids = random_ids(15)
    found, other = (
        perplexity(model, HeldOutTexts(["x"], one, ()), CPU)["loss"] for one in (ids, np.append(ids[:-1], ids[-1] ^ 1))
    )
    assert found != other


def test_short_texts_are_scored_in_one_window_and_too_short_ones_refused(model: Encoder) -> None:
    assert perplexity(model, HeldOutTexts(["x"], random_ids(5), ()), CPU)["tokens_scored"] == 4
    with pytest.raises(DataError, match="too short to measure perplexity on"):
        HeldOutTexts(["x"], random_ids(2), ())
    with pytest.raises(DataError, match="too short to measure perplexity on"):
        perplexity(model, HeldOutTexts([""], np.array([BOS, EOS, BOS, EOS]), {BOS, EOS}), CPU)


def test_the_interval_draws_whole_texts_or_windows() -> None:
    random = np.random.default_rng(0)
    means = random.normal(3.0, 0.5, 100)  # of texts, whose tokens are alike
    losses = np.concatenate([[0.0, *np.full(9, mean)] for mean in means])
    is_text = np.arange(len(losses)) % 10 > 0
    by_text = loss_interval(losses, is_text, 5)
    half = 1.96 * means.std() / 10
    assert by_text.ends == pytest.approx((means.mean() - half, means.mean() + half), abs=half / 5)
    one_text = loss_interval(losses, np.ones(1000, bool), 5)
    assert one_text.low < losses.mean() < one_text.high
    assert np.isnan(loss_interval(losses, np.ones(1000, bool), 100).low)  # ten windows


def test_perplexity_has_the_interval_of_the_loss(ignorant: Encoder) -> None:
    found = perplexity(ignorant, HeldOutTexts(["x" * 1200], random_ids(401), ()), CPU)
    assert found["loss_interval"] == pytest.approx([math.log(50)] * 2, rel=1e-5)
    assert found["perplexity_interval"] == pytest.approx([50] * 2, rel=1e-4)
    assert list(base_lines(found))[1].startswith("perplexity: 50.0000 (95 %: 50.0000 to 50.0000)")
