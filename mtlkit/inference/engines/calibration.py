"""Activation ranges for int8: measured once on the sample texts in the package, then cached."""

from __future__ import annotations

import re

import torch

from mtlkit.data.batching import sorted_batches
from mtlkit.data.datasets.corpus import sample_passages
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.engines.base import BATCH_TOKENS
from mtlkit.inference.engines.int8 import calibrate
from mtlkit.inference.engines.int8_mlp import Peaks
from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.block import Block
from mtlkit.runs.store import INT8, Arrays, cache_key, has_shape, user_entry

FORMAT = "2"  # incremented when the calibration texts change


def calibration_texts() -> list[str]:
    """Passages and single sentences of the sample corpora; short texts reach values that long ones do not."""
    passages = sample_passages()
    sentences = [sentence for passage in passages for sentence in re.split(r"(?<=[.?!])\s+", passage)]
    return passages[::4] + sentences[::2]


def activation_ranges(encoder: Encoder, reader: TextEncoder, model_digest: str) -> list[Peaks]:
    """The activation ranges of each block, from the cache if possible.

    `model_digest` identifies the weights and the tokenizer. Raises IntegrityError if activations are NaN or infinite.
    """

    def measure() -> Arrays:
        separate = reader.with_prompt("")  # a copy, so that texts truncated here are not counted among the user's texts
        encoded = separate.encode(calibration_texts())
        ranges = calibrate(encoder, (encoded.batch(rows) for rows in sorted_batches(encoded.lengths, BATCH_TOKENS)))
        return {f"{block}.{name}": peak.numpy() for block, peaks in enumerate(ranges) for name, peak in peaks.items()}

    file = user_entry(INT8, cache_key(FORMAT, model_digest))
    flat = file.get(measure, lambda arrays: _is_sound(arrays, encoder)).arrays
    return [
        {name: torch.from_numpy(flat[f"{block}.{name}"]) for name in input_widths(encoder)}
        for block in range(len(encoder.blocks))
    ]


def input_widths(encoder: Encoder) -> dict[str, int]:
    """The input width of each linear layer of a block."""
    block = encoder.blocks[0]
    assert isinstance(block, Block)
    attention = block.attention
    layers = {"qkv": attention.qkv, "out": attention.out, "expand": block.expand, "contract": block.contract}
    return {name: layer.in_features for name, layer in layers.items()}


def _is_sound(arrays: Arrays, encoder: Encoder) -> bool:
    """Whether the arrays fit this encoder: not negative (except for the maxima before `contract`), and not all 0."""
    for block in range(len(encoder.blocks)):
        for name, width in input_widths(encoder).items():
            peak = arrays.get(f"{block}.{name}")
            if peak is None or not has_shape(peak, "<f4", width) or (name != "contract" and peak.min() < 0):
                return False
    return any(peak.any() for peak in arrays.values())
