"""Heads beside a folder of sentence-transformers, which has no place for them: `heads.json` and `heads.safetensors`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs import write_json

HEADS, HEAD_WEIGHTS = "heads.json", "heads.safetensors"


def write_heads(folder: Path, model: MultiTaskModel) -> None:
    """Every head with its kind, labels, and the names of its linear layers, between which stands an exact GELU."""
    tasks: list[dict[str, Any]] = []
    weights: dict[str, torch.Tensor] = {}
    for name, spec in model.tasks.items():
        linear = [layer for layer in model.head(name).layers if isinstance(layer, nn.Linear)]
        layers = {f"{name}.{place}": layer for place, layer in enumerate(linear)}
        tasks.append({**asdict(spec), "layers": list(layers)})
        for layer_name, layer in layers.items():
            weights |= {f"{layer_name}.{kind}": tensor.detach().cpu().clone() for kind, tensor in layer.state_dict().items()}
    write_json(folder / HEADS, {"tasks": tasks})
    save_file(weights, folder / HEAD_WEIGHTS)


# Its source stands in the card of an export, so it uses nothing but json, pathlib, torch and safetensors.
def apply_heads(folder: str, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
    weights = load_file(Path(folder) / "heads.safetensors")
    found = {}
    for task in json.loads((Path(folder) / "heads.json").read_text(encoding="utf-8"))["tasks"]:
        outputs = vectors
        for place, name in enumerate(task["layers"]):
            outputs = torch.nn.functional.gelu(outputs) if place else outputs
            outputs = torch.nn.functional.linear(outputs, weights[f"{name}.weight"], weights[f"{name}.bias"])
        found[task["name"]] = outputs * task["spread"] + task["center"]
    return found
