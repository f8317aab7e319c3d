"""`config.json`: describes a model without its weights. Read without importing torch."""

from __future__ import annotations

import os
import typing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Architecture, Encoding, Stage, TaskSpec
from mtlkit.config.from_json import build, parse_object
from mtlkit.config.registries.adapters import SHARED, AdapterSpec
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.config.source_record import SourceRecord, records_from_json, records_to_json
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.errors import IntegrityError, UsageError, listed, shorten
from mtlkit.runs.record import RECORD, diagnose, write_json

FORMAT = 2
WITHOUT_ADAPTERS = 1  # the format of models without adapters, which earlier versions read, too
CONFIG = "config.json"
ADAPTER = "adapter_config.json"  # present in a folder that contains only an adapter
HEADS, HEAD_WEIGHTS = "heads.json", "heads.safetensors"  # added to a sentence-transformers folder, which has no heads of its own
SHORTEST = 3  # minimum length in tokens of a truncated text: the first, the last, and one between them


@dataclass(frozen=True)
class ModelDescription:
    """The contents of `config.json`. `router` lists the tasks that the router distinguishes; `sources` describes how the data of
    each task was read; `vectors` how vectors are computed and compared; `adapters` are those of tasks, or of all under SHARED.
    These entries are written only if they are not empty.
    """

    stage: Stage
    architecture: Architecture
    encoding: Encoding
    tasks: tuple[TaskSpec, ...]
    router: tuple[str, ...] = ()
    sources: dict[str, SourceRecord] = field(default_factory=dict)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    adapters: dict[str, AdapterSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := set(self.adapters) - {task.name for task in self.tasks} - {SHARED}:
            raise ValueError(f"adapters of tasks without a head: {listed(sorted(unknown))}")
        if any(adapter.last >= len(self.architecture.repeats) for adapter in self.adapters.values()):
            raise ValueError("an adapter of layers that the model does not have")
        if unknown := set(self.router) - {task.name for task in self.tasks}:
            raise ValueError(f"a router to tasks without a head: {listed(sorted(unknown))}")
        if len({task.name for task in self.tasks}) < len(self.tasks):
            raise ValueError("two heads of one name")
        if not SHORTEST <= self.encoding.max_length <= self.architecture.max_length:
            length = shorten(str(self.encoding.max_length))
            raise ValueError(f"texts of {length} tokens do not fit {self.architecture.max_length} positions")

    def merged(self) -> ModelDescription:
        """The description of the model once its adapters are in its weights."""
        return replace(self, adapters={})

    def only(self, task: str) -> ModelDescription:
        """The description of a model with one task alone, and its adapter."""
        specs = tuple(spec for spec in self.tasks if spec.name == task)
        sources = {name: source for name, source in self.sources.items() if name == task}
        adapters = {name: spec for name, spec in self.adapters.items() if name in (SHARED, task)}
        return replace(self, tasks=specs, router=(), sources=sources, adapters=adapters)

    def to_json(self) -> dict[str, Any]:
        number = FORMAT if self.adapters else WITHOUT_ADAPTERS
        value = {"format": number, **asdict(self), "sources": records_to_json(self.sources)}
        value["tasks"] = tuple(task.to_json() for task in self.tasks)
        value["vectors"] = asdict(self.vectors) if self.vectors != VectorSettings() else {}
        return {key: entry for key, entry in value.items() if entry or key not in ("router", "sources", "vectors", "adapters")}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelDescription:
        """Raises ValueError, KeyError or UsageError for an invalid model."""
        tasks, router = value["tasks"], value.get("router", [])
        if value["stage"] not in typing.get_args(Stage):
            raise ValueError(f"no stage '{value['stage']}'")
        adapters = value.get("adapters", {})
        if not isinstance(adapters, dict):
            raise ValueError("adapters are an object by task")
        if not isinstance(tasks, list) or not isinstance(router, list) or not all(isinstance(name, str) for name in router):
            raise ValueError("tasks and router are lists")
        return cls(
            stage=value["stage"],
            architecture=build(Architecture, value["architecture"]),
            encoding=build(Encoding, value["encoding"]),
            tasks=tuple(TaskSpec.from_json(task) for task in tasks),
            router=tuple(router),
            sources=records_from_json(value.get("sources", {})),
            vectors=build(VectorSettings, value.get("vectors", {})),
            adapters={task: build(AdapterSpec, adapter) for task, adapter in adapters.items()},
        )


def write_checkpoint(folder: Path, checkpoint: ModelDescription) -> None:
    write_json(folder / CONFIG, checkpoint.to_json())


def read_checkpoint(folder: Path) -> ModelDescription:
    """Reads the `config.json` of a folder. Raises IntegrityError if it is invalid."""
    path = folder / CONFIG
    try:
        value = parse_object(read_file(path))
        if value["format"] > FORMAT:
            raise IntegrityError(f"{path}: written by a newer mtlkit (format {value['format']}); update mtlkit")
        return ModelDescription.from_json(value)
    except Unreadable as error:
        raise IntegrityError(f"{folder}: not a model of mtlkit ({CONFIG} is {error})") from None
    except (ValueError, KeyError, TypeError, ZeroDivisionError, UsageError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of another library alone, without its base."""
    return (folder / ADAPTER).is_file() and not any((folder / name).is_file() for name in (CONFIG, "modules.json"))


def is_foreign(folder: Path) -> bool:
    """Whether a folder is a model of transformers or sentence-transformers, judged by its files. Raises IntegrityError if its
    configuration cannot be read.
    """
    if (folder / RECORD).is_file():
        return False
    if any((folder / name).is_file() for name in ("modules.json", ADAPTER)):
        return True
    path = folder / CONFIG
    try:
        config = parse_object(read_file(path))
        return any(key in config for key in ("model_type", "architectures"))
    except Unreadable as error:
        if os.path.lexists(path):
            raise IntegrityError(f"{path}: {error}") from None
        return False
    except ValueError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None
