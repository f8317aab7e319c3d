"""What sentence-transformers computes for an export, or for the folder that a model was read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.engines.base import Array
from mtlkit.inference.engines.onnx_engine import HEAD_OUTPUT, VECTOR
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.interop.cross_encoder import CROSS_ENCODERS
from mtlkit.model.interop.head_files import apply_heads
from mtlkit.model.interop.peft import BASE
from mtlkit.model.interop.silence import silence
from mtlkit.model.interop.word_heads import label_words
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.exporting.verify import (
    Outputs,
    check_texts,
    joint_pairs,
    largest_difference,
    neighbours,
    our_outputs,
    texts_of_words,
)


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
    if weights.word_heads:
        labelled = [label_words(str(folder), model, text)[1] for text in texts_of_words(weights, texts, whole=True)]
        heads |= {task: torch.cat([labels[task][1] for labels in labelled]) for task in weights.word_heads}
    if weights.pair_heads:
        first, second = torch.from_numpy(neighbours(len(whole)))
        heads |= apply_heads(str(folder), whole[first], whole[second])
    outputs = {task: output.numpy() for task, output in heads.items()} | joint
    return {VECTOR: vectors.numpy(), **{HEAD_OUTPUT.format(task): output for task, output in outputs.items()}}


def peft_outputs(folder: Path, texts: Sequence[str]) -> Outputs:
    """Vectors by sentence-transformers with the adapter that peft puts on the exported base. Raises IntegrityError if it cannot
    load them."""
    try:
        with silence():
            from peft import PeftModel

            model = load_library_model(folder / BASE)
            transformer = model[0]
            name = next(name for name in ("model", "auto_model") if name in transformer._modules)
            setattr(transformer, name, PeftModel.from_pretrained(getattr(transformer, name), str(folder)).merge_and_unload())
        return {VECTOR: library_vectors(model, texts).numpy()}
    except UsageError:
        raise
    except Exception as error:  # whatever its class, the export cannot be used
        raise IntegrityError(f"peft cannot load the export ({error})") from error


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
