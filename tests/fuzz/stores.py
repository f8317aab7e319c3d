"""Caches, parts of `embed`, and the notes of writers: sound ones, and what reads them.

A damaged one is never used: what a command computes with it must be what it computes without it, or else that is a finding. One
whose digest was made to fit holds other numbers, which no digest can tell; then it has only to be of the right shape.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from fuzz.sound import TEXTS, tiny

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.cache import encode_cached
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare
from mtlkit.data.outputs.columns import Layout, OutputRows, VectorColumn
from mtlkit.data.outputs.resumable_output import OutputParts
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import MtlkitError, UsageError
from mtlkit.inference.engines.calibration import activation_ranges
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.outputs.finished_output import TextsDigest, check_finished, note_finished
from mtlkit.recipes.training.baselines.cache import ScoredRows, baseline_entry, keep_outputs, read_outputs
from mtlkit.recipes.training.teacher import Teacher
from mtlkit.runs import store
from mtlkit.runs.lock import locked
from mtlkit.runs.store import FEATURES, entry_in
from mtlkit.runs.store_format import DIGEST, METADATA, hash_of_header, header_bytes, read_header
from mtlkit.training.freezing.cache import stored_rows

SEALED = "sealed"  # a file: the digests were made to fit
Computed = dict[str, Any]  # arrays, or what else can be compared
KEY = "0123456789abcdef" * 4


class CacheIgnoredError(MtlkitError):
    """A cache file was ignored with a warning; the counterpart of a model that is refused."""


class DamageUsedError(Exception):
    """A finding: something damaged was used."""


@lru_cache
def model_and_encoder() -> tuple[MultiTaskModel, TextEncoder]:
    return tiny()


@lru_cache
def teacher() -> Teacher:
    loaded: LoadedModel = load("mini", precision="fp32")
    return Teacher(loaded, "digest", "fp32")


def tokens(folder: Path) -> Computed:
    encoded = encode_cached(TEXTS, model_and_encoder()[1])
    return {"ids": encoded.ids, "offsets": encoded.offsets, "truncated": encoded.truncated}


def teacher_vectors(folder: Path) -> Computed:
    steps = teacher().vectors(TEXTS)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return {"vectors": end.value}


def ranges(folder: Path) -> Computed:
    model, encoder = model_and_encoder()
    ranges = activation_ranges(model.backbone, encoder, "digest")  # type: ignore[arg-type]
    return {f"{block}.{name}": peak.numpy() for block, peaks in enumerate(ranges) for name, peak in peaks.items()}


def features(folder: Path) -> Computed:
    rows = np.random.default_rng(0).random((40, 16), np.float32)
    stored = stored_rows(entry_in(folder / "runs" / FEATURES, FEATURES, KEY), rows.shape, lambda: [rows[:25], rows[25:]])
    return {"rows": np.array(stored.arrays["rows"])}


def baselines(folder: Path) -> Computed:
    model, encoder = model_and_encoder()
    table = LabelledTable(TEXTS, ["animal", "tool", "animal", "tool", "tool"])
    rows = {"topic": ScoredRows("test", prepare(model.tasks["topic"], table, encoder), "sha")}
    file = baseline_entry(folder / "runs", KEY)
    stored = read_outputs(file, rows)
    if stored is None:
        outputs = {"topic": np.arange(10, dtype=np.float32).reshape(5, 2)}
        keep_outputs(file, outputs, TrainMtlOptions(task=["topic=rows.csv"]), '{"step": 1}\n')
        stored = outputs
    return dict(stored)


SETTINGS = {"model": "0123456789abcdef", "engine": "TorchEngine", "precision": "fp32", "normalize": "false", "dim": "4"}
PIECES = [TEXTS[:2], TEXTS[2:4], TEXTS[4:]]


def vectors_of(number: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.full((len(PIECES[number]), 4), number + 0.5, np.float32)


def write_parts(folder: Path) -> None:
    """Writes the parts of a killed `embed`: all of them, not joined yet."""
    parts = OutputParts(folder / "out.npy", SETTINGS)
    parts.open(resume=False, overwrite=False)
    for number, texts in enumerate(PIECES):
        parts.write(number, OutputRows(texts, vectors_of(number)))


def parts(folder: Path) -> Computed:
    """Resumes as `embed --resume` does: uses the intact parts, computes the others, and joins them."""
    done = OutputParts(folder / "out.npy", SETTINGS)
    done.open(resume=True, overwrite=False)
    for number, texts in enumerate(PIECES):
        if not done.holds(number, texts):
            done.write(number, OutputRows(texts, vectors_of(number)))
    for _ in done.assemble(len(PIECES), Layout(True, (), VectorColumn(4))):
        pass
    return {"output": np.load(folder / "out.npy")}


def write_finished(folder: Path) -> None:
    """A finished output, and the note of what it was made from."""
    output = folder / "out.npy"
    np.save(output, vectors_of(0))
    os.utime(output, ns=(0, 0))
    digest = TextsDigest()
    digest.add(TEXTS)
    with cache_in(folder):
        note_finished(output, SETTINGS, digest)


def finished(folder: Path) -> Computed:
    """Resumes as `embed --resume` does if the output is finished. Its record is found by the path of the output and its time."""
    output, notes = folder / "out.npy", folder / "cache" / "outputs"
    os.utime(output, ns=(0, 0))
    for note in list(notes.glob("*.json")):
        note.rename(notes / f"{sha256(str(output.resolve()).encode()).hexdigest()[:32]}.json")
    return {"count": check_finished(output, SETTINGS, TEXTS)}


def write_note(folder: Path) -> None:
    """The remains of a killed writer: its lock, which no process holds, and its note."""
    (folder / ".run.lock").touch()
    note = {"pid": 1, "host": "another", "command": "mtlkit train-mtl", "since": "2026-01-01T00:00:00+00:00"}
    (folder / ".run.writer.json").write_text(json.dumps(note))


def read_note(folder: Path) -> None:
    """A second writer is told about the first, as far as the note can be read; it gets the lock once the first has ended."""
    try:
        with FileLock(folder / ".run.lock"), locked(folder / "run", "mtlkit embed"):
            raise DamageUsedError("two writers at once")
    except UsageError as error:
        said = str(error)
    with locked(folder / "run", "mtlkit embed"):
        pass
    if "process 1 on another" not in said:
        raise MtlkitError(said)


COMPUTED: dict[str, Callable[[Path], Computed]] = {
    "tokens": tokens,
    "teacher": teacher_vectors,
    "int8": ranges,
    "features": features,
    "baselines": baselines,
    "parts": parts,
    "finished": finished,
}


@contextlib.contextmanager
def cache_in(folder: Path) -> Iterator[list[str]]:
    """Sets the user's cache folder; yields the warnings logged meanwhile."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log, before = logging.getLogger("mtlkit"), os.environ.get("MTLKIT_CACHE")
    os.environ["MTLKIT_CACHE"] = str(folder / "cache")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
        os.environ.pop("MTLKIT_CACHE")
        if before is not None:
            os.environ["MTLKIT_CACHE"] = before


@lru_cache
def expected(kind: str) -> Computed:
    """The result of a kind with empty caches."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if kind in WRITERS:
            WRITERS[kind](folder)
        with cache_in(folder):
            return COMPUTED[kind](folder)


def write(kind: str, folder: Path) -> None:
    if kind in WRITERS:
        WRITERS[kind](folder)
        return
    with cache_in(folder):
        COMPUTED[kind](folder)


def read(kind: str, folder: Path) -> None:
    """Computes with what is kept. Raises CacheIgnoredError where it was set aside, DamageUsedError where it should have been."""
    with cache_in(folder) as said:
        computed = COMPUTED[kind](folder)
    if not (folder / SEALED).exists() and not same(computed, expected(kind)):
        raise DamageUsedError(f"{kind}: what is damaged was used")
    if not said:
        return
    if kind not in WRITERS:
        with cache_in(folder) as again:
            COMPUTED[kind](folder)
        if again:
            raise DamageUsedError(f"what is damaged stays: {again}")
    raise CacheIgnoredError(said[0])


def same(computed: Computed, wanted: Computed) -> bool:
    return computed.keys() == wanted.keys() and all(np.array_equal(computed[name], wanted[name]) for name in wanted)


def seal(folder: Path) -> None:
    """Updates the digests in files of the store to match their content, and marks the folder as sealed."""
    for path in folder.rglob(f"*{store.SUFFIX}"):
        with contextlib.suppress(ValueError, TypeError, RecursionError), path.open("rb") as file:
            header, _ = read_header(file)
            total, data = hash_of_header(header), file.read()
            total.update(data)
            header[METADATA][DIGEST] = total.hexdigest()
            path.write_bytes(header_bytes(header) + data)
    (folder / SEALED).touch()


WRITERS: dict[str, Callable[[Path], None]] = {"parts": write_parts, "finished": write_finished}
