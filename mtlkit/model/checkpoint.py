"""Saves and loads a model as `config.json` and `model.safetensors`. A loaded model gives the same logits as the saved one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mtlkit.config.architecture import Encoding, Stage
from mtlkit.config.small_files import check_file
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.errors import IntegrityError
from mtlkit.model.backbones import build_backbone
from mtlkit.model.compact import narrow, widen
from mtlkit.model.description import CONFIG, ModelDescription, read_checkpoint, write_checkpoint
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import Uninitialised
from mtlkit.model.weight_checks import UnusableWeight
from mtlkit.runs.record import WEIGHTS, diagnose


def described(
    model: MultiTaskModel,
    stage: Stage,
    encoding: Encoding,
    *,
    sources: Mapping[str, SourceRecord] | None = None,
    vectors: VectorSettings | None = None,
) -> ModelDescription:
    """What `config.json` says of a model."""
    return ModelDescription(
        stage,
        model.backbone.architecture,
        encoding,
        tuple(model.tasks.values()),
        model.router.tasks if model.router is not None else (),
        dict(sources or {}),
        vectors or VectorSettings(),
        model.adapter_specs,
    )


def save_model(
    model: MultiTaskModel,
    folder: Path,
    stage: Stage,
    encoding: Encoding,
    *,
    sources: Mapping[str, SourceRecord] | None = None,
    vectors: VectorSettings | None = None,
    compact: bool = False,
) -> None:
    """Writes `config.json` and `model.safetensors` with all heads, adapters and the router; `compact` stores a quarter of the
    bytes."""
    write_checkpoint(folder, described(model, stage, encoding, sources=sources, vectors=vectors))
    weights = {name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}
    save_file(narrow(weights) if compact else weights, folder / WEIGHTS)


def load_model(folder: Path) -> tuple[MultiTaskModel, ModelDescription]:
    """Loads a model in eval mode on the CPU. Raises IntegrityError if its files are damaged or inconsistent."""
    checkpoint = read_checkpoint(folder)
    try:
        check_file(folder / WEIGHTS)
        weights = widen(load_file(folder / WEIGHTS))
        if len(checkpoint.architecture.repeats) > len(weights):  # checked before the layers are built
            raise ValueError(f"{len(checkpoint.architecture.repeats)} blocks where there are {len(weights)} weights")
        with torch.device("meta"), Uninitialised():
            backbone = build_backbone(checkpoint.architecture)
            model = MultiTaskModel(backbone, checkpoint.tasks, checkpoint.router, checkpoint.adapters)
        model.load_state_dict(weights, assign=True)
    except OSError as error:
        raise IntegrityError(f"{folder / WEIGHTS}: {error.strerror or error}") from None
    except SafetensorError as error:
        reason = diagnose(folder / WEIGHTS) or f"not safetensors ({error})"
        raise IntegrityError(f"{folder / WEIGHTS}: {reason}") from None
    except UnusableWeight as error:
        raise IntegrityError(f"{folder / WEIGHTS}: {error}") from None
    except (RuntimeError, ValueError, KeyError) as error:
        raise IntegrityError(f"{folder / WEIGHTS}: weights do not fit {CONFIG} ({str(error).splitlines()[-1].strip()})") from None
    return model.eval().requires_grad_(True), checkpoint
