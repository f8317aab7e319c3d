"""The fast forms of an encoder give its vectors: equal in fp32, close in int8, the same alone and in any batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from torch import nn

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.config.pooling import DenseShape
from mtlkit.data.sources import sample_source
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, encode_hidden_states
from mtlkit.inference.engines.calibration import activation_ranges, calibration_texts
from mtlkit.inference.engines.fast import SupportsEncode, fastest, pack
from mtlkit.inference.engines.int8 import check_int8, quantise
from mtlkit.inference.engines.int8_mlp import Peaks
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs.store import StoreEntry

OURS = {"norm": "pre", "embedding_norm": False}
BERT = {"norm": "post", "embedding_norm": True, "epsilon": 1e-12, "hidden": 96, "normalize": True}
UNBIASED: dict[str, Any] = {"gated": True, "attention_bias": False, "expand_bias": False, "contract_bias": False}
MODERNBERT = BlockOptions(
    rotary_base=1e5, local_rotary_base=1e3, window=3, local_layers=(1, 2), norm_bias=False, first_norm=False, **UNBIASED
)
EUROBERT = BlockOptions(rotary_base=1e4, rotary_scale=1.5, kv_heads=2, norm_type="rms", **UNBIASED)
SHAPES = {
    "bidirectional": OURS,
    "causal": {**OURS, "attention": "causal"},
    "bert": BERT,
    "electra": {**BERT, "embedding_dim": 16},
    "albert": {**BERT, "embedding_dim": 32, "layers": 7, "layer_groups": 3},
    "mpnet": {**BERT, "position_buckets": 32},
    "roberta": {**BERT, "padding_id": 5},
    "max of wide vectors": {**BERT, "pooling": "max+mean", "dense": (DenseShape(24),)},
    "modernbert": {**OURS, "blocks": MODERNBERT, "embedding_norm": True},
    "eurobert": {**OURS, "blocks": EUROBERT, "activation": "silu"},
    "first token": {**BERT, "pooling": "first"},
    "weighted": {**OURS, "pooling": "weighted"},
    "tanh": {**OURS, "activation": "gelu_tanh"},
    "relu": {**BERT, "activation": "relu"},
    "silu": {**OURS, "activation": "silu"},
}
CPU, HALF = (Compute(torch.device("cpu"), precision) for precision in ("fp32", "bf16"))


def make(shape: str, text_encoder: TextEncoder) -> Encoder:
    """An encoder whose attention does something, which fresh weights hide."""
    torch.manual_seed(1)
    base = Architecture(text_encoder.tokenizer.get_vocab_size(), 3, 32, 4, 32, "bidirectional")
    encoder = Encoder(replace(base, **SHAPES[shape])).eval()
    for weight in encoder.parameters():
        nn.init.normal_(weight, std=0.2) if weight.ndim > 1 else weight.data.add_(0.1 * torch.randn_like(weight))
    if encoder.architecture.pooling == "weighted":
        nn.init.normal_(encoder.token_weights)
    return encoder


@pytest.fixture(scope="module")
def texts() -> list[str]:
    passages = [str(row["text"]) for row in sample_source("sample:topic").rows("validation", "utf-8")][:40]
    return [*passages, *(" ".join(text.split()[:3]) for text in passages), "", " ", "日本語", "a", "a"]


def vectors(model: SupportsEncode, reader: TextEncoder, texts: list[str], batch_tokens: int = 300) -> np.ndarray:
    return encode_all(model, reader.encode(texts), CPU, batch_tokens).numpy()


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def byte_form(encoder: Encoder, reader: TextEncoder, digest: str) -> SupportsEncode:
    return quantise(encoder, activation_ranges(encoder, reader, digest))


@pytest.mark.parametrize("shape", SHAPES)
def test_packed_vectors_are_those_of_the_encoder(shape: str, text_encoder: TextEncoder, texts: list[str]) -> None:
    model = MultiTaskModel(make(shape, text_encoder))
    np.testing.assert_allclose(
        vectors(pack(model.backbone), text_encoder, texts), vectors(model, text_encoder, texts), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("depth", [0, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_packed_states_at_a_block_are_those_of_the_encoder(
    shape: str, depth: int, text_encoder: TextEncoder, texts: list[str]
) -> None:
    model, encoded = MultiTaskModel(make(shape, text_encoder)), text_encoder.encode(texts)
    found = encode_hidden_states(pack(model.backbone), encoded, CPU, depth, 300)
    assert found.shape == (len(encoded.ids), 32)
    torch.testing.assert_close(found, encode_hidden_states(model, encoded, CPU, depth, 300), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "shape",
    ["bidirectional", "causal", "bert", "electra", "mpnet", "roberta", "albert", "modernbert", "eurobert", "weighted", "tanh"],
)
def test_bytes_are_close_to_fp32(shape: str, text_encoder: TextEncoder, texts: list[str]) -> None:
    encoder = make(shape, text_encoder)
    exact = vectors(pack(encoder), text_encoder, texts)
    rough = vectors(byte_form(encoder, text_encoder, f"close {shape}"), text_encoder, texts)
    assert cosines(exact, rough).min() > 0.99
    assert np.abs(exact - rough).max() > 1e-6  # it is another arithmetic


@pytest.mark.parametrize("shape", SHAPES)
def test_half_precision_is_close_to_fp32(shape: str, text_encoder: TextEncoder, texts: list[str]) -> None:
    encoder = make(shape, text_encoder)
    exact = vectors(pack(encoder), text_encoder, texts)
    half = fastest(MultiTaskModel(encoder), HALF)
    rough = encode_all(half, text_encoder.encode(texts), HALF, 300)
    assert rough.dtype == torch.float32
    assert cosines(exact, rough.numpy()).min() > 0.999
    assert np.abs(exact - rough.numpy()).max() > 1e-6


@pytest.mark.parametrize("shape", ["bidirectional", "bert", "eurobert"])
def test_half_precision_can_start_from_the_states_at_a_block(shape: str, text_encoder: TextEncoder, texts: list[str]) -> None:
    half = fastest(MultiTaskModel(make(shape, text_encoder)), HALF)
    encoded = text_encoder.encode(texts)
    with torch.inference_mode(), HALF.autocast():
        batch = encoded.batch(np.arange(len(texts)))
        torch.testing.assert_close(half.encode_from(batch, half.states(batch, 2), 2), half.encode(batch), atol=0, rtol=0)


@pytest.mark.parametrize("shape", ["bert", "mpnet", "roberta", "modernbert", "weighted"])
@pytest.mark.parametrize("form", ["packed", "bytes"])
def test_a_text_has_the_same_vector_in_any_batch(form: str, shape: str, text_encoder: TextEncoder, texts: list[str]) -> None:
    encoder = make(shape, text_encoder)
    fast = pack(encoder) if form == "packed" else byte_form(encoder, text_encoder, f"any batch {shape}")
    alone = np.concatenate([vectors(fast, text_encoder, [text]) for text in texts])
    for batch_tokens in (64, 10_000):
        np.testing.assert_allclose(vectors(fast, text_encoder, texts, batch_tokens), alone, atol=1e-5, rtol=0)
        np.testing.assert_allclose(vectors(fast, text_encoder, texts[::-1], batch_tokens)[::-1], alone, atol=1e-5, rtol=0)


def test_large_activations_are_split_and_not_cut(text_encoder: TextEncoder, texts: list[str]) -> None:
    encoder = make("bert", text_encoder)
    with torch.no_grad():
        encoder.blocks[1].expand.bias[:3] += 30.0
    exact = vectors(pack(encoder), text_encoder, texts)
    rough = vectors(byte_form(encoder, text_encoder, "large"), text_encoder, texts)
    assert (exact * rough).sum(1).min() > 0.99  # vectors of length 1


@pytest.fixture
def measured(text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Encoder, StoreEntry]:
    """An encoder and the cache file of its ranges, measured on a few texts."""
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))
    monkeypatch.setattr("mtlkit.inference.engines.calibration.calibration_texts", lambda: calibration_texts()[::50])
    encoder = make("bert", text_encoder)
    activation_ranges(encoder, text_encoder, "measured")
    (path,) = (tmp_path / "int8").iterdir()
    with safe_open(path, "np") as stored:
        return encoder, StoreEntry(path, "int8", stored.metadata()["key"])


def same(one: list[Peaks], other: list[Peaks]) -> bool:
    return [{name: peak.tolist() for name, peak in each.items()} for each in one] == [
        {name: peak.tolist() for name, peak in each.items()} for each in other
    ]


def test_ranges_are_measured_once(
    measured: tuple[Encoder, StoreEntry], text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, _ = measured
    counted = text_encoder.cut
    first = activation_ranges(encoder, text_encoder, "measured")
    monkeypatch.setattr("mtlkit.inference.engines.calibration.calibrate", None)  # must not be called again
    assert same(activation_ranges(encoder, text_encoder, "measured"), first)
    assert text_encoder.cut == counted


@pytest.mark.parametrize("damage", ["text", "cut", "bit", "nan", "inf", "zero"])
def test_damaged_ranges_are_named_and_measured_again(  # fault 43
    damage: str, measured: tuple[Encoder, StoreEntry], text_encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, file = measured
    first = activation_ranges(encoder, text_encoder, "measured")
    good = file.path.read_bytes()
    start = 8 + int.from_bytes(good[:8], "little")
    numbers = np.frombuffer(good[start:], np.float32)
    bad = {
        "text": b"damaged",
        "cut": good[:-3],
        "bit": good[:-1] + bytes([good[-1] ^ 64]),
        "nan": good[:start] + np.full_like(numbers, np.nan).tobytes(),
        "inf": good[:start] + np.append(numbers[1:], np.float32(np.inf)).tobytes(),
        "zero": good[:start] + bytes(numbers.nbytes),
    }
    file.path.write_bytes(bad[damage])
    assert same(activation_ranges(encoder, text_encoder, "measured"), first)
    (warning,) = caplog.messages
    assert warning.startswith(f"{file.path} ")
    assert file.path.read_bytes() == good


@pytest.mark.parametrize("change", ["shape", "type", "sign", "zero", "missing"])
def test_what_cannot_be_ranges_of_the_model_is_not_used(
    change: str, measured: tuple[Encoder, StoreEntry], text_encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, file = measured
    first = activation_ranges(encoder, text_encoder, "measured")
    arrays = load_file(file.path)
    match change:
        case "shape":
            arrays["1.qkv"] = arrays["1.qkv"][:-1].copy()
        case "type":
            arrays["1.qkv"] = arrays["1.qkv"].astype(np.float16)
        case "sign":
            arrays["1.qkv"] = -arrays["1.qkv"]
        case "zero":
            arrays = {name: np.zeros_like(array) for name, array in arrays.items()}
        case "missing":
            del arrays["2.contract"]
    file.write(arrays)
    assert same(activation_ranges(encoder, text_encoder, "measured"), first)
    assert "unexpected content" in caplog.text


def test_ranges_of_another_model_under_the_same_name_are_not_used(
    measured: tuple[Encoder, StoreEntry], text_encoder: TextEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    encoder, file = measured
    first = activation_ranges(encoder, text_encoder, "measured")
    replace(file, key="another").write(load_file(file.path))
    assert same(activation_ranges(encoder, text_encoder, "measured"), first)
    assert "other inputs" in caplog.text


def test_calibration_sees_passages_and_sentences() -> None:
    lengths = sorted(len(text.split()) for text in calibration_texts())
    assert len(lengths) > 1000
    assert lengths[50] < 8
    assert lengths[-50] > 40


def test_what_bytes_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="--precision int8 knows GELU, and this model has 'relu'; use --precision fp32"):
        check_int8(Architecture(300, 1, 8, 1, 8, activation="relu"))


def test_only_a_cpu_packs(text_encoder: TextEncoder) -> None:
    model = MultiTaskModel(make("bidirectional", text_encoder))
    assert fastest(model, CPU) is not model
    assert fastest(model, HALF) is not model
    assert fastest(model, Compute(torch.device("meta"), "fp32")) is model
