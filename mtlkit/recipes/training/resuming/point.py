"""Finds the point at which a training resumes: the newest checkpoint in its folder, or the finished run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic

from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.recipes.training.resuming.checkpoint_meta import CheckpointMeta
from mtlkit.recipes.training.resuming.options import Options, SavedOptions, added_epochs, merge_options
from mtlkit.runs.checkpoints import Checkpoint, CheckpointManager
from mtlkit.runs.record import LOG, RECORD, RunRecord, file_digest, read_record
from mtlkit.training.checkpointing import resuming
from mtlkit.training.events import Note
from mtlkit.training.state_dict import StateDict


@dataclass(frozen=True)
class ResumePoint(Generic[Options]):
    """The options to train with, and the checkpoint to resume from (None: from the start). `--extend` added `added` of the
    epochs. `finished` is the record of the run if nothing is left to train.
    """

    options: Options
    added: int = 0
    checkpoint: Checkpoint | None = None
    finished: RunRecord | None = None
    notes: tuple[Note, ...] = ()

    @property
    def meta(self) -> CheckpointMeta | None:
        """The description of the training in the checkpoint."""
        return CheckpointMeta.from_json(self.checkpoint.plain["about"]) if self.checkpoint else None

    @property
    def extends(self) -> bool:
        """Whether the training continues past its former last epoch."""
        return self.meta is not None and self.added > self.meta.added

    @property
    def init(self) -> str | None:
        """The name of the model that the training started from. The default may be a newer run by now."""
        if self.finished and self.finished.parent:
            return self.finished.parent["path"]
        option: str | None = getattr(self.options, "init", None)
        return self.meta.init if self.meta else option


def find_resume_point(options: Options, command: str, checkpoints: CheckpointManager, *, replaces: bool) -> ResumePoint[Options]:
    """Finds the newest checkpoint and merges its options with those given. `replaces`: the training was replacing a finished run,
    so without a checkpoint it starts again. Raises UsageError if the checkpoint is of another training, IntegrityError if all
    checkpoints are damaged.
    """
    out = checkpoints.path.parent
    checkpoint, warnings = checkpoints.newest()
    notes = tuple(Note(text, warning=True) for text in warnings)
    record = read_record(out) if (out / RECORD).is_file() else None
    if checkpoint:
        checkpoints.cut_log(checkpoint)
        saved = SavedOptions.of_state(checkpoint.plain)
        saved = replace(saved, complete=saved.complete and record is not None and _is_result(out, checkpoints))
        merged = merge_options(options, command, saved, out)
        point = ResumePoint(merged, added_epochs(options, saved, out), checkpoint, notes=notes)
        if not saved.complete or point.extends:
            reached = resuming(StateDict(plain=checkpoint.plain["training"]), checkpoint.step)
            note = Note(f"{reached}, saved in {checkpoint.path}")
            return replace(point, notes=(*notes, note))
        return replace(point, finished=record, notes=(*notes, _finished(out)))
    if options.extend:
        raise UsageError(f"--extend: {out} has no checkpoint to continue from; a run keeps its last one with --keep-state")
    if record and not replaces:
        SavedOptions.of_record(record, out).check(plain(options), command, out)
        return ResumePoint(options, finished=record, notes=(*notes, _finished(out)))
    checkpoints.cut_log(None)
    note = Note(f"{out} has no checkpoint yet; training from the start", warning=True)
    return ResumePoint(options, notes=(*notes, note))


def _finished(out: Path) -> Note:
    return Note(f"{out} is finished; nothing to resume")


def _is_result(run: Path, checkpoints: CheckpointManager) -> bool:
    """Whether the finished run is the result of the checkpoint's training, not an older run to be replaced: its log begins like
    that of the checkpoint, and may continue with records after the last step, such as calibration."""
    if not (run / LOG).is_file():
        return False
    return file_digest(run / LOG, checkpoints.log.stat().st_size) == file_digest(checkpoints.log)
