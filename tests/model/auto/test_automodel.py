"""The backbone of transformers: its parts, words, dropout, and adapters of its layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peers import transformers
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.model.auto.automodel import AutoBackbone, rectangles
from mtlkit.model.auto.model_parts import NoLayers, find_parts
from mtlkit.model.layers.low_rank import Adapter
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from
from mtlkit.model.weight_names import part_of, parts_of, weight_names

SHAPE: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}
LENGTHS = [2, 2, 5, 9]


def architecture(kind: str = "deberta-v2", **settings: Any) -> Architecture:
    stored = {**SHAPE, "vocab_size": 50, "max_position_embeddings": 16, **settings}
    config = transformers.CONFIG_MAPPING[kind](**stored).to_dict()
    return Architecture(50, 3, 32, 2, 16, transformers=config, family=f"transformers:{kind}", dropout=0.5)


@pytest.fixture
def backbone() -> AutoBackbone:
    torch.manual_seed(0)
    backbone = AutoBackbone(architecture(relative_attention=True, position_buckets=4, pos_att_type=["p2c"], type_vocab_size=2))
    with torch.no_grad():
        for weight in backbone.parameters():
            weight.normal_(std=0.2)
    return backbone.eval()


def a_batch() -> Batch:
    ids = np.random.default_rng(0).integers(1, 50, sum(LENGTHS))
    return Batch.flat(ids, LENGTHS, np.arange(len(LENGTHS)))


@torch.no_grad()
def their_states(backbone: AutoBackbone) -> list[Tensor]:
    """The states of each text, computed alone."""
    model = backbone.whole()
    return [model(input_ids=ids[None]).last_hidden_state[0] for ids in a_batch().ids.split(LENGTHS)]


def test_heads_read_texts_and_words_as_computed_alone(backbone: AutoBackbone) -> None:
    batch, states = a_batch(), their_states(backbone)
    with torch.no_grad():
        vectors = backbone.encode(batch)
        torch.testing.assert_close(vectors, torch.stack([own.mean(0) for own in states]), atol=1e-5, rtol=0)
        places = torch.tensor([1, 4, 17])
        words = backbone.encode(Batch(batch.ids, batch.positions, batch.groups, batch.rows, words=places, pooled=True))
    torch.testing.assert_close(words[:4], vectors)
    torch.testing.assert_close(words[4:], torch.cat(states)[places], atol=1e-5, rtol=0)


def test_texts_of_other_lengths_are_padded_apart() -> None:
    assert rectangles([4] * 10) == []
    assert rectangles([4] * 64 + [8] * 32 + [200]) == [64, 96]
    assert rectangles([3, 300]) == []  # a few tokens are not worth a pass


def test_the_second_text_of_a_pair_has_its_own_type(backbone: AutoBackbone) -> None:
    plain = a_batch()
    types = (torch.arange(plain.tokens) % 2).to(torch.uint8)
    typed = Batch(plain.ids, plain.positions, plain.groups, plain.rows, types=types)
    with torch.no_grad():
        assert torch.equal(backbone.encode(typed), backbone.encode(plain))  # its architecture has one type
        backbone.architecture = Architecture(50, 3, 32, 2, 16, token_types=2, transformers=backbone.architecture.transformers)
        assert not torch.allclose(backbone.encode(typed), backbone.encode(plain), atol=1e-3)


def test_weights_are_named_by_their_parts() -> None:
    model = MultiTaskModel(AutoBackbone(architecture("qwen3", num_key_value_heads=1, head_dim=16)))
    assert tuple(name for name, _ in model.named_parameters()) == weight_names(model.architecture, {})
    parts = parts_of(name for name, _ in model.named_parameters())
    assert set(parts) == {"embeddings", "layers:0", "layers:1", "layers:2", "pooling"}
    assert (parts["embeddings"], parts["pooling"]) == (["backbone.tokens.embed_tokens.weight"], ["backbone.norm.norm.weight"])
    assert {part_of(name) for name, _ in model.part("layers:1").named_parameters(prefix="backbone.blocks.1")} == {"layers:1"}


def test_dropout_draws_from_its_own_generator_only(backbone: AutoBackbone) -> None:
    backbone.train()
    generator = torch.Generator().manual_seed(7)
    draw_from(generator, backbone)
    before = torch.get_rng_state()
    first, second = backbone.encode(a_batch()), backbone.encode(a_batch())
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(first, second)
    generator.manual_seed(7)
    assert torch.equal(backbone.encode(a_batch()), first)


@pytest.mark.parametrize("merged", [False, True])
def test_an_adapter_changes_a_copy_and_shares_its_weights(backbone: AutoBackbone, merged: bool) -> None:
    torch.manual_seed(0)
    adapter = Adapter(AdapterSpec("lora", 2, 4.0, 1, 2), backbone)
    with torch.no_grad():
        plain = backbone.encode(a_batch())
        torch.testing.assert_close(adapter.adapted(backbone).encode(a_batch()), plain)
        for term in adapter.terms().values():
            term.b.normal_()
        changed = (adapter.merged if merged else adapter.adapted)(backbone).encode(a_batch())
        assert not torch.allclose(changed, plain, atol=1e-2)
        assert torch.equal(backbone.encode(a_batch()), plain)
    assert {path.split(".")[1] for path in adapter.terms()} == {"1", "2"}
    names = weight_names(backbone.architecture, {}, adapters={"mood": adapter.spec})
    assert [name for name in names if name.startswith("adapters.")] == [
        f"adapters.mood.{name}" for name, _ in adapter.named_parameters()
    ]


def test_new_weights_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    before, calls = torch.get_rng_state(), 0
    normal = Tensor.normal_

    def counted(weight: Tensor, *args: Any, **options: Any) -> Tensor:
        nonlocal calls
        calls += 1
        return normal(weight, *args, **options)

    monkeypatch.setattr(Tensor, "normal_", counted)
    AutoBackbone(architecture())  # large models would take seconds
    assert calls == 0
    assert torch.equal(before, torch.get_rng_state())


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(2, 2) for _ in range(9))


def test_the_stack_is_the_longest_list_that_is_in_no_other() -> None:
    model = nn.Module()
    model.before = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    model.inner = nn.Module()
    model.inner.layer = nn.ModuleList(Experts() for _ in range(3))
    model.inner.relative, model.inner.norm = nn.Embedding(2, 2), nn.LayerNorm(2)  # which the layers read
    model.after, model.plain = nn.LayerNorm(2), nn.Identity()
    parts = find_parts(model)
    assert (parts.stack, parts.above) == ("inner.layer", ("after",))
    with pytest.raises(NoLayers):
        find_parts(nn.Sequential(nn.Linear(2, 2)))
