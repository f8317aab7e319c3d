"""A folder of parts that processes write at the same time: what is done, what is reused, and the manifest once all is done.

While it is made, `_parts/` holds `settings.json`, a record for each finished part, and one with the number of rows for each input
that was read to its end. A part counts once its record exists, which is written after it. When no rows are missing, whichever
process notices it writes `_manifest.json` and removes `_parts/`. All files appear whole and depend on nothing but inputs and
settings, so that two processes that do the same part or the manifest do no harm.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256

from mtlkit.config.from_json import build, parse_object
from mtlkit.data.outputs.manifest import (
    MANIFEST,
    VERSION,
    WORK,
    Done,
    InputRecord,
    Manifest,
    PartRecord,
    count_name,
    differences,
    done_from,
    missing_rows,
    read_manifest,
    record_name,
    with_inputs,
)
from mtlkit.data.outputs.storage import Storage
from mtlkit.errors import UsageError
from mtlkit.recipes.outputs.folder_checks import check_ours

LOG = logging.getLogger(__name__)
SETTINGS = f"{WORK}/settings.json"


class PartsFolder:
    """The parts of one output. `settings` are what rows depend on; `inputs` are the names of the inputs and the numbers of their
    bytes; `columns` are the names of the output's columns."""

    def __init__(
        self, storage: Storage, settings: dict[str, str], inputs: Sequence[tuple[str, int | None]], columns: Sequence[str]
    ) -> None:
        self.storage, self.settings, self.inputs, self.columns = storage, settings, inputs, tuple(columns)
        self.manifest: Manifest | None = None
        self._complete: dict[tuple[int, int], PartRecord] = {}  # the parts in the manifest
        self.done = Done({}, {})

    def _described(self) -> dict[str, str]:
        """The settings with the inputs, to compare."""
        return with_inputs(self.settings, self.inputs)

    @property
    def key(self) -> str:
        """A digest of everything that rows depend on besides the texts."""
        return sha256(json.dumps(self._described(), sort_keys=True).encode()).hexdigest()[:32]

    def open(self, resume: bool, overwrite: bool, owns: Callable[[int, int], bool]) -> None:
        """Begins, or continues an earlier run. `owns` says whether this process does the part of an input that begins with a row.

        Raises UsageError if it has such parts and neither was requested, or the earlier run had other settings; IntegrityError.
        """
        check_ours(self.storage)
        if overwrite:
            self._remove_all()
        content = self.storage.read(MANIFEST)
        if content is not None:
            self.manifest = read_manifest(content, f"{self.storage}/{MANIFEST}")
            self._complete = {(part.input, part.first): part for part in self.manifest.parts}
            before: dict[str, str] | None = with_inputs(
                self.manifest.settings, [(item.name, item.bytes) for item in self.manifest.inputs]
            )
        else:
            before = self._settings_before()
        if before is None:
            self._write_settings()
            before = self._described()
        self.done = self._done()
        mine = any(owns(number, first) for number, ranges in self.done.parts.items() for first in ranges)
        if mine and not resume:
            advice = "continue with --resume, or start again with --overwrite"
            raise UsageError(f"{self.storage} contains finished parts of an earlier run; {advice}")
        for name, old, new in differences(before, self._described()):
            advice = "use the same, or start again with --overwrite"
            raise UsageError(f"{self.storage} was started with {name} {old}, but now it is {new}; {advice}")

    def _settings_before(self) -> dict[str, str] | None:
        content = self.storage.read(SETTINGS)
        if content is None:
            return None
        try:
            return {name: str(value) for name, value in parse_object(content).items()}
        except ValueError as error:  # a record has a digest of the settings, too
            LOG.warning("%s/%s is damaged (%s); using only parts with the settings of this run", self.storage, SETTINGS, error)
            return None

    def _done(self) -> Done:
        if self.manifest is None:
            return done_from(self.storage.names(WORK))
        return done_from(
            [record_name(part.input, part.first, part.rows).rpartition("/")[2] for part in self.manifest.parts]
            + [count_name(number, item.rows).rpartition("/")[2] for number, item in enumerate(self.manifest.inputs)]
        )

    def _remove_all(self) -> None:
        for name in self.storage.names():
            self.storage.remove(name)
        self._remove_work()

    def _remove_work(self) -> None:
        for name in self.storage.names(WORK):
            with suppress(OSError):  # Windows does not remove the lock that this process holds
                self.storage.remove(f"{WORK}/{name}")
        self.storage.remove_folder(WORK)

    def find(self, input: int, first: int) -> PartRecord | None:
        """The record of a finished part; None, with a warning, if its file is not what was written."""
        end = self.done.parts.get(input, {}).get(first)
        record = None if end is None else self._record(input, first, end - first)
        if record is None:
            return None
        size = self.storage.size(record.file)
        if size == record.bytes and self.storage.digest(record.file) in (None, record.sha256):
            return record
        reason = "is missing" if size is None else "is damaged"
        LOG.warning("%s/%s %s; making it again", self.storage, record.file, reason)
        return None

    def _record(self, input: int, first: int, rows: int) -> PartRecord | None:
        if self.manifest is not None:
            return self._complete.get((input, first))
        name = record_name(input, first, rows)
        content = self.storage.read(name)
        try:
            values = parse_object(content or b"")
            return build(PartRecord, values) if values.pop("key", None) == self.key else None
        except (ValueError, TypeError):
            LOG.warning("%s/%s is damaged; making that part again", self.storage, name)
            return None

    def keep(self, record: PartRecord) -> None:
        """Notes a part whose file is in its place."""
        self._reopen()
        self._write_record(record)
        self.done.parts.setdefault(record.input, {})[record.first] = record.first + record.rows

    def note_rows(self, input: int, rows: int) -> None:
        """Notes how many rows an input has."""
        if self.done.counts.get(input) != rows:
            self._reopen()
            self.storage.write(count_name(input, rows), b"{}")
            self.done.counts[input] = rows

    def _reopen(self) -> None:
        """Makes a complete output one that is being made, as a part of it has to be made again."""
        if self.manifest is None:
            return
        manifest, self.manifest = self.manifest, None
        self._write_settings()
        for number, item in enumerate(manifest.inputs):
            self.storage.write(count_name(number, item.rows), b"{}")
        for part in manifest.parts:
            self._write_record(part)
        self.storage.remove(MANIFEST)

    def _write_settings(self) -> None:
        self.storage.write(SETTINGS, json.dumps(self._described(), indent=1, ensure_ascii=False).encode())

    def _write_record(self, record: PartRecord) -> None:
        content = json.dumps({**asdict(record), "key": self.key}, ensure_ascii=False).encode()
        self.storage.write(record_name(record.input, record.first, record.rows), content)

    def finish(self) -> list[str]:
        """Writes the manifest if no rows are missing, and returns the missing ones otherwise."""
        if self.manifest is not None:
            self._remove_work()  # of a process that was killed just before
            return []
        names = self.storage.names(WORK)
        done = done_from(names)
        if self.storage.read(MANIFEST) is not None:  # another process was faster
            self._remove_work()
            return []
        if missing := list(missing_rows(done, [name for name, _ in self.inputs])):
            return missing
        try:
            parts = self._all_records(done)
        except FileNotFoundError:
            return [] if self.storage.read(MANIFEST) is not None else ["records that were removed"]
        inputs = tuple(InputRecord(name, size, done.counts[number]) for number, (name, size) in enumerate(self.inputs))
        rows = sum(part.rows for part in parts)
        manifest = Manifest(VERSION, rows, self.columns, self.settings, inputs, tuple(parts))
        self.storage.write(MANIFEST, manifest.to_bytes())
        self._remove_work()
        return []

    def _all_records(self, done: Done) -> list[PartRecord]:
        ranges = [
            (number, first, end - first) for number in sorted(done.parts) for first, end in sorted(done.parts[number].items())
        ]
        contents = self.storage.read_all([record_name(*part) for part in ranges])
        values = map(parse_object, contents)
        return [build(PartRecord, {name: value for name, value in one.items() if name != "key"}) for one in values]
