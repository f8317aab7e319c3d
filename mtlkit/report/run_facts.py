"""The facts that `mtlkit info` shows about a run, as tables or JSON."""

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
    """The size of a part of a model; `stored` are the data types of its tensors."""

    name: str
    parameters: int
    tensors: int
    stored: tuple[str, ...]


@dataclass(frozen=True)
class FileFacts:
    """A file listed in run.json and whether it still matches; `reason` says why not."""

    name: str
    condition: FileCondition
    size: int | None
    recorded: str
    found: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class ParentFacts:
    """A model that a run was initialized from or taught by, as recorded and as it is now. `depth` is 1 for the run's own parent,
    2 for the parent's; `stage`, `command` and `finished` are empty if it has no readable run.json."""

    path: str
    role: Literal["parent", "teacher", "head"]
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
    """All facts. `record` is None for an unfinished training, `checkpoint` for a model whose config.json cannot be read.
    `exports` are subfolders with a run.json of their own, `state` the `steps` of the checkpoints and what the newest is `about`,
    `problems` one sentence per failed integrity check."""

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
        """One document, in the order of the tables, with the recorded and the installed `versions`."""
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
