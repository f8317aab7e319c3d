"""Task heads in an exported sentence-transformers folder, which has no format for them: `heads.json` and `heads.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mtlkit.config.architecture import TaskSpec, parse_head
from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.model.description import HEAD_WEIGHTS, HEADS
from mtlkit.model.heads.base import Affine, HeadLayer
from mtlkit.model.heads.crf_head import CrfHead
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import Uninitialised
from mtlkit.model.weight_checks import UnusableWeight, usable
from mtlkit.runs.record import diagnose, write_json

TRANSITIONS, ALLOWED = "{}.transitions", "{}.allowed"  # names of tables of transitions: learned ones, and those of a scheme


@dataclass(frozen=True)
class WordReading:
    """What heads that label words need beside their layers: the regular expression that splits texts into words, and for each of
    these tasks the transitions that its scheme allows, as `tag_sequences` takes them."""

    pattern: str
    allowed: Mapping[str, NDArray[np.floating[Any]]]


def write_heads(folder: Path, model: MultiTaskModel, words: WordReading | None = None) -> None:
    """Writes each head with its kind, its labels and the names of its linear layers (exact GELU between them). `words` is for
    heads that label words."""
    tasks: list[dict[str, Any]] = []
    weights: dict[str, torch.Tensor] = {}
    for name, spec in model.tasks.items():
        layers = _linear(model, name)
        tasks.append({**spec.to_json(), "layers": list(layers)})
        for layer_name, layer in layers.items():
            stored = layer.affine._asdict().items()
            weights |= {
                f"{layer_name}.{kind}": tensor.cpu().clone(memory_format=torch.contiguous_format) for kind, tensor in stored
            }
        head = model.head(name)
        if isinstance(head, CrfHead):
            weights[TRANSITIONS.format(name)] = head.crf.table.cpu()
    if words is not None:
        weights |= {ALLOWED.format(name): torch.tensor(table, dtype=torch.float32) for name, table in words.allowed.items()}
    write_json(folder / HEADS, {"tasks": tasks, **({} if words is None else {"words": words.pattern})})
    save_file(weights, folder / HEAD_WEIGHTS)


def read_tasks(folder: Path) -> tuple[TaskSpec, ...]:
    """Reads the tasks whose heads a folder contains; empty if mtlkit did not write the folder. Raises IntegrityError."""
    if not (folder / HEADS).is_file():
        return ()
    try:
        return tuple(
            TaskSpec.from_json({key: value for key, value in task.items() if key != "layers"})
            for task in read_object(folder / HEADS)["tasks"]
        )
    except (KeyError, TypeError, AttributeError, ValueError, UsageError) as error:
        raise IntegrityError(f"{folder / HEADS}: damaged ({error})") from None


def read_heads(folder: Path, model: MultiTaskModel, tasks: Sequence[TaskSpec]) -> None:
    """Loads the heads of a folder into a model. Raises IntegrityError."""
    try:
        if tasks:
            check_file(folder / HEAD_WEIGHTS)
        weights = load_file(folder / HEAD_WEIGHTS) if tasks else {}
        for spec in tasks:
            names = [f"{spec.name}.{index}" for index in range(len(parse_head(spec.head)) + 1)]
            stored = [[usable(full, weights[full]) for full in (f"{name}.weight", f"{name}.bias")] for name in names]
            add_head(model, spec, [Affine(*layer) for layer in stored])
            head = model.head(spec.name)
            if isinstance(head, CrfHead):
                name = TRANSITIONS.format(spec.name)
                head.crf.set_table(usable(name, weights[name]))
    except UnusableWeight as error:
        raise IntegrityError(f"{folder / HEAD_WEIGHTS}: {error}") from None
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        damage = diagnose(folder / HEAD_WEIGHTS)
        raise IntegrityError(f"{folder / HEAD_WEIGHTS}: {damage or f'missing, or not the heads of {HEADS} ({error})'}") from None


def add_head(model: MultiTaskModel, spec: TaskSpec, layers: Sequence[Affine]) -> None:
    """Adds a task with these linear layers of its head. Raises ValueError if their shapes are wrong."""
    with torch.device("meta"), Uninitialised():  # a wrong width allocates no memory
        model.add_task(spec)
    for layer, stored in zip(model.head(spec.name).linear_layers(), layers, strict=True):
        layer.check_shape(stored)
        layer.to_empty(device="cpu").set_affine(stored)


def _linear(model: MultiTaskModel, task: str) -> dict[str, HeadLayer]:
    """The linear layers of a head, by their names in its file."""
    return {f"{task}.{index}": layer for index, layer in enumerate(model.head(task).linear_layers())}


# The model card of an export includes this source, so it uses only json, pathlib, torch and safetensors.
def apply_heads(
    folder: str, vectors: torch.Tensor, seconds: torch.Tensor | None = None, words: bool = False
) -> dict[str, torch.Tensor]:
    weights = load_file(Path(folder) / "heads.safetensors")
    activations: dict[str, torch.nn.Module] = {"mlp": torch.nn.GELU(), "tanh": torch.nn.Tanh(), "relu": torch.nn.ReLU()}
    results = {}
    for task in json.loads((Path(folder) / "heads.json").read_text(encoding="utf-8"))["tasks"]:
        if words != ("tags" in task):
            continue
        if task.get("pair") not in ((None, "either") if seconds is None else ("vectors",)):  # "joint": see cross-encoder/
            continue
        outputs = vectors
        if seconds is not None:
            outputs = torch.cat([vectors, seconds, (vectors - seconds).abs(), vectors * seconds], dim=-1)
        for index, name in enumerate(task["layers"]):
            outputs = activations[task["head"].split(":")[0]](outputs) if index else outputs
            outputs = torch.nn.functional.linear(outputs, weights[f"{name}.weight"], weights[f"{name}.bias"])
        outputs = outputs.sigmoid() if task.get("sigmoid") else outputs
        results[task["name"]] = outputs * task["spread"] + task["center"]
    return results
