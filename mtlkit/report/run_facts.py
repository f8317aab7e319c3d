"""What is known of a run without running it: what `mtlkit info` finds, for tables and for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mtlkit.model.description import ModelDescription
from mtlkit.runs.record import RunRecord

FileCondition = Literal["ok", "damaged", "missing", "unreadable"]
ParentCondition = Literal["same", "changed", "gone"]


@dataclass(frozen=True)
class PartSize:
    """A part of a model: its parameters, in how many tensors, and in which types of numbers they are stored."""

    name: str
    parameters: int
    tensors: int
    stored: tuple[str, ...]


@dataclass(frozen=True)
class FileFacts:
    """A file that the record lists, and whether it still is what was written; `reason` says what is wrong with it."""

    name: str
    condition: FileCondition
    size: int | None
    recorded: str
    found: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class ParentFacts:
    """What a run was made from, as its record names it, and what stands there now. `depth` is 1 for that of the run itself,
    2 for that of its parent; `stage`, `command` and `finished` are empty where there is no record to read."""

    path: str
    role: Literal["parent", "teacher"]
    depth: int
    recorded: str
    condition: ParentCondition
    found: str | None = None
    place: str | None = None
    stage: str = ""
    command: str = ""
    finished: str = ""


@dataclass(frozen=True)
class RunFacts:
    """All of it. `record` is None for a training that is not finished, `checkpoint` for a model whose description cannot be
    read; `exports` are folders inside that have a record of their own, `state` the `steps` of
    the saved states with what the newest is `about`, and `problems` what is not as it was written, a sentence each."""

    name: str
    path: Path
    kind: str
    reason: str
    record: RunRecord | None = None
    checkpoint: ModelDescription | None = None
    parts: tuple[PartSize, ...] = ()
    lineage: tuple[ParentFacts, ...] = ()
    installed: dict[str, str | None] = field(default_factory=dict)
    files: tuple[FileFacts, ...] = ()
    unlisted: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    state: dict[str, Any] | None = None
    problems: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """One document, in the order of the tables. `versions` of the record stand beside those that are installed."""
        record, model = self.record, self.checkpoint.to_json() if self.checkpoint else {}
        recorded = vars(record) if record else {}
        plain = {key: recorded.get(key) for key in ("stage", "command", "finished", "seed", "options")}
        described = {key: model.get(key) for key in ("architecture", "encoding", "router") if key in model}
        versions = {
            package: {"recorded": record.versions.get(package) if record else None, "installed": version}
            for package, version in self.installed.items()
        }
        return {
            "run": self.name,
            "path": str(self.path),
            "kind": self.kind,
            "reason": self.reason,
            **plain,
            "model": {**described, "parameters": self.parameters, "parts": [asdict(part) for part in self.parts]},
            "tasks": model.get("tasks", []),
            "lineage": [asdict(parent) for parent in self.lineage],
            "data": recorded.get("data", {}),
            "versions": versions,
            "metrics": recorded.get("metrics", {}),
            "files": [asdict(file) for file in self.files],
            "unlisted": list(self.unlisted),
            "exports": list(self.exports),
            "state": self.state,
            "problems": list(self.problems),
        }
