"""The ranges that int8 needs of a model: measured once on the samples inside the package, then kept in the cache."""

from __future__ import annotations

import re

import torch

from mtlkit.data.batching import sorted_batches
from mtlkit.data.datasets.corpus import sample_passages
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.engine import BATCH_TOKENS
from mtlkit.inference.int8 import Peaks, calibrate
from mtlkit.model.encoder import Block, Encoder
from mtlkit.runs.store import INT8, Arrays, digest, fits, user_entry

FORMAT = "2"  # raised when other texts are measured


def calibration_texts() -> list[str]:
    """Passages and single sentences of both samples: short texts reach values that long ones don't."""
    passages = sample_passages()
    sentences = [sentence for passage in passages for sentence in re.split(r"(?<=[.?!])\s+", passage)]
    return passages[::4] + sentences[::2]


def ranges_of(encoder: Encoder, reader: TextEncoder, model_digest: str) -> list[Peaks]:
    """The ranges of each block. `model_digest` names the weights and the way texts are read. Raises IntegrityError where the
    activations of the model are not finite."""

    def measure() -> Arrays:
        apart = reader.with_prompt("")  # the ranges hold for any prompt; what is cut here is not counted among the user's texts
        encoded = apart.encode(calibration_texts())
        ranges = calibrate(encoder, (encoded.batch(rows) for rows in sorted_batches(encoded.lengths, BATCH_TOKENS)))
        return {f"{block}.{name}": peak.numpy() for block, peaks in enumerate(ranges) for name, peak in peaks.items()}

    file = user_entry(INT8, digest(FORMAT, model_digest))
    flat = file.get(measure, lambda arrays: _is_sound(arrays, encoder))
    return [
        {name: torch.from_numpy(flat[f"{block}.{name}"]) for name in widths_of(encoder)} for block in range(len(encoder.blocks))
    ]


def widths_of(encoder: Encoder) -> dict[str, int]:
    """How many channels the input of each product of a block has."""
    block = encoder.blocks[0]
    assert isinstance(block, Block)
    attention = block.attention
    layers = {"qkv": attention.qkv, "out": attention.out, "expand": block.expand, "contract": block.contract}
    return {name: layer.in_features for name, layer in layers.items()}


def _is_sound(arrays: Arrays, encoder: Encoder) -> bool:
    """Whether the arrays are ranges of this encoder: magnitudes (below GELU, largest values), and not all of them 0."""
    for block in range(len(encoder.blocks)):
        for name, width in widths_of(encoder).items():
            peak = arrays.get(f"{block}.{name}")
            if peak is None or not fits(peak, "<f4", width) or (name != "contract" and peak.min() < 0):
                return False
    return any(peak.any() for peak in arrays.values())
