"""Compares the outputs of an export with those of its model on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mtlkit.data.tokenization.text_pairs import encode_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.data.tokenization.words import encode_words
from mtlkit.errors import IntegrityError
from mtlkit.inference.compute import Compute
from mtlkit.inference.engines.base import Array, Engine, Pairs
from mtlkit.inference.engines.onnx_engine import VECTOR, OnnxEngine, output_name
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.inference.similarity import truncate
from mtlkit.inference.words import encode_texts_with_words
from mtlkit.model.checkpoint import load_model
from mtlkit.runs.record import GRAPH

Outputs = dict[str, Array]  # by their names in an ONNX graph: `vector`, `head:NAME`, `router`

TOLERANCE = 1e-5  # relative to the larger of 1 and the largest number
LONGEST = 512  # words of a text: models that read 32,000 tokens take minutes and gigabytes for so many
FIXED = (
    "",
    "A",
    "The striker scored twice before the interval.",
    "What a waste of an evening: two hours of noise, and nothing to remember but the rain on the way home.",
    "Ελληνικά, 日本語のテキスト, кириллица, العربية, 🦦",
    "<eos> </s> [SEP]",
)


def check_texts(encoder: TextEncoder, *, cut: bool) -> list[str]:
    """Short, blank, multilingual and long texts. The longest fills all positions of the model, if there are at most LONGEST;
    `cut` adds a longer one."""
    count = min(encoder.encoding.max_length, LONGEST)
    words = (FIXED[3].split() * count)[:count]
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = not encoder.encode([" ".join(words[:middle])]).truncated
        low, high = (middle, high) if fits else (low, middle - 1)
    texts = [*FIXED, " ".join(words[:low]), " ".join(words)]
    return texts if cut else [text for text in texts if not encoder.encode([text]).truncated]


def our_outputs(weights: LoadedWeights, texts: Sequence[str], *, windows: bool = True) -> Outputs:
    """Outputs of the model itself, in fp32 on the CPU; logits are divided by the temperature of their head. Without `windows`,
    words are those of `texts_of_words`."""
    return _outputs(TorchEngine(weights.model, Compute(torch.device("cpu"), "fp32")), weights, texts, windows=windows)


def onnx_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Outputs of an exported ONNX graph."""
    return _outputs(OnnxEngine(folder / GRAPH), weights, texts)


def compact_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Outputs of an exported run."""
    model, _ = load_model(folder)
    return our_outputs(replace(weights, model=model), texts)


def _outputs(engine: Engine, weights: LoadedWeights, texts: Sequence[str], *, windows: bool = True) -> Outputs:
    encoded = weights.encoder.encode(texts)
    single = [name for name in weights.readers if name not in weights.joint_heads]
    read = engine.outputs(encoded, single) if single else {}
    if weights.joint_heads:
        read |= engine.outputs(encode_pairs(weights.encoder, texts, joint_pairs(weights, texts)), weights.joint_heads)
    if weights.pair_heads:
        read |= engine.outputs(encoded, weights.pair_heads, neighbours(len(encoded)))
    if weights.word_heads:
        labelled = texts_of_words(weights, texts, whole=not windows)
        words = encode_texts_with_words(labelled, list(map(split_words, labelled)), weights.encoder, whole=False)
        read |= engine.outputs(words, weights.word_heads)
    temperatures = {task: spec.temperature for task, spec in weights.model.tasks.items()}
    calibrated = {head: outputs / temperatures.get(head, 1.0) for head, outputs in read.items()}
    vectors = truncate(engine.vectors(encoded), weights.checkpoint.vectors.truncate_dim)
    return {VECTOR: vectors, **{output_name(head): outputs for head, outputs in calibrated.items()}}


def neighbours(texts: int) -> Pairs:
    """Each of N texts with the next one, and the last with the first, (2, N)."""
    order = np.arange(texts)
    return np.stack([order, np.roll(order, -1)])


def texts_of_words(weights: LoadedWeights, texts: Sequence[str], *, whole: bool) -> list[str]:
    """The texts whose words are compared; if they have to be `whole`, those that fit into one window and of which the tokenizer
    leaves out no word."""
    if not whole:
        return list(texts)
    read = [(text, encode_words([text], [split_words(text)], weights.encoder)) for text in texts]
    return [text for text, encoded in read if len(encoded.encoded) == 1 and not len(encoded.unread)]


def joint_pairs(weights: LoadedWeights, texts: Sequence[str]) -> Pairs:
    """The numbers of neighbouring texts, (2, M), as pairs in one sequence: those that fit, if other libraries truncate in another
    way."""
    pairs = neighbours(len(texts))
    if weights.encoder.encoding.truncate != "head-tail":
        return pairs
    fits = [not encode_pairs(weights.encoder, texts, pairs[:, [place]]).truncated for place in range(len(texts))]
    return pairs[:, fits]


def largest_difference(
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    tolerance: float = TOLERANCE,
    *,
    what: str = "the export",
    other: str = "the model",
) -> float:
    """The largest difference of two sets of outputs, relative to the largest number of an output if that is above 1.

    Raises IntegrityError that names the output if it is above `tolerance`.
    """
    for name, output in ours.items():
        if theirs[name].shape != output.shape:
            shapes = f"has the shape {theirs[name].shape}, in {other} {output.shape}"
            raise IntegrityError(f"output '{name}' of {what} {shapes}; nothing was written")
    differences = {
        name: float(np.abs(theirs[name] - output).max() / max(1.0, float(np.abs(output).max()))) for name, output in ours.items()
    }
    worst = max(differences, key=lambda name: np.inf if np.isnan(differences[name]) else differences[name])
    if not differences[worst] <= tolerance:
        raise IntegrityError(f"{what} differs from {other} by {differences[worst]:.1e} at '{worst}'; nothing was written")
    return differences[worst]
