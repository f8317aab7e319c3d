"""Verifies the files of a run and sums up its weights by model part, without loading them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError
from mtlkit.model.description import HEAD_WEIGHTS
from mtlkit.model.weight_names import SCALE, level, part_of, part_titles, parts_of, weight_names
from mtlkit.report.run_facts import FileFacts, PartSize
from mtlkit.runs.record import CHECKPOINTS, EXPORT_RECORD, RECORD, WEIGHTS, RunRecord, diagnose, file_digest, read_record

UNUSED = "unused"  # weights that other libraries expect but no vector depends on

Shapes = dict[str, tuple[int, str]]  # by weight: number of elements and data type


def record_name(folder: Path) -> str:
    """The name of the record in a folder: that of an export for other libraries, else that of a run."""
    return EXPORT_RECORD if (folder / EXPORT_RECORD).is_file() and not (folder / RECORD).is_file() else RECORD


def any_record(folder: Path) -> RunRecord:
    """The record of a run or of an export. Raises IntegrityError if it is missing or invalid."""
    return read_record(folder, record_name(folder))


def check_files(folder: Path, files: Mapping[str, str]) -> Iterator[FileFacts]:
    """Compares every file that a record lists with its SHA-256."""
    for name, recorded in files.items():
        path = folder / name
        if not path.exists():
            yield FileFacts(name, "missing", None, recorded, reason=f"{path}: missing, though run.json lists it; restore it")
            continue
        try:
            size, digest = path.stat().st_size, file_digest(path)
            if digest == recorded:
                yield FileFacts(name, "ok", size, recorded, digest)
            else:
                differs = f"SHA-256 is {digest}, recorded {recorded}; the file is damaged, restore it"
                yield FileFacts(name, "damaged", size, recorded, digest, f"{path}: {diagnose(path) or differs}")
        except OSError as error:
            yield FileFacts(name, "unreadable", None, recorded, reason=f"{path}: {error.strerror}")


def other_files(folder: Path, listed: Mapping[str, str], record: str) -> tuple[list[str], list[str]]:
    """Names of files that the record does not list, and of subfolders with a record of their own (exports of the run)."""
    files, exports = [], []
    for root, folders, names in os.walk(folder):
        inside = Path(root)
        for name in sorted(folders):
            path = inside / name
            own = any((path / known).is_file() for known in (RECORD, EXPORT_RECORD))
            if own:
                exports.append(path.relative_to(folder).as_posix())
            if own or path == folder / CHECKPOINTS:  # their files are listed elsewhere
                folders.remove(name)
        files += [(inside / name).relative_to(folder).as_posix() for name in names]
    return sorted(name for name in files if name not in listed and name != record), sorted(exports)


def run_parts(folder: Path) -> tuple[PartSize, ...]:
    """The parts of a run's model, from the safetensors header. Raises IntegrityError."""
    return tuple(sizes(shapes_of(folder / WEIGHTS)))


def foreign_parts(folder: Path, architecture: Architecture) -> tuple[PartSize, ...]:
    """The parts of an export for sentence-transformers, which has its own weight names and separate head files."""
    from mtlkit.model.interop.families.base import FAMILIES
    from mtlkit.model.interop.names import their_names

    shapes = shapes_of(folder / WEIGHTS)
    ours: dict[str, str] = {}
    if architecture.transformers is not None:
        from mtlkit.model.auto.automodel import names_of_stored

        ours = names_of_stored(architecture, shapes)
    else:
        family = FAMILIES[str(architecture.family)]
        for name in weight_names(architecture, {}):
            with suppress(KeyError):  # token weights, stored in a module of their own
                ours |= dict.fromkeys(their_names(family, name.removeprefix("backbone.")), name)
        if family.token_types:
            ours[f"{family.token_types}.weight"] = f"backbone.{family.first_type}"
    named: Shapes = {}
    for name, shape in shapes.items():
        named[f"{part_of(ours[name])} {name}" if name in ours else f"{UNUSED} {name}"] = shape
    if (folder / HEAD_WEIGHTS).is_file():
        named |= {f"head:{name.split('.')[0]} {name}": shape for name, shape in shapes_of(folder / HEAD_WEIGHTS).items()}
    for path in sorted(folder.glob(f"*_Dense/{WEIGHTS}")):
        named |= {f"pooling {path.parent.name}.{name}": shape for name, shape in shapes_of(path).items()}
    names_by_part: dict[str, list[str]] = {}
    for name in named:
        names_by_part.setdefault(name.split(" ")[0], []).append(name)
    return titled(_sized(names_by_part, named), architecture)


def titled(parts: Iterable[PartSize], architecture: Architecture) -> tuple[PartSize, ...]:
    """The parts by the names that --freeze takes, also where layers share their weights."""
    titles = part_titles(architecture)
    return tuple(replace(part, name=titles.get(part.name, part.name)) for part in parts)


def sizes(shapes: Shapes) -> list[PartSize]:
    """The sizes of the parts of a model, from the embeddings upwards. Raises IntegrityError for an unknown weight name."""
    try:
        return _sized(parts_of(shapes), shapes)
    except IndexError:
        raise IntegrityError(f"{WEIGHTS}: not the weights of an mtlkit model (unknown names)") from None


def _sized(parts: Mapping[str, list[str]], shapes: Shapes) -> list[PartSize]:
    parts_sizes = []
    for part in sorted(parts, key=lambda part: (level(part), _block(part))):
        weights = [name for name in parts[part] if not name.endswith(SCALE)]
        stored = tuple(sorted({shapes[name][1] for name in weights}))
        parts_sizes.append(PartSize(part, sum(shapes[name][0] for name in weights), len(weights), stored))
    return parts_sizes


def _block(part: str) -> int:
    kind, _, index = part.partition(":")
    return int(index) if kind == "layers" and index.isdecimal() else 0


def shapes_of(path: Path) -> Shapes:
    """The header of a safetensors file. Raises IntegrityError."""
    try:
        with safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            return {name: (math.prod(entry.get_shape()), str(entry.get_dtype())) for name, entry in slices.items()}
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or 'no such file'}; cannot count its parameters") from None
    except SafetensorError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors ({error})'}") from None
