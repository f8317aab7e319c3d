"""The description of a training in its checkpoints, and checks that a resumed training is the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mtlkit.errors import UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.model.digest import is_digest_of

REVISION = 2  # incremented when the same command holds out other rows or forms other batches; 1 was not recorded


@dataclass(frozen=True)
class TrainInputs:
    """Fingerprints of the inputs of a training: its data by name, and the digest of its starting model (None: fresh weights)."""

    data: Mapping[str, Any]
    start: str | None

    @classmethod
    def of(cls, data: Mapping[str, Any], parent: Mapping[str, str] | None) -> TrainInputs:
        """The inputs with the values that they have after a round trip through JSON."""
        return cls(json.loads(json.dumps(data)), parent["digest"] if parent else None)

    def as_recorded(self, before: TrainInputs, parent: Mapping[str, str] | None) -> TrainInputs:
        """These inputs with the digests in `before` of models that have not changed, as earlier versions computed digests
        differently.
        """
        data = {name: dict(entry) if isinstance(entry, dict) else entry for name, entry in self.data.items()}
        for name, entry in data.items():
            old = before.data.get(name)
            teacher = entry.get("teacher") if isinstance(entry, dict) else None
            if teacher and isinstance(old, dict) and _is_model(teacher["path"], old.get("teacher", {}).get("digest")):
                entry["teacher"] = {**teacher, "digest": old["teacher"]["digest"]}
        same_start = parent is not None and _is_model(parent["path"], before.start)
        return replace(self, data=data, start=before.start if same_start else self.start)

    def changes(self, before: TrainInputs) -> list[str]:
        """The names of the inputs that differ."""
        names = {**before.data, **self.data}
        changed = [f"the data of {name}" for name in names if before.data.get(name) != self.data.get(name)]
        return changed + (["the starting model"] if before.start != self.start else [])

    def check(self, before: TrainInputs, out: Path, saved: str) -> None:
        """Raises UsageError if inputs differ from those of `saved`, "the run" or "the checkpoint", in `out`."""
        if changed := self.changes(before):
            raise UsageError(
                f"--resume {out}: changed since {saved} was saved: {listed(changed)}; restore it, or train again with --overwrite"
            )


@dataclass(frozen=True)
class CheckpointMeta:
    """The description of a training in a checkpoint. `typed` is the whole command line, `added` the number of epochs that
    `--extend` added, `init` the name of the starting model, and `revision` the REVISION that saved the checkpoint. `started` is
    when the training started; "" if an earlier version did not record it. `tracked` is the state of trackers, if there are any;
    it changes during the training.
    """

    command: str
    typed: str
    options: Mapping[str, Any]
    added: int
    init: str | None
    machine: Mapping[str, Any]
    inputs: TrainInputs
    revision: int = field(default_factory=lambda: REVISION)
    started: str = ""
    tracked: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, about: Mapping[str, Any]) -> CheckpointMeta:
        inputs = TrainInputs(about["data"], about["start"])
        plain = {name: about[name] for name in ("command", "typed", "options", "added", "init", "machine")}
        later = {"revision": about.get("revision", 1), "started": about.get("started", ""), "tracked": about.get("tracked")}
        return cls(**plain, inputs=inputs, **later)

    def to_json(self) -> dict[str, Any]:
        plain = asdict(self)
        return {**plain, **plain.pop("inputs"), "tracked": self.tracked}  # not a copy

    @property
    def is_older(self) -> bool:
        """Whether an earlier version saved the checkpoint, which may have formed other batches."""
        return self.revision != REVISION

    def check_inputs(self, now: TrainInputs, out: Path) -> None:
        """Raises UsageError if the inputs have changed since the checkpoint in `out`."""
        changed = now.changes(self.inputs)
        if changed and self.is_older and self.inputs.start == now.start:
            raise UsageError(
                f"--resume {out}: {listed(changed)} differs from the checkpoint's: changed, or the earlier version of mtlkit "
                "that saved it held out other rows; resume with that version, or train again with --overwrite"
            )
        now.check(self.inputs, out, "the checkpoint")

    def machine_changes(self, now: Mapping[str, Any]) -> list[str]:
        """The properties of the machine that differ, as text."""
        before = {"processes": 1, **self.machine}  # earlier versions trained in one
        return [f"{name} {value} (was {before.get(name)})" for name, value in now.items() if before.get(name) != value]


def _is_model(path: str, digest: str | None) -> bool:
    return digest is not None and Path(path).is_dir() and is_digest_of(Path(path), digest)


def machine_of(compute: Compute) -> dict[str, Any]:
    """Everything about the machine that can change the last bit of a result."""
    device = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else compute.device.type
    return {
        "mtlkit": version("mtlkit"),
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "device": device,
        "precision": compute.precision,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
