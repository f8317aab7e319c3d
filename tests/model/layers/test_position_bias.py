from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture, Attention
from mtlkit.errors import UsageError
from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.position_bias import PositionBias, bucket_of
from mtlkit.model.layouts import GroupedLayout, PaddedLayout, VarlenLayout, layout_of

MPNET = Architecture(100, 2, 16, 2, 160, "bidirectional", norm="post", embedding_norm=True, position_buckets=32)
LENGTHS = [3, 3, 5, 140]


def encoder_of(architecture: Architecture) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(architecture).eval()
    for weight in encoder.parameters():
        torch.nn.init.normal_(weight, std=0.4) if weight.ndim > 1 else None
    return encoder


@pytest.fixture
def batch() -> Batch:
    ids = np.random.default_rng(0).integers(0, 100, sum(LENGTHS))
    return Batch.flat(ids, LENGTHS, np.arange(len(LENGTHS)))


def test_buckets_are_those_of_transformers() -> None:
    modeling = pytest.importorskip("transformers.models.mpnet.modeling_mpnet")
    distances = torch.arange(-600, 601)
    assert torch.equal(bucket_of(distances, 32), modeling.MPNetEncoder.relative_position_bucket(distances))


def test_a_shorter_text_has_the_corner_of_the_table() -> None:
    bias = PositionBias(32, 3)
    assert torch.equal(bias.table(40)[:, :7, :7], bias.table(7))
    assert bias.table(7)[1, 2, 5] == bias.weight[bucket_of(torch.tensor(3), 32), 1]


@pytest.mark.parametrize("attention", ["bidirectional", "causal"])
def test_each_layout_adds_the_bias_to_the_scores(attention: Attention, batch: Batch) -> None:
    encoder = encoder_of(replace(MPNET, attention=attention, layers=1))
    settings = encoder.blocks[0].attention.settings
    table = encoder.position_bias.table(140)
    qkv = torch.randn(len(batch.ids), 48)
    wanted = []
    for part in qkv.split(LENGTHS):
        query, key, value = (third.view(len(part), 2, 8).transpose(0, 1) for third in part.chunk(3, 1))
        scores = query @ key.transpose(1, 2) / math.sqrt(8) + table[:, : len(part), : len(part)]
        if attention == "causal":
            scores = scores.masked_fill(torch.ones(scores.shape[1:], dtype=torch.bool).triu(1), -math.inf)
        wanted.append((scores.softmax(-1) @ value).transpose(0, 1).flatten(1))
    for flat in (GroupedLayout(batch), VarlenLayout(batch)):
        torch.testing.assert_close(encoder.biased(flat).attend(qkv, settings), torch.cat(wanted), atol=1e-5, rtol=0)
    mask = torch.arange(140) < torch.tensor(LENGTHS)[:, None]
    ids, room = torch.zeros(mask.shape, dtype=torch.long), torch.full((*mask.shape, 48), 3.0)
    room[mask] = qkv
    padded = encoder.biased(PaddedLayout(ids, mask.long()))
    torch.testing.assert_close(padded.attend(room.flatten(0, 1), settings)[mask.flatten()], torch.cat(wanted), atol=1e-5, rtol=0)


def test_the_table_is_computed_once_for_all_layers(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, lengths, table = encoder_of(MPNET), [], PositionBias.table

    def counted(self: PositionBias, length: int) -> torch.Tensor:
        lengths.append(length)
        return table(self, length)

    monkeypatch.setattr(PositionBias, "table", counted)
    encoder(layout_of(batch))
    assert lengths == [140]


def test_the_bias_trains_with_the_slope_of_the_loss(batch: Batch) -> None:
    encoder = encoder_of(MPNET).double()
    weight = encoder.position_bias.weight

    def loss() -> torch.Tensor:
        return encoder.encode(batch).square().sum()

    loss().backward()
    assert weight.grad is not None
    place, step = (17, 1), 1e-6
    with torch.no_grad():
        before = weight[place].clone()
        weight[place] = before + step
        above = loss()
        weight[place] = before - step
        below = loss()
    assert float(weight.grad[place]) == pytest.approx(float((above - below) / (2 * step)), rel=1e-3)


@pytest.mark.parametrize("buckets", [-1, 2, 257])
def test_impossible_numbers_of_buckets_are_refused(buckets: int) -> None:
    with pytest.raises(UsageError, match=f"position_buckets {buckets} is out of range"):
        replace(MPNET, position_buckets=buckets)
