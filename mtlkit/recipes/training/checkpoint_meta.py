"""What a checkpoint says of its training, and whether another training is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mtlkit.inference.compute import Compute
from mtlkit.model.digest import is_digest_of

REVISION = 2  # raised when the same command holds out other rows, or puts other rows into a batch; 1 was not written down


@dataclass(frozen=True)
class TrainInputs:
    """Fingerprints of what a training is made from: its data by name, and the digest of its starting model (None: fresh
    weights)."""

    data: Mapping[str, Any]
    start: str | None

    @classmethod
    def of(cls, data: Mapping[str, Any], parent: Mapping[str, str] | None) -> TrainInputs:
        """As JSON holds them."""
        return cls(json.loads(json.dumps(data)), parent["digest"] if parent else None)

    def as_recorded(self, before: TrainInputs, parent: Mapping[str, str] | None) -> TrainInputs:
        """The same with the digests that `before` has of models that have not changed; earlier versions formed them
        differently."""
        data = {name: dict(about) if isinstance(about, dict) else about for name, about in self.data.items()}
        for name, about in data.items():
            was = before.data.get(name)
            teacher = about.get("teacher") if isinstance(about, dict) else None
            if teacher and isinstance(was, dict) and _is_model(teacher["path"], was.get("teacher", {}).get("digest")):
                about["teacher"] = {**teacher, "digest": was["teacher"]["digest"]}
        same_start = parent is not None and _is_model(parent["path"], before.start)
        return replace(self, data=data, start=before.start if same_start else self.start)

    def changes(self, before: TrainInputs) -> list[str]:
        """What differs, by name."""
        names = {**before.data, **self.data}
        changed = [f"the data of {name}" for name in names if before.data.get(name) != self.data.get(name)]
        return changed + (["the starting model"] if before.start != self.start else [])


@dataclass(frozen=True)
class CheckpointMeta:
    """The command and its options, of which `added` epochs came by --extend; the model to start from by name; the machine; what
    it is made from. `typed` is the whole command line."""

    command: str
    typed: str
    options: Mapping[str, Any]
    added: int
    init: str | None
    machine: Mapping[str, Any]
    inputs: TrainInputs
    revision: int = field(default_factory=lambda: REVISION)

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> CheckpointMeta:
        inputs = TrainInputs(about["data"], about["start"])
        plain = {name: about[name] for name in ("command", "typed", "options", "added", "init", "machine")}
        return cls(**plain, inputs=inputs, revision=about.get("revision", 1))

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {**plain, **plain.pop("inputs")}

    @property
    def is_older(self) -> bool:
        """Whether an earlier version saved it, which may have drawn other batches."""
        return self.revision != REVISION

    def machine_changes(self, now: Mapping[str, Any]) -> list[str]:
        """What differs on this machine."""
        before = self.machine
        return [f"{name} {value} (was {before.get(name)})" for name, value in now.items() if before.get(name) != value]


def _is_model(path: str, digest: str | None) -> bool:
    return digest is not None and Path(path).is_dir() and is_digest_of(Path(path), digest)


def machine_of(compute: Compute) -> dict[str, Any]:
    """All of a machine that the last bit of a training depends on."""
    device = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else compute.device.type
    return {
        "mtlkit": version("mtlkit"),
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "device": device,
        "precision": compute.precision,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
