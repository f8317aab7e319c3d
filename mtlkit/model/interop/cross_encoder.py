"""Writes a head that reads pairs of texts in one sequence, with its backbone, as a folder that CrossEncoder(DIR) loads."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from mtlkit.config.architecture import Encoding, TaskSpec, head_activation
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.backbone import Backbone
from mtlkit.model.description import CONFIG
from mtlkit.model.heads.base import Affine, Head
from mtlkit.model.interop.json_files import read_json, read_object
from mtlkit.model.interop.modules import MODULES, THEIR_MODULES
from mtlkit.model.interop.settings.known import SENTENCE_TRANSFORMERS
from mtlkit.model.interop.writing import TokenizerFacts, write_foreign
from mtlkit.runs.record import WEIGHTS, write_json

CROSS_ENCODERS = "cross-encoder"  # folder of an export with a folder for each such head
ACTIVATIONS = {
    "gelu": "torch.nn.modules.activation.GELU",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "identity": "torch.nn.modules.linear.Identity",
}
SCORES = "scores"  # what CrossEncoder reads as its output


def write_cross_encoder(folder: Path, encoder: Backbone, head: Head, encoding: Encoding, marks: TokenizerFacts) -> None:
    """Writes everything except `tokenizer.json`: the modules of a sentence encoder, then each layer of the head as a module.
    Raises UsageError if transformers has no class for the encoder."""
    folder.mkdir(parents=True)
    write_foreign(folder, encoder, encoding, marks, VectorSettings())
    modules = read_json(folder / MODULES)
    layers = affine_layers(head)
    hidden = [ACTIVATIONS[head_activation(head.spec.head)]] * (len(layers) - 1)
    for layer, activation in zip(layers, [*hidden, ACTIVATIONS["identity"]], strict=True):
        place = len(modules)
        path = folder / f"{place}_Dense"
        path.mkdir()
        last = {"module_output_name": SCORES} if layer is layers[-1] else {}
        outputs, inputs = layer.weight.shape
        config = {"in_features": inputs, "out_features": outputs, "bias": True, "activation_function": activation}
        write_json(path / CONFIG, {**config, "module_input_name": "sentence_embedding", **last})
        save_file({"linear.weight": layer.weight, "linear.bias": layer.bias}, path / WEIGHTS)
        modules.append({"idx": place, "name": str(place), "path": path.name, "type": f"{THEIR_MODULES}Dense"})
    write_json(folder / MODULES, modules)
    activation = ACTIVATIONS["sigmoid" if head.spec.sigmoid or head.spec.kind == "multi-label" else "identity"]
    write_json(folder / SENTENCE_TRANSFORMERS, {"model_type": "CrossEncoder", "prompts": {}, "activation_fn": activation})
    write_json(folder / CONFIG, {**read_object(folder / CONFIG), **_labels(head.spec)})


def affine_layers(head: Head) -> list[Affine]:
    """The linear layers of a head, of which the last gives its outputs in the units of the labels."""
    affine = [layer.affine for layer in head.linear_layers()]
    layers = [Affine(*(part.cpu().clone(memory_format=torch.contiguous_format) for part in layer)) for layer in affine]
    spread, center = head.spec.spread, head.spec.center
    last = layers[-1]
    return layers if head.spec.sigmoid else [*layers[:-1], Affine(last.weight * spread, last.bias * spread + center)]


def _labels(spec: TaskSpec) -> dict[str, object]:
    names = {str(number): label for number, label in enumerate(spec.labels or (spec.name,))}
    return {"id2label": names, "label2id": {label: int(number) for number, label in names.items()}}
