"""Dense modules of sentence-transformers: linear layers on the vector of a text, in folders of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit.config.pooling import DenseActivation, DenseShape
from mtlkit.errors import IntegrityError, UsageError, listed, shorten
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.weight_files import weight_files
from mtlkit.runs.record import WEIGHTS, diagnose

if TYPE_CHECKING:
    from torch import Tensor

DENSE = "dense."  # prefix of our weights of dense layers; here, as `names` imports torch
LINEAR, NORM = "linear.", "norm."  # prefixes of theirs
LAYERS = ("Dense", "LayerNorm")  # the kinds of modules on vectors with weights
TORCH = "torch.nn.modules."
ACTIVATIONS: dict[str, DenseActivation] = {  # by class in torch.nn
    "Identity": "none",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
}
PATHS = {ours: f"{TORCH}{'linear' if name == 'Identity' else 'activation'}.{name}" for name, ours in ACTIVATIONS.items()}


@dataclass(frozen=True)
class DenseModule:
    """The folder of a Dense or LayerNorm module, the width of its input, and its shape."""

    folder: Path
    inputs: int
    shape: DenseShape


def read_dense(folder: Path, kind: str) -> DenseModule:
    """Reads the configuration of a module of a kind. Raises IntegrityError."""
    path = folder / CONFIG
    config = read_object(path)
    if kind == "LayerNorm":
        size = config.get("dimension")
        config = {"in_features": size, "out_features": size, "activation_function": PATHS["none"]}
    inputs, width, bias = config.get("in_features"), config.get("out_features"), config.get("bias", True)
    if type(inputs) is not int or type(width) is not int or type(bias) is not bool:
        raise IntegrityError(f"{path}: damaged (in_features and out_features are not numbers, or bias is neither true nor false)")
    stated = config.get("activation_function", PATHS["tanh"])
    name = str(stated).rpartition(".")[2]
    if not str(stated).startswith("torch.nn.") or name not in ACTIVATIONS:
        raise IntegrityError(
            f"{path}: activation_function {shorten(str(stated))!r} is not supported; supported: {listed(ACTIVATIONS)} of torch.nn"
        )
    try:
        return DenseModule(folder, inputs, DenseShape(width, ACTIVATIONS[name], bias, norm=kind == "LayerNorm"))
    except UsageError as error:
        raise IntegrityError(f"{path}: {error}") from None


def check_widths(modules: tuple[DenseModule, ...], pooled: int) -> None:
    """Raises IntegrityError if a module does not read as many numbers as what comes before it gives."""
    for module in modules:
        if module.inputs != pooled:
            raise IntegrityError(f"{module.folder / CONFIG}: in_features {module.inputs}, but the vectors have {pooled} numbers")
        pooled = module.shape.width


def dense_config(inputs: int, shape: DenseShape) -> tuple[str, dict[str, Any]]:
    """The kind and the configuration of a module, for `read_dense`."""
    if shape.norm:
        return "LayerNorm", {"dimension": shape.width}
    activation = PATHS[shape.activation]
    sizes = {"in_features": inputs, "out_features": shape.width}
    return "Dense", {**sizes, "bias": shape.bias, "activation_function": activation}


def dense_files(modules: tuple[DenseModule, ...]) -> list[Path]:
    """The files with their weights. Raises IntegrityError if one is missing or unreadable."""
    return [path for module in modules for path in weight_files(module.folder)]


def read_dense_weights(modules: tuple[DenseModule, ...]) -> dict[str, Tensor]:
    """The weights of all modules by their names in `Encoder`. Raises IntegrityError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mtlkit.model.weight_checks import UnusableWeight, usable

    weights: dict[str, Tensor] = {}
    for place, module in enumerate(modules):
        (path,) = weight_files(module.folder)[:1]
        prefix, width = NORM if module.shape.norm else LINEAR, module.shape.width
        shapes: dict[str, tuple[int, ...]] = {"weight": (width,) if module.shape.norm else (width, module.inputs)}
        shapes |= {"bias": (width,)} if module.shape.bias else {}
        try:
            stored = load_file(path)
            for kind, shape in shapes.items():
                weight = usable(f"{prefix}{kind}", stored[f"{prefix}{kind}"])
                if weight.shape != shape:
                    raise ValueError(f"{prefix}{kind} of shape {tuple(weight.shape)}, by {CONFIG} {shape}")
                weights[f"{DENSE}{place}.{kind}"] = weight
        except (OSError, SafetensorError, KeyError, ValueError, UnusableWeight) as error:
            raise IntegrityError(f"{path}: {diagnose(path) or f'not the weights of this module ({error})'}") from None
    return weights


def write_dense_weights(folders: list[Path], weights: dict[str, Tensor]) -> None:
    """Writes the weights of each module, by their names in `Encoder`, into its folder."""
    from safetensors.torch import save_file

    for place, folder in enumerate(folders):
        own = f"{DENSE}{place}."
        named = {name.removeprefix(own): weight for name, weight in weights.items() if name.startswith(own)}
        prefix = LINEAR if named["weight"].ndim == 2 else NORM
        save_file({f"{prefix}{kind}": weight.detach().cpu().float() for kind, weight in named.items()}, folder / WEIGHTS)
