"""Compares the outputs of an export with those of its model on the same texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtlkit.data.tokenization.text_pairs import encode_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.engine import Array, Engine, Pairs
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.inference.onnx_engine import HEAD_OUTPUT, VECTOR, OnnxEngine, output_name
from mtlkit.inference.similarity import truncate
from mtlkit.inference.torch_engine import TorchEngine
from mtlkit.inference.words import encode_texts_with_words
from mtlkit.model.checkpoint import load_model
from mtlkit.model.interop.cross_encoder import CROSS_ENCODERS
from mtlkit.model.interop.head_files import apply_heads
from mtlkit.model.interop.silence import silence
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs.record import GRAPH

Outputs = dict[str, Array]  # by their names in an ONNX graph: `vector`, `head:NAME`, `router`

TOLERANCE = 1e-5  # relative to the larger of 1 and the largest number
FIXED = (
    "",
    "A",
    "The striker scored twice before the interval.",
    "What a waste of an evening: two hours of noise, and nothing to remember but the rain on the way home.",
    "Ελληνικά, 日本語のテキスト, кириллица, العربية, 🦦",
    "<eos> </s> [SEP]",
)


def check_texts(encoder: TextEncoder, *, cut: bool) -> list[str]:
    """Short, blank, multilingual and long texts. The longest fills all positions of the model; `cut` adds a longer one."""
    words = (FIXED[3].split() * encoder.encoding.max_length)[: encoder.encoding.max_length]
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = not encoder.encode([" ".join(words[:middle])]).truncated
        low, high = (middle, high) if fits else (low, middle - 1)
    texts = [*FIXED, " ".join(words[:low]), " ".join(words)]
    return texts if cut else [text for text in texts if not encoder.encode([text]).truncated]


def our_outputs(weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Outputs of the model itself, in fp32 on the CPU; logits are divided by the temperature of their head."""
    return _outputs(TorchEngine(weights.model, Compute(torch.device("cpu"), "fp32")), weights, texts)


def onnx_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Outputs of an exported ONNX graph."""
    return _outputs(OnnxEngine(folder / GRAPH), weights, texts)


def compact_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Outputs of an exported run."""
    model, _ = load_model(folder)
    return our_outputs(replace(weights, model=model), texts)


def _outputs(engine: Engine, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    encoded = weights.encoder.encode(texts)
    single = [name for name in weights.readers if name not in weights.joint_heads]
    read = engine.outputs(encoded, single) if single else {}
    if weights.joint_heads:
        read |= engine.outputs(encode_pairs(weights.encoder, texts, joint_pairs(weights, texts)), weights.joint_heads)
    if weights.pair_heads:
        read |= engine.outputs(encoded, weights.pair_heads, neighbours(len(encoded)))
    if weights.word_heads:
        words = encode_texts_with_words(texts, list(map(split_words, texts)), weights.encoder, whole=False)
        read |= engine.outputs(words, weights.word_heads)
    temperatures = {task: spec.temperature for task, spec in weights.model.tasks.items()}
    calibrated = {head: outputs / temperatures.get(head, 1.0) for head, outputs in read.items()}
    vectors = truncate(engine.vectors(encoded), weights.checkpoint.vectors.truncate_dim)
    return {VECTOR: vectors, **{output_name(head): outputs for head, outputs in calibrated.items()}}


def neighbours(texts: int) -> Pairs:
    """Each of N texts with the next one, and the last with the first, (2, N)."""
    order = np.arange(texts)
    return np.stack([order, np.roll(order, -1)])


def joint_pairs(weights: LoadedWeights, texts: Sequence[str]) -> Pairs:
    """The numbers of neighbouring texts, (2, M), as pairs in one sequence: those that fit, if other libraries truncate in another
    way."""
    pairs = neighbours(len(texts))
    if weights.encoder.encoding.truncate != "head-tail":
        return pairs
    fits = [not encode_pairs(weights.encoder, texts, pairs[:, [place]]).truncated for place in range(len(texts))]
    return pairs[:, fits]


def sentence_transformers_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str]) -> Outputs:
    """Vectors by sentence-transformers, and outputs of the heads beside them. Raises IntegrityError if it cannot load the folder,
    UsageError if it cannot be imported."""
    try:
        model = load_library_model(folder)
        vectors = library_vectors(model, texts)
        if weights.model.tasks:
            model.truncate_dim = None
            whole = library_vectors(model, texts)
        joint = {
            task: cross_encoder_outputs(folder / CROSS_ENCODERS / task, weights, texts, task) for task in weights.joint_heads
        }
    except UsageError:
        raise
    except Exception as error:  # whatever its class, the export cannot be used
        raise IntegrityError(f"sentence-transformers cannot load the export ({error})") from error
    heads = apply_heads(str(folder), whole) if weights.model.tasks else {}
    if weights.pair_heads:
        first, second = torch.from_numpy(neighbours(len(whole)))
        heads |= apply_heads(str(folder), whole[first], whole[second])
    outputs = {task: output.numpy() for task, output in heads.items()} | joint
    return {VECTOR: vectors.numpy(), **{HEAD_OUTPUT.format(task): output for task, output in outputs.items()}}


def cross_encoder_outputs(folder: Path, weights: LoadedWeights, texts: Sequence[str], task: str) -> Array:
    """What CrossEncoder gives for neighbouring texts, (M, outputs): logits for classes and labels, else the number."""
    with silence():
        from sentence_transformers import CrossEncoder

        # for labels, a folder asks for probabilities
        activation = None if not weights.model.tasks[task].labels else torch.nn.Identity()
        exact = {"torch_dtype": torch.float32}
        model = CrossEncoder(str(folder), device="cpu", local_files_only=True, model_kwargs=exact, activation_fn=activation)
        pairs = [(texts[first], texts[second]) for first, second in joint_pairs(weights, texts).T]
        scores: Array = model.predict(pairs, show_progress_bar=False)
    return scores.reshape(len(pairs), -1)


def difference_from_source(folder: Path, weights: LoadedWeights) -> float:
    """The largest difference of our vectors from those of sentence-transformers for a Hugging Face folder, with its defaults, in
    float32 and one text at a time (with some padding settings, other texts of a batch change a vector); of a classifier's scores
    for pairs from those of its CrossEncoder.

    Texts that spell out special tokens are skipped where mtlkit reads them as plain text. Raises IntegrityError if the vectors
    differ, or the library cannot load the folder.
    """
    encoder = weights.encoder
    texts = check_texts(encoder, cut=encoder.encoding.truncate != "head-tail")
    if encoder.encoding.literal_special_tokens:
        parsing = encoder.with_encoding(literal_special_tokens=False)
        texts = [text for text in texts if np.array_equal(encoder.encode([text]).ids, parsing.encode([text]).ids)]
    (head,) = weights.joint_heads if weights.classifies else (None,)
    try:
        if head is None:
            name, theirs = VECTOR, library_vectors(load_library_model(folder), texts, alone=True).numpy()
        else:
            name, theirs = HEAD_OUTPUT.format(head), cross_encoder_outputs(folder, weights, texts, head)
    except UsageError:
        raise
    except Exception as error:  # whatever its class, the folder cannot be compared
        raise IntegrityError(f"{folder}: sentence-transformers cannot load it ({error}); nothing was written") from error
    model = weights.model if head is not None else MultiTaskModel(weights.model.backbone)
    ours = our_outputs(replace(weights, model=model), texts)[name]
    if ours.shape != theirs.shape:
        shapes = f"{ours.shape[1]} numbers, in sentence-transformers {theirs.shape[1]}"
        raise IntegrityError(f"{folder}: vectors have {shapes}; nothing was written")
    return largest_difference({name: ours}, {name: theirs}, what=f"mtlkit's reading of {folder}", other="sentence-transformers'")


def load_library_model(folder: Path) -> Any:
    """The SentenceTransformer of a folder, on the CPU in fp32. Raises UsageError if the library cannot be imported."""
    try:
        with silence():
            from sentence_transformers import SentenceTransformer
    except Exception as error:
        raise UsageError(
            f"sentence-transformers, which checks the export, cannot be imported ({error}); reinstall it, or uninstall it"
        ) from error
    with silence():
        # if the folder specifies a smaller type, the weights would be rounded to it first
        exact = {"torch_dtype": torch.float32}
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True, model_kwargs=exact).float()


def library_vectors(model: Any, texts: Sequence[str], *, alone: bool = False) -> torch.Tensor:
    """The default output of `encode`, (N, dim). `alone`: encodes each text in a batch of its own."""
    options = {"batch_size": 1} if alone else {}
    with silence():
        vectors: torch.Tensor = model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False, **options)
    return vectors.float()


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
    differences = {
        name: float(np.abs(theirs[name] - output).max() / max(1.0, float(np.abs(output).max()))) for name, output in ours.items()
    }
    worst = max(differences, key=lambda name: np.inf if np.isnan(differences[name]) else differences[name])
    if not differences[worst] <= tolerance:
        raise IntegrityError(f"{what} differs from {other} by {differences[worst]:.1e} at '{worst}'; nothing was written")
    return differences[worst]
