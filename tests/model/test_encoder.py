from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mtlkit.batch import MULTIPLE, Batch
from mtlkit.config.architecture import Architecture, Attention, TaskSpec
from mtlkit.config.block_options import BlockOptions
from mtlkit.config.pooling import Pooling
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.data.tokenization.text_pairs import encode_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.engines.fast import pack
from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.block import Block
from mtlkit.model.layouts import PaddedLayout, layout_of
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names

ATTENTIONS: list[Attention] = ["bidirectional", "causal"]
MakeEncoder = Callable[..., Encoder]


@torch.no_grad()
def alone(encoder: Encoder, encoded: Encoded) -> Tensor:
    """The vector of every text from its own batch, (N, D)."""
    return torch.cat([encoder.encode(encoded.batch([row])) for row in range(len(encoded))])


@torch.no_grad()
def together(encoder: Encoder, batch: Batch) -> Tensor:
    """Vectors of one batch, put in the order of their row numbers."""
    return encoder.encode(batch)[torch.from_numpy(np.argsort(batch.rows))]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_vector_is_the_same_alone_in_any_batch_and_in_any_order(
    attention: Attention, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder(attention)
    encoded = reader.encode(passages)
    expected = alone(encoder, encoded)

    @settings(deadline=None, max_examples=40, derandomize=True)
    @given(st.lists(st.integers(0, len(passages) - 1), min_size=1, max_size=12))
    def check(rows: list[int]) -> None:
        """Any rows, repeated or not, in any order."""
        batch = encoded.batch(rows)
        with torch.no_grad():
            vectors = encoder.encode(batch)
        torch.testing.assert_close(vectors, expected[torch.from_numpy(batch.rows)], atol=1e-5, rtol=0)

    check()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_vector_of_any_unicode_text_is_finite_and_does_not_depend_on_its_neighbours(
    attention: Attention, reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder(attention)

    @settings(deadline=None, max_examples=30, derandomize=True)
    @given(st.lists(st.text(max_size=40), min_size=2, max_size=6))
    def check(texts: list[str]) -> None:
        encoded = reader.encode(texts)
        vectors = together(encoder, encoded.batch(range(len(texts))))
        assert torch.isfinite(vectors).all()
        torch.testing.assert_close(vectors, alone(encoder, encoded), atol=1e-5, rtol=0)

    check()


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u00a0"])
def test_a_blank_text_has_a_finite_vector_alone_and_the_same_in_a_batch(  # fault 28
    attention: Attention, blank: str, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder(attention)
    with torch.no_grad():
        single = encoder.encode(reader.encode([blank]).batch([0]))[0]
    texts = [*passages[:5], blank, *passages[20:30], blank]
    vectors = together(encoder, reader.encode(texts).batch(range(len(texts))))
    assert torch.isfinite(single).all()
    torch.testing.assert_close(vectors[5], single, atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors[-1], single, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_batch_joined_from_several_gives_the_vectors_of_each(
    attention: Attention, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder(attention)
    encoded = reader.encode(passages)
    parts = [encoded.batch(rows) for rows in ([3, 21, 40], [21], [7, 3, 44])]
    with torch.no_grad():
        joined = encoder.encode(Batch.join(parts))
        each = torch.cat([encoder.encode(part) for part in parts])
    torch.testing.assert_close(joined, each, atol=1e-5, rtol=0)


def word_texts(encoded: Encoded) -> EncodedWords:
    """Texts of which the second and the last token count as words."""
    first = np.stack([encoded.offsets[:-1] + 1, encoded.offsets[1:] - 1], 1).ravel()
    return EncodedWords(encoded.ids, encoded.offsets, first=first, words=2 * np.arange(len(encoded) + 1))


@pytest.mark.parametrize("fast", [False, True])
def test_words_get_the_last_state_of_their_first_token(
    fast: bool, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder("bidirectional")
    encode = pack(encoder).encode if fast else encoder.encode
    texts = word_texts(reader.encode([passages[index] for index in (3, 21, 40)]))
    words = texts.batch([0, 1, 2])
    assert words.words is not None
    with torch.no_grad():
        states = encoder(words)[words.words]
        vectors = encoder.encode(replace(words, words=None))
        torch.testing.assert_close(encode(words), states, atol=1e-5, rtol=0)
        both = encode(replace(words, pooled=True))
        torch.testing.assert_close(both, torch.cat([vectors, states]), atol=1e-5, rtol=0)
        others = reader.encode(passages[:3]).batch([0, 1, 2])
        parts = Batch.split(encode(Batch.join([others, words])), [others, words])
        torch.testing.assert_close(parts[0], encoder.encode(others), atol=1e-5, rtol=0)
        torch.testing.assert_close(parts[1], states, atol=1e-5, rtol=0)
        deeper = encoder.encode_from(words, encoder.states(words, 1), 1)
        torch.testing.assert_close(deeper, states, atol=1e-6, rtol=0)


def states_with_changed_token(encoder: Encoder, place: int) -> tuple[Tensor, Tensor]:
    """States of 12 tokens, before and after the token at `place` is exchanged for another."""
    ids = np.arange(20, 32)
    changed = ids.copy()
    changed[place] = 200
    with torch.no_grad():
        first, second = (encoder(Batch.flat(each, [12], np.array([0]))) for each in (ids, changed))
    return first, second


@pytest.mark.parametrize("place", [1, 6, 11])
def test_causal_a_later_token_never_changes_earlier_states(place: int, make_encoder: MakeEncoder) -> None:
    first, second = states_with_changed_token(make_encoder("causal"), place)
    torch.testing.assert_close(first[:place], second[:place], atol=1e-6, rtol=0)
    assert ((first - second)[place:].abs().amax(-1) > 1e-3).all()  # it and all that follow see it


@pytest.mark.parametrize("place", [0, 6, 11])
def test_bidirectional_every_token_changes_every_state(place: int, make_encoder: MakeEncoder) -> None:
    first, second = states_with_changed_token(make_encoder("bidirectional"), place)
    assert ((first - second).abs().amax(-1) > 1e-3).all()


def test_attend_turns_a_causal_encoder_into_the_bidirectional_one_and_back(make_encoder: MakeEncoder) -> None:
    batch = Batch.flat(np.arange(20, 32), [12], np.array([0]))
    encoder, other = make_encoder("causal"), make_encoder("bidirectional")
    with torch.no_grad():
        causal = encoder(batch)
        encoder.attend("bidirectional")
        assert encoder.architecture == other.architecture
        assert torch.equal(encoder(batch), other(batch))
        encoder.attend("causal")
        assert torch.equal(encoder(batch), causal)


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("pooling", ["mean", "weighted", "first"])
def test_cached_hidden_states_give_the_vectors_of_the_whole_model(
    pooling: Pooling, depth: int, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder("bidirectional", pooling)
    batch = reader.encode(passages).batch(range(len(passages)))
    assert batch.tokens % MULTIPLE  # so that idle tokens round it up
    with torch.no_grad():
        whole, states = encoder.encode(batch), encoder.states(batch, depth)
        assert states.shape == (batch.tokens, 32)
        torch.testing.assert_close(encoder.encode_from(batch, states, depth), whole, atol=1e-6, rtol=0)
        assert (encoder.encode_from(batch, states.flip(0), depth) - whole).abs().max() > 1e-2  # it does start from them


def test_the_states_at_a_block_are_what_it_reads(passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder) -> None:
    encoder = make_encoder("causal")
    batch = reader.encode(passages).batch(range(len(passages)))
    read: list[Tensor] = []
    for block in encoder.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0][: batch.tokens]))
    with torch.no_grad():
        encoder.encode(batch)
        wanted = list(read)
        for depth, states in enumerate(wanted):
            read.clear()
            assert torch.equal(encoder.states(batch, depth), states)
            assert len(read) == depth  # no block above is run


def test_the_order_of_words_matters(make_encoder: MakeEncoder) -> None:
    ids = np.array([1, 30, 40, 50, 2, 1, 50, 30, 40, 2])
    with torch.no_grad():
        first, second = make_encoder("bidirectional").encode(Batch.flat(ids, [5, 5], np.arange(2)))
    assert (first - second).abs().max() > 1e-2


def test_fresh_weights_follow_the_scheme_of_gpt2() -> None:
    torch.manual_seed(0)
    layers = 8
    encoder = Encoder(Architecture(2000, layers, 64, 4, 512))
    scaled = 0.02 / math.sqrt(2 * layers)
    for name, weight in encoder.named_parameters():
        if name.endswith("bias"):
            assert (weight == 0).all(), name
        elif "norm" in name:
            assert (weight == 1).all(), name
        else:
            expected = scaled if name.endswith(("attention.out.weight", "contract.weight")) else 0.02
            assert float(weight.detach().std()) == pytest.approx(expected, rel=0.05), name
            assert abs(float(weight.detach().mean())) < 0.05 * expected, name
    assert sum(1 for _ in encoder.parameters()) == 2 + 12 * layers + 2


@pytest.mark.parametrize("layers", [2, 32])
def test_the_residual_stream_of_fresh_weights_does_not_grow_with_depth(layers: int) -> None:
    torch.manual_seed(0)
    encoder = Encoder(Architecture(500, layers, 64, 4, 32)).eval()
    batch = Batch.flat(np.arange(100, 132), [32], np.array([0]))
    states: list[Tensor] = []
    last = cast(Block, encoder.blocks[-1])
    last.register_forward_hook(lambda _module, _inputs, output: states.append(output))
    with torch.no_grad():
        encoder(batch)
    embedded = (encoder.tokens(batch.ids) + encoder.positions(batch.positions)).detach()
    assert float(states[0].std() / embedded.std()) < 2.5


def test_dropout_works_in_training_only(make_encoder: MakeEncoder) -> None:
    encoder = make_encoder("bidirectional")
    assert [module.p for module in encoder.modules() if isinstance(module, nn.Dropout)] == [0.1] * 4
    batch = Batch.flat(np.arange(20, 32), [12], np.array([0]))
    with torch.no_grad():
        assert torch.equal(encoder(batch), encoder(batch))
        encoder.train()
        assert not torch.equal(encoder(batch), encoder(batch))


def test_weighted_pooling_is_a_mean_with_a_weight_for_each_token(
    passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder("bidirectional", "weighted")
    encoded = reader.encode(passages)
    found = alone(encoder, encoded)
    for row, vector in enumerate(found):
        ids = torch.from_numpy(encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].astype(np.int64))
        with torch.no_grad():
            states, weights = encoder(encoded.batch([row])), encoder.token_weights.exp()[ids]
        expected = sum(weight * state for weight, state in zip(weights, states, strict=True)) / weights.sum()
        torch.testing.assert_close(vector, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together(encoder, encoded.batch(range(len(passages)))), found, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["mean", "weighted", "max"])
def test_the_token_embeddings_have_their_share_in_what_is_pooled(
    pooling: Pooling, passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder
) -> None:
    encoder = make_encoder("bidirectional", pooling)
    batch = reader.encode(passages).batch(range(len(passages)))
    layout = layout_of(batch)
    with torch.no_grad():
        last, embedded = encoder(layout), encoder.embed(layout)
        wanted = encoder.pool(layout, 0.7 * last + 0.3 * embedded)
        encoder.mix(0.3)
        torch.testing.assert_close(encoder.encode(batch), wanted, atol=1e-6, rtol=0)
        torch.testing.assert_close(pack(encoder).encode(batch), wanted, atol=1e-5, rtol=0)
        torch.testing.assert_close(encoder.encode_from(batch, encoder.states(batch, 1), 1), wanted, atol=1e-6, rtol=0)
    rows = np.argsort(batch.rows)
    torch.testing.assert_close(alone(encoder, reader.encode(passages)), wanted[torch.from_numpy(rows)], atol=1e-6, rtol=0)


def test_equal_weights_are_the_plain_mean(passages: list[str], reader: TextEncoder, make_encoder: MakeEncoder) -> None:
    weighted, plain = make_encoder("bidirectional", "weighted"), make_encoder("bidirectional")
    plain.load_state_dict({name: weight for name, weight in weighted.state_dict().items() if name != "token_weights"})
    batch = reader.encode(passages).batch(range(len(passages)))
    assert (together(weighted, batch) - together(plain, batch)).abs().max() > 1e-2
    for equal in (0.0, 3.0):
        nn.init.constant_(weighted.token_weights, equal)
        torch.testing.assert_close(together(weighted, batch), together(plain, batch), atol=1e-5, rtol=0)
    fresh = Encoder(weighted.architecture)
    assert (fresh.token_weights == 0).all()


def test_token_types_mark_the_second_text_of_a_pair(reader: TextEncoder) -> None:
    """Only pairs have them, alone or beside single texts in a batch, and they train only if a head reads pairs."""
    torch.manual_seed(0)
    architecture = Architecture(reader.tokenizer.get_vocab_size(), 1, 16, 2, reader.encoding.max_length, token_types=2)
    encoder = Encoder(architecture).eval()
    encoder.second_type.normal_()
    single = reader.encode(["one two", "three"])
    pairs = encode_pairs(reader, ["one", "two two", "three"], np.array([[0, 1], [1, 2]]))
    untyped = replace(pairs, types=None)
    with torch.no_grad():
        assert not encoder.encode(pairs.batch([0, 1])).isclose(encoder.encode(untyped.batch([0, 1]))).all()
        mixed = encoder.encode(Batch.join([single.batch([0, 1]), pairs.batch([0, 1])]))
        apart = [encoder.encode(part.batch([0, 1])) for part in (single, pairs)]
        torch.testing.assert_close(mixed, torch.cat(apart), atol=1e-6, rtol=0)
        torch.testing.assert_close(pack(encoder).encode(pairs.batch([0, 1])), apart[1], atol=1e-5, rtol=0)
        ids, mask = pairs.padded(np.arange(2))
        types = torch.from_numpy(pairs.padded_types(np.arange(2), mask))
        padded = encoder.encode(PaddedLayout(torch.from_numpy(ids), torch.from_numpy(mask), token_types=types))
        torch.testing.assert_close(padded, together(encoder, pairs.batch([0, 1])), atol=1e-5, rtol=0)
    assert "second_type" not in dict(encoder.named_parameters())
    model = MultiTaskModel(encoder, [TaskSpec("same", "classification", ("a", "b"), pair="joint")])
    names = weight_names(architecture, {"same": "linear"}, joint=True)
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    model(pairs.batch([0, 1]), "same").sum().backward()
    assert encoder.second_type.grad is not None


@pytest.mark.parametrize(
    "blocks",
    [
        BlockOptions(rotary_base=1e4, gated=True, norm_bias=False, attention_bias=False, first_norm=False),
        BlockOptions(rotary_base=1e4, kv_heads=1, norm_type="rms", expand_bias=False),
        BlockOptions(gated=True, contract_bias=False),
    ],
)
def test_names_of_weights_follow_the_options_of_blocks(blocks: BlockOptions) -> None:
    architecture = Architecture(40, 2, 32, 4, 64, embedding_norm=True, blocks=blocks)
    names = [f"backbone.{name}" for name, _ in Encoder(architecture).named_parameters()]
    assert sorted(weight_names(architecture, {})) == sorted(names)
