"""The files of an export as they are pushed: exactly those that its record lists, with their digests, and the record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError, MtlkitError, UsageError
from mtlkit.inference.find_model import ModelRef
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.digest import is_digest_of
from mtlkit.recipes.inputs.card_facts import TERMS
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.recipes.run_info.files import any_record, check_files, record_name
from mtlkit.report.cards.names import public_command, public_source, public_value
from mtlkit.runs.record import CARD, RunRecord, file_digest

# options that do not change what is exported; the model is compared by its digest
NOT_EXPORTED = {"model", "out", "overwrite", "runs", "private", "replace", "yes"}


@dataclass(frozen=True)
class ExportedFile:
    """A file to push, with its SHA-256."""

    path: Path
    size: int
    sha256: str

    def git_oid(self) -> str:
        """The id of its content in git, by which the hub tells small files apart. Raises OSError."""
        digest = hashlib.sha1(f"blob {self.size}\0".encode())
        digest.update(self.path.read_bytes())
        return digest.hexdigest()


def exported_files(out: Path) -> dict[str, ExportedFile]:
    """The files of an export by name, each checked against the record. Raises IntegrityError, UsageError for an edited card."""
    record = any_record(out)
    for fact in check_files(out, record.files):
        if fact.name == CARD and fact.condition == "damaged":
            raise UsageError(
                f"{out / CARD} was changed after the export; put your text into a file for --card FILE, and export again with "
                "--overwrite"
            )
        if fact.condition != "ok":
            raise IntegrityError(f"{fact.reason or fact.name}; export again with --overwrite")
    own = record_name(out)
    digests = {**record.files, own: file_digest(out / own)}
    return {name: ExportedFile(out / name, (out / name).stat().st_size, digest) for name, digest in digests.items()}


def is_made(options: ExportOptions, model: ModelRef, out: Path) -> bool:
    """Whether a folder holds the export that these options make of the model as it is now."""
    try:
        record = any_record(out)
    except MtlkitError:
        return False
    recorded = {name: value for name, value in record.options.items() if name not in NOT_EXPORTED}
    asked = {name: value for name, value in public_value(plain(options)).items() if name not in NOT_EXPORTED}
    for name in TERMS:  # without such an option, those of the run were recorded
        if not asked[name]:
            asked[name] = recorded.get(name, asked[name])
    return record.is_of("export") and recorded == asked and is_digest_of(model.path, (record.parent or {}).get("digest", ""))


def published(record: RunRecord) -> RunRecord:
    """A record for everybody: it names no folder of this machine."""
    return replace(
        record,
        command=public_command(record.command),
        options=public_value(record.options),
        data=public_value(record.data),
        parent=public_value(record.parent),
    )


def published_weights(weights: LoadedWeights) -> LoadedWeights:
    """A model whose description names no folder of this machine."""
    sources = {name: replace(source, source=public_source(source.source)) for name, source in weights.checkpoint.sources.items()}
    return replace(weights, checkpoint=replace(weights.checkpoint, sources=sources))
