"""The ranges that int8 needs of a model: measured once on the samples inside the package, then kept in the cache."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mtlkit.data.batching import sorted_batches
from mtlkit.data.cache import cache_folder, keep
from mtlkit.data.corpus import sample_passages
from mtlkit.data.tokenizer import TextEncoder
from mtlkit.inference.engine import BATCH_TOKENS
from mtlkit.inference.int8 import Peaks, calibrate
from mtlkit.model.encoder import Encoder

FORMAT = 1  # raised when other texts are measured


def calibration_texts() -> list[str]:
    """Passages and single sentences of both samples: short texts reach values that long ones don't."""
    passages = sample_passages()
    sentences = [sentence for passage in passages for sentence in re.split(r"(?<=[.?!])\s+", passage)]
    return passages[::4] + sentences[::2]


def ranges_of(encoder: Encoder, reader: TextEncoder, digest: str) -> list[Peaks]:
    """The ranges of each block. `digest` names the weights and the way texts are read."""
    path = cache_folder() / "int8" / f"{digest[:32]}-{FORMAT}.safetensors"
    try:
        return _read(path, len(encoder.blocks))
    except (OSError, SafetensorError, KeyError):
        pass  # not there, or damaged: measured anew
    encoded = reader.with_prompt("").encode(calibration_texts())  # the ranges of a model are kept whatever the prompt
    ranges = calibrate(encoder, (encoded.batch(rows) for rows in sorted_batches(encoded.lengths, BATCH_TOKENS)))
    keep(path, {f"{block}.{name}": peak.numpy() for block, peaks in enumerate(ranges) for name, peak in peaks.items()})
    return ranges


def _read(path: Path, blocks: int) -> list[Peaks]:
    flat = load_file(path)
    names = ("qkv", "out", "expand", "contract")
    return [{name: torch.from_numpy(flat[f"{block}.{name}"]) for name in names} for block in range(blocks)]
