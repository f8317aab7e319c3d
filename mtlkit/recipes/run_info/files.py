"""What lies in the folder of a run: its files against their digests, its weights by the parts of the model. Loads no weights."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError
from mtlkit.model.description import HEAD_WEIGHTS
from mtlkit.model.weight_names import SCALE, level, part_of, parts_of, weight_names
from mtlkit.report.run_facts import FileFacts, PartSize
from mtlkit.runs.record import EXPORT_RECORD, RECORD, STATE, WEIGHTS, RunRecord, diagnose, file_digest, read_record

UNUSED = "unused"  # the part of weights that no vector comes from, which other tools want to see

Shapes = dict[str, tuple[int, str]]  # name of a weight: its numbers, and their type


def record_name(folder: Path) -> str:
    """The file with the record of a folder: that of an export where it is one for other tools, else that of a run."""
    return EXPORT_RECORD if (folder / EXPORT_RECORD).is_file() and not (folder / RECORD).is_file() else RECORD


def any_record(folder: Path) -> RunRecord:
    """The record of a run or of an export. Raises IntegrityError when there is none, or it is not what it should be."""
    return read_record(folder, record_name(folder))


def check_files(folder: Path, files: Mapping[str, str]) -> Iterator[FileFacts]:
    """Every file that a record lists, held against its SHA-256."""
    for name, recorded in files.items():
        path = folder / name
        if not path.exists():
            yield FileFacts(
                name, "missing", None, recorded, reason=f"{path}: no such file, though the record lists it; restore it"
            )
            continue
        try:
            size, found = path.stat().st_size, file_digest(path)
            if found == recorded:
                yield FileFacts(name, "ok", size, recorded, found)
            else:
                differs = f"SHA-256 is {found}, the record says {recorded}; the file is damaged, restore it"
                yield FileFacts(name, "damaged", size, recorded, found, f"{path}: {diagnose(path) or differs}")
        except OSError as error:
            yield FileFacts(name, "unreadable", None, recorded, reason=f"{path}: {error.strerror}")


def other_files(folder: Path, listed: Mapping[str, str], record: str) -> tuple[list[str], list[str]]:
    """Files that the record does not list, and folders with a record of their own (exports of the run); both by name."""
    files, exports = [], []
    for place, folders, names in os.walk(folder):
        inside = Path(place)
        for name in sorted(folders):
            path = inside / name
            own = any((path / known).is_file() for known in (RECORD, EXPORT_RECORD))
            if own:
                exports.append(path.relative_to(folder).as_posix())
            if own or path == folder / STATE:  # whose files have lists of their own
                folders.remove(name)
        files += [(inside / name).relative_to(folder).as_posix() for name in names]
    return sorted(name for name in files if name not in listed and name != record), sorted(exports)


def run_parts(folder: Path) -> tuple[PartSize, ...]:
    """The parts of a run's model, from the head of its weights. Raises IntegrityError."""
    return tuple(sizes(shapes_of(folder / WEIGHTS)))


def foreign_parts(folder: Path, architecture: Architecture) -> tuple[PartSize, ...]:
    """The same of an export for sentence-transformers, whose weights have other names and whose heads lie beside them."""
    from mtlkit.model.interop.families.base import FAMILIES
    from mtlkit.model.interop.names import their_names

    family = FAMILIES[str(architecture.family)]
    ours: dict[str, str] = {}
    for name in weight_names(architecture, {}):
        with suppress(KeyError):  # the weights of tokens, which lie in a module of their own
            ours |= dict.fromkeys(their_names(family, name.removeprefix("backbone.")), name)
    if family.token_types:  # they are added to the positions
        ours[f"{family.token_types}.weight"] = "backbone.positions.weight"
    named: Shapes = {}
    for name, shape in shapes_of(folder / WEIGHTS).items():
        named[f"{part_of(ours[name])} {name}" if name in ours else f"{UNUSED} {name}"] = shape
    if (folder / HEAD_WEIGHTS).is_file():
        named |= {f"head:{name.split('.')[0]} {name}": shape for name, shape in shapes_of(folder / HEAD_WEIGHTS).items()}
    found: dict[str, list[str]] = {}
    for name in named:
        found.setdefault(name.split(" ")[0], []).append(name)
    return tuple(_sized(found, named))


def sizes(shapes: Shapes) -> list[PartSize]:
    """Weights by part, from the embeddings upwards. Raises IntegrityError where a name is none of ours."""
    try:
        return _sized(parts_of(shapes), shapes)
    except IndexError:
        raise IntegrityError(f"{WEIGHTS}: its weights have names that no model of mtlkit has") from None


def _sized(parts: Mapping[str, list[str]], shapes: Shapes) -> list[PartSize]:
    found = []
    for part in sorted(parts, key=lambda part: (level(part), _block(part))):
        weights = [name for name in parts[part] if not name.endswith(SCALE)]
        stored = tuple(sorted({shapes[name][1] for name in weights}))
        found.append(PartSize(part, sum(shapes[name][0] for name in weights), len(weights), stored))
    return found


def _block(part: str) -> int:
    kind, _, place = part.partition(":")
    return int(place) if kind == "layers" and place.isdecimal() else 0


def shapes_of(path: Path) -> Shapes:
    """What the head of a safetensors file says. Raises IntegrityError."""
    try:
        with safe_open(path, "numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            return {name: (math.prod(one.get_shape()), str(one.get_dtype())) for name, one in slices.items()}
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or 'no such file'}; its parameters are not known") from None
    except SafetensorError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors ({error})'}") from None
