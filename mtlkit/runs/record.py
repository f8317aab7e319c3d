"""The run folder: written beside its place, synced, renamed; `run.json` last, with the SHA-256 of every file."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Stage
from mtlkit.config.from_json import build, parse_object, to_json
from mtlkit.config.small_files import Unreadable, check_file, read_file
from mtlkit.errors import IntegrityError, MtlkitError
from mtlkit.runs import atomic as disk

FORMAT = 1
RECORD, LOG, WEIGHTS, TOKENIZER = "run.json", "metrics.jsonl", "model.safetensors", "tokenizer.json"
EXPORT_RECORD = "export.json"  # the record of an export for other tools, to which a run.json would say nothing
GRAPH, CARD = "model.onnx", "README.md"
STATE = "state"  # where a training keeps its checkpoints until it is finished
LOCK, WRITER = "lock", "writer.json"  # in there: left by versions that locked there
STAGED = "staged."  # begins, after the name of a run, that of a folder in which it is written
DIVERGED = "diverged.json"  # beside them: the batch that it stopped at
TENSORS, PLAIN, MANIFEST = STATE_FILES = "tensors.safetensors", "state.json", "manifest.json"  # of one checkpoint
SAVED, STEP = "step-*", re.compile(r"step-\d{8,}")  # the names of saved states, damaged ones too; of those to go on from
PACKAGES = ("mtlkit", "torch", "tokenizers", "safetensors", "numpy")


@dataclass(frozen=True)
class RunRecord:
    """What `run.json` holds."""

    stage: Stage
    command: str
    options: dict[str, Any]
    seed: int
    data: dict[str, Any]
    metrics: dict[str, Any]
    parent: dict[str, str] | None = None
    format: int = FORMAT
    finished: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def is_of(self, command: str) -> bool:
        """Whether a command of mtlkit, such as `export`, wrote the run."""
        return self.command.split()[1:2] == [command]

    @property
    def sources(self) -> dict[str, str]:
        """Where the data of each task came from."""
        return {
            name: data["source"]
            for name, data in self.data.items()
            if isinstance(data, dict) and isinstance(data.get("source"), str)
        }


def file_digest(path: Path, size: int | None = None) -> str:
    """SHA-256 of a regular file, or of its first `size` bytes, hexadecimal. Raises OSError."""
    digest, there = hashlib.sha256(), check_file(path)
    left = there if size is None else size
    with path.open("rb") as file:
        while piece := file.read(min(left, 1 << 20)):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    disk.write(path, (to_json(value, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))


def holds_state(out: Path) -> bool:
    """Whether a saved state of a training stands under `out`."""
    place = out.resolve()
    disk.restore(place.parent, place.name)
    return any(STEP.fullmatch(path.name) for path in (out / STATE).glob(SAVED))


def amend(folder: Path, metrics: dict[str, Any]) -> None:
    """Gives the record of a finished run other metrics, such as were found after it was written. Its files stay as they are."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.{STAGED}") as aside:
        changed = Path(aside) / RECORD
        write_json(changed, {**vars(read_record(folder)), "metrics": metrics})
        shutil.copymode(folder / RECORD, changed)
        disk.sync(changed)
        disk.rename(changed, folder / RECORD)
    disk.sync(folder)


def record_name(folder: Path) -> str:
    """The name of the record in the folder of a run or of an export."""
    return RECORD if (folder / RECORD).is_file() else EXPORT_RECORD


def read_record(folder: Path, name: str = RECORD) -> RunRecord:
    """The record of a finished run, or of an export by the name that it has there. Raises IntegrityError when there is none or it
    cannot be read."""
    path = folder / name
    try:
        value = parse_object(read_file(path))
        if value["format"] > FORMAT:
            raise IntegrityError(f"{folder}: written by a newer mtlkit (format {value['format']}); update mtlkit")
        record = build(RunRecord, value)
        for name in record.files:
            if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name or len(name) > 200:
                raise ValueError(f"names the file {name!r}, which is no place inside the run")
        return record
    except Unreadable as error:
        raise IntegrityError(f"{folder}: not a run of mtlkit ({path.name} is {error})") from None
    except KeyError as error:
        raise IntegrityError(f"{path}: the field {error} is missing; restore the file") from None
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def verify(folder: Path) -> RunRecord:
    """Checks the SHA-256 of every file of a run. Raises IntegrityError naming the file and what it is, or both digests."""
    record = read_record(folder)
    for name, wanted in record.files.items():
        path = folder / name
        try:
            check_file(path)
        except Unreadable as error:
            raise IntegrityError(f"{path}: {error}, though {RECORD} lists it; restore it") from None
        if (found := file_digest(path)) != wanted:
            damaged = f"SHA-256 is {found}, {RECORD} says {wanted}; the file is damaged, restore it"
            raise IntegrityError(f"{path}: {diagnose(path) or damaged}")
    return record


def diagnose(path: Path) -> str | None:
    """What a file is that should hold weights or a configuration but does not: why it cannot be read, or what its first bytes
    say."""
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(512).lstrip()
    except OSError as error:
        return str(error)
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    if start[:1] == b"<" and b"html" in start.lower():
        return "an HTML page, not a model; the download went to a web page (a login or an error), fetch it again"
    header_length = start[3:8] == bytes(5)  # safetensors begins with eight bytes of it, which may look like a pickle's first two
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")) and not header_length:
        return "a pickle; mtlkit never opens one, as it can run any code; convert it to safetensors"
    return None


def is_export(folder: Path) -> bool:
    """Whether a folder is an ONNX export: a run in all but its weights, which are in the graph."""
    return (folder / GRAPH).is_file() and (folder / RECORD).is_file()


def newest(runs: Path, stages: Iterable[Stage]) -> Path | None:
    """The run under `runs` that finished last among those of the first stage that has any."""
    disk.restore(runs)
    found: dict[str, list[tuple[str, Path]]] = {}
    for folder in runs.iterdir() if runs.is_dir() else ():
        if (folder / RECORD).is_file() and not folder.name.startswith("."):
            try:
                record = read_record(folder)
            except MtlkitError:
                continue
            if WEIGHTS in record.files:  # an export is a run in all but that
                found.setdefault(record.stage, []).append((record.finished, folder))
    for stage in stages:
        if stage in found:
            return max(found[stage])[1]
    return None
