from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.encoder import Encoder
from mtlkit.training.objectives.token_init import rarity_weights, start_from_tokens

TEXTS = ["The cat sleeps near the barn.", "saw", "", "A saw lies broken on the bench near the bench."]


def test_a_rare_token_weighs_more_than_a_common_one() -> None:
    ids = np.array([2, 2, 2, 0, 2, 2, 2, 2, 3, 3], np.uint16)
    found = rarity_weights(ids, 5, a=0.1)
    assert found.tolist() == pytest.approx([0.1 / 0.2, 1.0, 0.1 / 0.8, 0.1 / 0.3, 1.0])  # a / (a + share); unseen: 1
    assert rarity_weights(ids, 5)[3] == pytest.approx(1e-3 / (1e-3 + 0.2))
    assert rarity_weights(np.zeros(0, np.uint16), 3).tolist() == [1, 1, 1]


def test_an_encoder_begins_as_the_weighted_mean_of_its_tokens(text_encoder: TextEncoder) -> None:
    torch.manual_seed(0)
    size = text_encoder.tokenizer.get_vocab_size()
    encoder = Encoder(Architecture(size, 3, 32, 4, 32, "bidirectional", pooling="weighted")).eval()
    vectors = np.random.default_rng(0).normal(size=(size, 32)).astype(np.float16)
    encoded = text_encoder.encode(TEXTS)
    weights = rarity_weights(encoded.ids, size)
    start_from_tokens(encoder, vectors, weights)
    with torch.no_grad():
        found = torch.cat([encoder.encode(encoded.batch([row])) for row in range(len(TEXTS))])
    directions = functional.normalize(torch.from_numpy(vectors.astype(np.float32)), dim=-1)
    normed = functional.layer_norm(directions * 32**0.5, (32,))
    for row, vector in enumerate(found):
        ids = torch.from_numpy(encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].astype(np.int64))
        each = weights[ids, None].float()
        torch.testing.assert_close(vector, (normed[ids] * each).sum(0) / each.sum(), atol=1e-5, rtol=1e-4)


def test_what_begins_as_the_identity_can_still_learn(text_encoder: TextEncoder) -> None:
    torch.manual_seed(0)
    encoder = Encoder(Architecture(50, 2, 16, 2, 8, "bidirectional", dropout=0.0, pooling="weighted"))
    start_from_tokens(encoder, np.random.default_rng(0).normal(size=(50, 16)), torch.ones(50))
    batch = Batch.flat(np.array([1, 7, 9, 2]), [4], np.array([0]))
    encoder.encode(batch)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    for name in ("attention.out", "contract"):
        for block in encoder.blocks:
            gradient = block.get_parameter(f"{name}.weight").grad
            assert gradient is not None
            assert gradient.abs().max() > 0
