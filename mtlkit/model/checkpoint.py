"""A model on disk: `config.json` and `model.safetensors`. `load(save(model))` gives equal logits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtlkit.config.architecture import Architecture, Encoding, Stage, TaskSpec
from mtlkit.errors import IntegrityError
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The layout of `config.json`: everything but the weights that a model is."""

    stage: Stage
    architecture: Architecture
    encoding: Encoding
    tasks: tuple[TaskSpec, ...]

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Checkpoint:
        return cls(
            stage=value["stage"],
            architecture=Architecture(**value["architecture"]),
            encoding=Encoding(**value["encoding"]),
            tasks=tuple(TaskSpec.from_json(task) for task in value["tasks"]),
        )


def save_model(model: MultiTaskModel, folder: Path, stage: Stage, encoding: Encoding) -> None:
    """Writes `config.json` and `model.safetensors`, every head included."""
    checkpoint = Checkpoint(stage, model.backbone.architecture, encoding, tuple(model.tasks.values()))
    text = json.dumps(checkpoint.to_json(), indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
    save_file({name: weight.detach().cpu().contiguous() for name, weight in model.state_dict().items()}, folder / WEIGHTS)


def read_checkpoint(folder: Path) -> Checkpoint:
    """What a folder's `config.json` says. Raises IntegrityError when it says nothing sensible."""
    path = folder / CONFIG
    try:
        return Checkpoint.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise IntegrityError(f"{folder}: not a model of mtlkit ({CONFIG} is missing)") from None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def load_model(folder: Path) -> tuple[MultiTaskModel, Checkpoint]:
    """The model of a folder, in evaluation mode on the CPU. Raises IntegrityError when its files are not what they say."""
    checkpoint = read_checkpoint(folder)
    with torch.device("meta"):
        model = MultiTaskModel(Encoder(checkpoint.architecture), checkpoint.tasks)
    try:
        weights: dict[str, Tensor] = load_file(folder / WEIGHTS)
        model.load_state_dict(weights, assign=True)
    except OSError:
        raise IntegrityError(f"{folder}: {WEIGHTS} is missing") from None
    except SafetensorError as error:
        reason = diagnose(folder / WEIGHTS) or f"not safetensors ({error})"
        raise IntegrityError(f"{folder / WEIGHTS}: {reason}") from None
    except RuntimeError as error:
        raise IntegrityError(f"{folder / WEIGHTS}: weights do not fit {CONFIG} ({str(error).splitlines()[-1].strip()})") from None
    return model.eval().requires_grad_(True), checkpoint


def diagnose(path: Path) -> str | None:
    """What a file is that should hold weights or a configuration but does not, judged by its first bytes."""
    with path.open("rb") as file:
        start = file.read(512).lstrip()
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    if start[:1] == b"<" and b"html" in start.lower():
        return "an HTML page, not a model; the download went to a web page (a login or an error), fetch it again"
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle; mtlkit never opens one, as it can run any code; convert it to safetensors"
    return None
