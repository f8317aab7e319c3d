"""The record of a run folder, `run.json`, with the SHA-256 of every file, and the names of the files of a run."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Stage
from mtlkit.config.from_json import build, parse_object, to_json
from mtlkit.config.small_files import Unreadable, check_file, read_file
from mtlkit.errors import IntegrityError, MtlkitError
from mtlkit.runs import atomic as disk
from mtlkit.runs.replace_folder import restore_replaced

FORMAT = 1
RECORD, LOG, WEIGHTS, TOKENIZER = "run.json", "metrics.jsonl", "model.safetensors", "tokenizer.json"
EXPORT_RECORD = "export.json"  # the record of an export in the format of another tool
GRAPH, PAIR_GRAPH, CARD = "model.onnx", "pairs.onnx", "README.md"
CHECKPOINTS = "state"  # the folder with the checkpoints of an unfinished training
OLD_LOCK, OLD_WRITER = "lock", "writer.json"  # in CHECKPOINTS, from versions that kept the lock there
STAGING = "staged."  # follows the name of a run in the name of its temporary folder
DIVERGED = "diverged.json"  # in CHECKPOINTS: the batch at which a training diverged
TENSORS, VALUES, MANIFEST = CHECKPOINT_FILES = "tensors.safetensors", "state.json", "manifest.json"  # in each checkpoint
CHECKPOINT_GLOB = "step-*"  # folders of checkpoints, including damaged ones
CHECKPOINT_NAME = re.compile(r"step-\d{8,}")  # folders of checkpoints that can be resumed
# marks of the scores of a task that has no rows left that it was not trained on: cross-validated on the training rows, of a model
# before it was trained on the validation rows, of rows that were trained on, or not measured at all
CROSS_VALIDATED, BEFORE_REFIT, TRAINED_ON, NOT_MEASURED = "cross_validated", "before_refit", "trained_on", "not_measured"
MARKS = (CROSS_VALIDATED, BEFORE_REFIT, TRAINED_ON, NOT_MEASURED)
PACKAGES = ("mtlkit", "torch", "tokenizers", "safetensors", "numpy")
OPTIONAL_PACKAGES = ("transformers",)  # recorded if the run used them


@dataclass(frozen=True)
class RunRecord:
    """The content of `run.json`."""

    stage: Stage
    command: str
    options: dict[str, Any]
    seed: int
    data: dict[str, Any]
    metrics: dict[str, Any]
    parent: dict[str, str] | None = None
    format: int = FORMAT
    started: str = ""  # of the training, not of its last resume; "" if unknown
    finished: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def is_of(self, command: str) -> bool:
        """Whether a command of mtlkit, e.g. `export`, wrote the run."""
        return self.command.split()[1:2] == [command]

    @property
    def sources(self) -> dict[str, str]:
        """The source of each task's data."""
        return {
            name: data["source"]
            for name, data in self.data.items()
            if isinstance(data, dict) and isinstance(data.get("source"), str)
        }

    @property
    def test_sources(self) -> dict[str, str]:
        """The test rows of tasks that were given to the training apart from its data, as `--test NAME=SOURCE`."""
        typed = self.options.get("test")
        pairs = [str(one).partition("=") for one in typed] if isinstance(typed, list) else []
        return {name: source for name, equals, source in pairs if equals}


def marked_tasks(metrics: Mapping[str, Any], *marks: str) -> list[str]:
    """The tasks of a run, by its metrics, whose scores have one of these marks; by default, any: no row is held out of them."""
    scores = metrics.get("validation")
    rows = scores.items() if isinstance(scores, dict) else ()
    return [name for name, row in rows if isinstance(row, dict) and any(row.get(mark) for mark in marks or MARKS)]


def file_digest(path: Path, size: int | None = None) -> str:
    """SHA-256 of a regular file, or of its first `size` bytes, in hexadecimal. Raises OSError."""
    digest, file_size = hashlib.sha256(), check_file(path)
    left = file_size if size is None else size
    with path.open("rb") as file:
        while block := file.read(min(left, 1 << 20)):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON. Raises OSError."""
    disk.write(path, _json_bytes(value))


def _json_bytes(value: Any) -> bytes:
    return (to_json(value, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def has_checkpoint(out: Path) -> bool:
    """Whether a run folder contains a checkpoint that is not marked as damaged."""
    folder = out.resolve()
    restore_replaced(folder.parent, folder.name)
    return any(CHECKPOINT_NAME.fullmatch(path.name) for path in (out / CHECKPOINTS).glob(CHECKPOINT_GLOB))


def log_of(folder: Path) -> Path | None:
    """The log of a run, finished or not; None if it has none."""
    return next((path for path in (folder / LOG, folder / CHECKPOINTS / LOG) if path.is_file()), None)


def replace_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Replaces the metrics in the record of a finished run; its other files are unchanged. Raises OSError, IntegrityError."""
    content = _json_bytes({**vars(read_record(folder)), "metrics": metrics})
    with (  # the temporary file is outside the run, where a kill would leave a foreign file
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.{STAGING}") as temporary,
        disk.atomic_file(folder / RECORD, Path(temporary), keep_mode=True) as file,
    ):
        file.write(content)


def record_name(folder: Path) -> str:
    """The file name of the record in the folder of a run or an export."""
    return RECORD if (folder / RECORD).is_file() else EXPORT_RECORD


def read_record(folder: Path, name: str = RECORD) -> RunRecord:
    """The record of a finished run, or of an export with its file name. Raises IntegrityError if it is missing or damaged."""
    path = folder / name
    try:
        value = parse_object(read_file(path))
        if value["format"] > FORMAT:
            raise IntegrityError(f"{folder}: written by a newer mtlkit (format {value['format']}); update mtlkit")
        record = build(RunRecord, value)
        for name in record.files:
            if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name or len(name) > 200:
                raise ValueError(f"lists the file {name!r}, which is not inside the run")
        return record
    except Unreadable as error:
        if name == RECORD and not path.exists() and (folder / CHECKPOINTS).is_dir():
            raise IntegrityError(f"{folder}: unfinished training; let it finish, or go on with --resume {folder}") from None
        raise IntegrityError(f"{folder}: not an mtlkit run ({path.name} is {error})") from None
    except KeyError as error:
        raise IntegrityError(f"{path}: field {error} is missing; restore the file") from None
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def verify(folder: Path) -> RunRecord:
    """Checks the SHA-256 of every file of a run but its card, which people edit and no command reads, and returns its record.
    Raises IntegrityError that names the file."""
    record = read_record(folder)
    for name, recorded in record.files.items():
        if name == CARD:
            continue
        path = folder / name
        try:
            check_file(path)
        except Unreadable as error:
            raise IntegrityError(f"{path}: {error}, but {RECORD} lists it; restore it") from None
        if (digest := file_digest(path)) != recorded:
            damaged = f"damaged (SHA-256 is {digest}, recorded in {RECORD}: {recorded}); restore it"
            raise IntegrityError(f"{path}: {diagnose(path) or damaged}")
    return record


def diagnose(path: Path) -> str | None:
    """Why a file is not the weights or configuration that it should be: why it cannot be read, or what its first bytes show.
    None if neither says anything."""
    try:
        check_file(path)
        with path.open("rb") as file:
            start = file.read(512).lstrip()
    except OSError as error:
        return str(error)
    if start.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not the file itself; fetch it with 'git lfs pull'"
    if start[:1] == b"<" and b"html" in start.lower():
        return "an HTML page (perhaps a login or an error), not a model; download the file again"
    header_length = start[3:8] == bytes(5)  # of safetensors; its first two bytes may look like a pickle's
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")) and not header_length:
        return "a pickle, which mtlkit does not load because it can run arbitrary code; convert it to safetensors"
    return None


def is_export(folder: Path) -> bool:
    """Whether a folder is an ONNX export: a run whose weights are in the graph."""
    return (folder / GRAPH).is_file() and (folder / RECORD).is_file()


def newest_run(runs: Path, stages: Iterable[Stage]) -> Path | None:
    """The run in `runs` that finished last, of the first stage that has any."""
    restore_replaced(runs)
    finished: dict[str, list[tuple[str, Path]]] = {}
    for folder in runs.iterdir() if runs.is_dir() else ():
        if (folder / RECORD).is_file() and not folder.name.startswith("."):
            try:
                record = read_record(folder)
            except MtlkitError:
                continue
            if WEIGHTS in record.files:  # otherwise it is an export
                finished.setdefault(record.stage, []).append((record.finished, folder))
    for stage in stages:
        if stage in finished:
            return max(finished[stage])[1]
    return None
