"""The share of the token embeddings in what is pooled, in the format of the sentence-transformers module WeightedLayerPooling.

The module takes a weighted mean of the hidden states of all layers. Here, those between the embeddings and the last have no
weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtlkit.errors import IntegrityError
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.weight_files import weight_files
from mtlkit.runs.record import WEIGHTS, diagnose

MODULE = "WeightedLayerPooling"
KEY = "layer_weights"


def layer_pooling(dim: int, layers: int) -> dict[str, Any]:
    """The configuration of the module, for hidden states of a width."""
    return {"word_embedding_dimension": dim, "layer_start": 0, "num_hidden_layers": layers}


def write_layer_weights(folder: Path, share: float, layers: int) -> None:
    """Writes the weights of the module: `share` of the embeddings, the rest of the last layer."""
    import torch
    from safetensors.torch import save_file

    save_file({KEY: torch.tensor([share, *[0.0] * (layers - 1), 1 - share])}, folder / WEIGHTS)


def read_embedding_share(folder: Path, layers: int) -> float:
    """The share of the embeddings in the mean that a module takes of the hidden states of so many layers. Raises IntegrityError
    if another layer than the last has a weight, too."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / CONFIG
    start = read_object(path).get("layer_start", 4)  # the module's own default
    if type(start) is not int or not 0 <= start <= layers:
        raise IntegrityError(f"{path}: layer_start {start!r} is out of range; the model has {layers} layers")
    (file,) = weight_files(folder)[:1]
    try:
        stored: list[float] = load_file(file)[KEY].double().flatten().tolist()
    except (OSError, SafetensorError, KeyError) as error:
        raise IntegrityError(f"{file}: {diagnose(file) or f'not the weights of this module ({error})'}") from None
    if len(stored) != layers + 1 - start:
        raise IntegrityError(f"{file}: {KEY} has {len(stored)} weights; from layer {start} of {layers}, {layers + 1 - start} fit")
    first, *between, last = [0.0] * start + stored
    total = first + last
    if any(between) or not min(first, last) >= 0 or not 0 < total < float("inf") or first >= total:
        raise IntegrityError(
            f"{file}: {KEY} {stored} are not supported; supported: weights of the embeddings and of the last layer, 0 elsewhere"
        )
    return first / total
