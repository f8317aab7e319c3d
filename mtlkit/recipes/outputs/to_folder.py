"""Writes a row for each text to a folder or URL in parts, which several processes may share."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mtlkit.config.outputs import Shard
from mtlkit.data.outputs.manifest import PartRecord, part_name
from mtlkit.data.outputs.storage import LocalStorage, Storage
from mtlkit.data.outputs.writers import Writer, output_file
from mtlkit.data.prefetch import ahead
from mtlkit.data.sources.input_tables import InputTable, input_tables
from mtlkit.errors import DataError, IntegrityError, NotFiniteError, UsageError
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import or_nothing, parts
from mtlkit.recipes.outputs.finished_output import TextsDigest
from mtlkit.recipes.outputs.job import Job, OutputProgress, RowOptions, identities
from mtlkit.recipes.outputs.parts_folder import PartsFolder
from mtlkit.runs.lock import locked
from mtlkit.runs.record import file_digest


@dataclass(frozen=True)
class Piece:
    """Some rows of a part that has to be made, from row `start` of the input, prepared for the model; or with `rows` None the end
    of a part of `count` rows, `reused` if an earlier run has made it; or with `first` None the end of an input of `count` rows.
    """

    input: int
    first: int | None
    rows: list[Any] | None = None
    prepared: Any = None
    count: int = 0
    reused: bool = False
    texts: str = ""
    start: int = 0


@dataclass(frozen=True)
class Work:
    """The tables of all inputs, cut into parts of `part_rows`, and the shard of them that this process does.

    With at least as many tables as shards, a shard does whole tables, so that it need not read those of others; otherwise parts.
    """

    tables: list[InputTable]
    part_rows: int
    shard: Shard

    @property
    def whole_tables(self) -> bool:
        return len(self.tables) >= self.shard.count

    def owns(self, input: int, first: int) -> bool:
        """Whether this process does the part of an input that begins with a row."""
        number = input if self.whole_tables else input + first // self.part_rows
        return number % self.shard.count == self.shard.index


def write_to_folder(job: Job, storage: Storage, options: RowOptions, shard: Shard, command: str) -> Iterator[OutputProgress]:
    """Writes all parts of a shard, and the manifest once all shards are done. Raises UsageError, DataError, SavingError."""
    work = Work(input_tables(options.input), options.part_rows, shard)
    suffix = f".{options.format or 'parquet'}"
    settings = {**job.made_by(), "format": suffix[1:], "--part-rows": str(options.part_rows)}
    inputs = [(table.name, table.size()) for table in work.tables]
    folder = PartsFolder(storage, settings, inputs, job.layout.names)
    with ExitStack() as stack:
        if isinstance(storage, LocalStorage):
            stack.enter_context(_locked(storage, shard, command))
        folder.open(options.resume, options.overwrite, work.owns)
        making = stack.enter_context(closing(PartWriter(job, folder, suffix, work)))
        total, done, reused = job.total() if shard.count == 1 else None, 0, 0
        with closing(_pieces(job, folder, work)) as stream:
            for piece in stream:
                if piece.first is None:
                    folder.note_rows(piece.input, piece.count)
                elif piece.rows is None:
                    if piece.reused:
                        done, reused = done + piece.count, reused + piece.count
                    else:
                        making.end(piece)
                    yield OutputProgress("computed", done, total, reused)
                else:
                    with counting(job.activity, "encoded", total, done=done):
                        making.add(piece)
                    done += len(piece.rows)
        if len(folder.done.counts) == len(work.tables) and not any(folder.done.counts.values()):
            raise DataError(f"--input: no rows in {len(work.tables):,} files; give files with rows")
        complete = folder.manifest is not None
        missing = folder.finish()
        yield OutputProgress("finished" if complete and not missing else "written", done, done, reused, tuple(missing))


@contextmanager
def _locked(storage: LocalStorage, shard: Shard, command: str) -> Iterator[None]:
    """Holds the lock of a shard, and removes the folder of records if it is left empty."""
    try:
        with locked(storage.staging / f"shard-{shard.index}-of-{shard.count}", command, option="--output"):
            yield
    finally:
        storage.remove_folder(storage.staging.name)
        storage.remove_folder("")


class PartWriter:
    """Writes one part after the other to a staged file, which becomes a part when it is complete."""

    def __init__(self, job: Job, folder: PartsFolder, suffix: str, work: Work) -> None:
        self.job, self.folder, self.suffix, self.work = job, folder, suffix, work
        self._stack, self._staged = ExitStack(), Path()
        self._writer: Writer | None = None

    def add(self, piece: Piece) -> None:
        """Computes the rows of a piece and writes them."""
        assert piece.rows is not None
        try:
            computed = self.job.compute(piece.rows, piece.prepared)
        except NotFiniteError as error:
            row = NotFiniteError(error.what, piece.start + error.row)
            raise IntegrityError(f"{self.work.tables[piece.input].name}: {row}") from None
        if self._writer is None:
            staging = self.folder.storage.staging
            self._staged = staging / f"{piece.input:05}-{piece.first:010}{self.suffix}"
            self._writer = self._stack.enter_context(output_file(self._staged, self.job.layout))
        self._writer.add(self.job.layout.batch(computed))

    def end(self, piece: Piece) -> None:
        """Completes the part and notes it."""
        self.close()
        assert piece.first is not None
        stem = self.work.tables[piece.input].stem
        name = part_name(piece.input, stem, piece.first, piece.count, self.suffix)
        size, digest = self._staged.stat().st_size, file_digest(self._staged)
        self.folder.storage.put(self._staged, name)
        self.folder.keep(PartRecord(name, piece.input, piece.first, piece.count, size, digest, piece.texts))

    def close(self) -> None:
        self._stack.close()
        self._writer = None


def _pieces(job: Job, folder: PartsFolder, work: Work) -> Generator[Piece, None, None]:
    """Reads and prepares the rows of this process's parts, in a thread, so that the next ones are ready in time."""

    def pieces() -> Iterator[Piece]:
        for number, table in enumerate(work.tables):
            if work.whole_tables and not work.owns(number, 0):
                continue
            rows = or_nothing(lambda _: job.rows(table), table.address)  # noqa: B023
            first, more = 0, True
            while more:
                count = yield from _part(job, folder, work, number, first, islice(rows, work.part_rows))
                first, more = first + count, count == work.part_rows
            yield Piece(number, None, count=first)

    yield from ahead(pieces()) if job.threaded else pieces()


def _part(job: Job, folder: PartsFolder, work: Work, number: int, first: int, rows: Iterator[Any]) -> Generator[Piece, None, int]:
    """The pieces of one part; returns the number of its rows. Raises UsageError if an earlier run has made it of other rows."""
    if not work.owns(number, first):
        return sum(1 for _ in rows)
    record, digest = folder.find(number, first), TextsDigest()
    for piece in parts(rows):
        texts = identities(piece)
        digest.add(texts)
        if record is None:
            yield Piece(number, first, piece, job.prepare(piece), start=first + digest.count - len(piece))
    if record is not None and (record.rows, record.texts) != (digest.count, digest.hexdigest()):
        advice = "use the same input, or start again with --overwrite"
        raise UsageError(f"--resume: the rows of {work.tables[number].name} differ from those of {record.file}; {advice}")
    if digest.count:
        yield Piece(number, first, count=digest.count, reused=record is not None, texts=digest.hexdigest())
    return digest.count
