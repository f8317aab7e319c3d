from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.pooling import MODES, DenseShape, pooling_modes
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.pooling import pool
from mtlkit.model.layouts import GroupedLayout, PaddedLayout, VarlenLayout
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names
from mtlkit.training.freezing.targets.parts import POOLING

LENGTHS = [2, 2, 3, 7, 5]


def of_one_text(mode: str, states: Tensor, skip: int) -> Tensor:
    """The definition, token by token."""
    kept = states[skip:]
    if mode == "first":
        return kept[0] if len(kept) else states[0]
    if not len(kept):
        return torch.full((states.shape[1],), -math.inf if mode == "max" else 0.0)
    if mode == "last":
        return kept[-1]
    if mode == "max":
        return torch.stack([column.max() for column in kept.T])
    numbers = torch.arange(skip + 1, len(states) + 1)[:, None]
    if mode == "mean_by_position":
        return (kept * numbers).sum(0) / numbers.sum()
    return kept.sum(0) / (len(kept) if mode == "mean" else math.sqrt(len(kept)))


@pytest.mark.parametrize("skip", [0, 1, 2, 6])
@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_as_defined_in_every_layout(mode: str, skip: int) -> None:
    torch.manual_seed(0)
    states = torch.randn(sum(LENGTHS), 4)
    wanted = torch.stack([of_one_text(mode, text, skip) for text in states.split(LENGTHS)])
    batch = Batch.flat(np.arange(len(states)), LENGTHS, np.arange(len(LENGTHS)), skip)
    mask = torch.arange(8) < torch.tensor(LENGTHS)[:, None]
    room = torch.full((*mask.shape, 4), 9.0)  # padding means nothing, and is larger than any state
    room[mask] = states
    ids = torch.zeros(mask.shape, dtype=torch.long)
    for layout in (GroupedLayout(batch), VarlenLayout(batch)):
        torch.testing.assert_close(pool(layout, states, [mode]), wanted)
    for prompt in (skip, torch.tensor(skip)):
        torch.testing.assert_close(pool(PaddedLayout(ids, mask.long(), prompt), room.flatten(0, 1), [mode]), wanted)


def test_modes_are_put_one_after_another() -> None:
    states = torch.arange(12.0).view(6, 2)
    layout = GroupedLayout(Batch.flat(np.arange(6), [2, 4], np.arange(2)))
    both = pool(layout, states, pooling_modes("max+first"))
    assert both.tolist() == [[2.0, 3.0, 0.0, 1.0], [10.0, 11.0, 4.0, 5.0]]


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ("maximum", "pooling 'maximum' is not known; modes: mean, first"),
        ("mean_sqrt_length", "did you mean 'mean_sqrt_len'"),
        ("mean+weighted", r"pooling 'mean\+weighted' is not known"),
        ("", "pooling '' is not known"),
        ("+".join(["mean"] * 17), "at most 16"),
    ],
)
def test_unknown_poolings_are_refused(pooling: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Architecture(100, 1, 16, 2, 16, pooling=pooling)


@pytest.fixture
def wide(reader: TextEncoder) -> Architecture:
    """Vectors of 24 numbers from 32 pooled ones, through 5."""
    dense = (DenseShape(5, "none", bias=False), DenseShape(24, "gelu"))
    return Architecture(
        reader.tokenizer.get_vocab_size(), 1, 16, 2, 64, "bidirectional", pooling="mean+last", dense=dense, normalize=True
    )


def test_dense_layers_follow_the_pooling(wide: Architecture, reader: TextEncoder) -> None:
    torch.manual_seed(0)
    encoder = Encoder(wide).eval()
    batch = reader.encode(["one", "two words", "and three words"]).batch([0, 1, 2])
    with torch.no_grad():
        plain = Encoder(replace(wide, dense=(), normalize=False)).eval()
        plain.load_state_dict({name: weight for name, weight in encoder.state_dict().items() if "dense" not in name})
        hidden = plain.encode(batch) @ encoder.dense[0].weight.T
        wanted = torch.nn.functional.gelu(hidden @ encoder.dense[1].weight.T + encoder.dense[1].bias)
        torch.testing.assert_close(encoder.encode(batch), torch.nn.functional.normalize(wanted, dim=-1))
    assert (wide.pooled_dim, wide.vector_dim) == (32, 24)


def test_heads_read_vectors_or_hidden_states(wide: Architecture) -> None:
    specs = [
        TaskSpec("topic", "classification", ("a", "b")),
        TaskSpec("same", "classification", ("a", "b"), pair="vectors"),
        TaskSpec("things", "tokens", ("O", "A"), tags="plain"),
    ]
    model = MultiTaskModel(Encoder(wide), specs, router=["topic"])
    assert [model.head(spec.name).layers[-1].weight.shape[1] for spec in specs] == [24, 96, 16]
    assert model.router is not None
    assert model.router.center.shape == (24,)
    names = [name for name, _ in model.named_parameters() if not name.startswith("router")]
    assert sorted(weight_names(wide, {spec.name: "linear" for spec in specs})) == sorted(names)
    assert [name for name in names if POOLING.match(name)] == [f"backbone.{name}" for name in (
        "norm.weight", "norm.bias", "dense.0.weight", "dense.1.weight", "dense.1.bias")]  # fmt: skip
    assert len(list(model.part("pooling").parameters())) == 5


@pytest.mark.parametrize("width", [10, 16, 24])
def test_vectors_and_words_of_one_batch_keep_their_widths(width: int, wide: Architecture, reader: TextEncoder) -> None:
    torch.manual_seed(0)
    encoder = Encoder(replace(wide, dense=(DenseShape(width),))).eval()
    texts = reader.encode(["one two", "three"]).batch([0, 1])
    words = replace(texts, words=torch.tensor([1, 4]), word_rows=np.arange(2), pooled=False)
    with torch.no_grad():
        apart = [encoder.encode(texts), encoder.encode(words)]
        both = encoder.encode(Batch.join([texts, words]))
    split = Batch.split(both, [texts, words], (width, 16))
    assert [part.shape[1] for part in split] == [width, 16]
    for found, wanted in zip(split, apart, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0)
