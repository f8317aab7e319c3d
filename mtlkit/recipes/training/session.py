"""The session of a training command: its folder and lock, the checkpoint that it resumes from, what saves it, its log."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TextIO

from mtlkit.config.paths import expand
from mtlkit.config.save_every import parse_save_every
from mtlkit.errors import SavingError, StoppedError, UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.training.checkpoint_meta import CheckpointMeta, TrainInputs, machine_of
from mtlkit.recipes.training.resume_options import Options, load_options
from mtlkit.recipes.training.resume_point import ResumePoint, find_resume_point
from mtlkit.runs import atomic as disk
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.outputs import check_output_folder
from mtlkit.runs.overlap import check_not_input
from mtlkit.runs.record import CHECKPOINTS, DIVERGED, LOG, RunRecord
from mtlkit.runs.staging import remove_staged
from mtlkit.training.checkpointing import FolderSaver, Interrupts
from mtlkit.training.events import Note
from mtlkit.training.loop import DivergedStep
from mtlkit.training.metrics_log import header
from mtlkit.training.state_dict import StateDict


@dataclass
class RunSession(Generic[Options]):
    """A training command at work in the folder `out`, which other writers are kept out of."""

    command: str
    out: Path
    checkpoints: CheckpointManager
    point: ResumePoint[Options]
    interrupts: Interrupts = field(default_factory=Interrupts)
    notes: list[Note] = field(default_factory=list)

    @property
    def options(self) -> Options:
        """The options to train with."""
        return self.point.options

    @property
    def finished(self) -> RunRecord | None:
        """The record of a run that is finished."""
        return self.point.finished

    @property
    def state(self) -> StateDict | None:
        """The saved state to resume from."""
        found = self.point.checkpoint
        return StateDict(found.tensors, found.plain["training"]) if found else None

    @property
    def resume_command(self) -> str:
        return shlex.join(["mtlkit", self.command, "--resume", str(self.out)])

    def take_notes(self) -> Iterator[Note]:
        """What to tell the user so far, once."""
        while self.notes:
            yield self.notes.pop(0)

    def check_start(self, start: ModelRef | None) -> None:
        """Raises UsageError where the run would replace the model that it starts from."""
        if self.options.resume is None:
            check_not_input(self.out, inputs_of(self.options, start))

    def check_finished(self, data: Mapping[str, Any], parent: Mapping[str, str] | None) -> None:
        """Raises UsageError unless data and starting model are those of the finished run."""
        assert self.finished is not None
        before = TrainInputs.of(self.finished.data, self.finished.parent)
        self._check_same(before, TrainInputs.of(data, parent).as_recorded(before, parent), "the run")

    def _check_same(self, before: TrainInputs, now: TrainInputs, saved: str) -> None:
        if changed := now.changes(before):
            raise UsageError(
                f"--resume {self.out}: changed since {saved} was saved: {listed(changed)}; restore it, or train again with "
                "--overwrite"
            )

    def saver(self, compute: Compute, data: Mapping[str, Any], init: str, parent: Mapping[str, str] | None) -> FolderSaver:
        """What saves checkpoints. Raises UsageError where data or starting model are not those that the training began with."""
        inputs, options = TrainInputs.of(data, parent), self.options
        before = self.point.meta
        if before:
            inputs = inputs.as_recorded(before.inputs, parent)
            self._check_resumable(before, inputs)
        else:
            self.checkpoints.drop()  # those of a training that this one replaces: only now, as nothing can be refused any more
        typed, machine = command_line(self.command, options), machine_of(compute)
        meta = CheckpointMeta(self.command, typed, plain(options), self.point.added, init, machine, inputs)
        (self.checkpoints.path / DIVERGED).unlink(missing_ok=True)
        every = parse_save_every(options.save_every)
        saver = FolderSaver(self.checkpoints, every, self.interrupts, meta.to_json(), self.resume_command)
        if before and self.point.checkpoint:
            if changes := before.machine_changes(machine):
                self.notes.append(Note(f"continuing, but not bit-for-bit reproducible: {listed(changes)}", warning=True))
            elif before.is_older:
                older = "an earlier version of mtlkit, which may have drawn other batches, saved the checkpoint"
                self.notes.append(Note(f"continuing, but perhaps not bit-for-bit reproducible: {older}", warning=True))
            saver.begin(self.point.checkpoint.step)
        return saver

    def _check_resumable(self, before: CheckpointMeta, now: TrainInputs) -> None:
        changed = now.changes(before.inputs)
        if changed and before.is_older and before.inputs.start == now.start:
            raise UsageError(
                f"--resume {self.out}: {listed(changed)} differs from the checkpoint's: changed, or the earlier version of "
                "mtlkit that saved it held out other rows; resume with that version, or train again with --overwrite"
            )
        self._check_same(before.inputs, now, "the checkpoint")

    @contextmanager
    def log(self, saver: FolderSaver, texts_of: Callable[[DivergedStep], Mapping[str, Any]]) -> Iterator[TextIO]:
        """The log, to append to while training. Lines are written at once, so that a kill costs none. Where a step diverges, its
        batch is written down as `texts_of` gives it. Raises DivergedStep; SavingError on a full disk."""
        path = self.checkpoints.log
        try:
            with path.open("a", encoding="utf-8", buffering=1) as log:
                if not path.stat().st_size:
                    log.write(f"{header(self.command)}\n")
                try:
                    yield log
                except DivergedStep as error:
                    raise self._write_diverged(error, texts_of(error)) from None
        except OSError as error:
            if error.errno not in disk.DISK_FULL:
                raise
            raise SavingError(f"{path} cannot be written: {disk.error_reason(error)}; {saver.rescue()}") from None

    @contextmanager
    def saving(self, saver: FolderSaver) -> Iterator[None]:
        """While the finished run is written: where the disk refuses it, a checkpoint keeps the training. Raises SavingError."""
        try:
            yield
        except disk.write_errors() as error:
            raise SavingError(f"{self.out} cannot be saved: {disk.error_reason(error)}; {saver.rescue()}") from None
        finally:
            saver.final = None

    def hand_over(self, staged: Path) -> None:
        """Gives the staged run its log, and its last checkpoint with --keep-state."""
        shutil.copyfile(self.checkpoints.log, staged / LOG)
        if self.options.keep_state:
            self.checkpoints.carry(staged)

    def _write_diverged(self, error: DivergedStep, texts: Mapping[str, Any]) -> DivergedStep:
        """Writes down the batch of a step that was not taken; the error that names the file."""
        path = self.checkpoints.path / DIVERGED
        losses = [{name: value if math.isfinite(value) else str(value) for name, value in one.items()} for one in error.losses]
        found = {"step": error.index + 1, "losses": losses, "rows": texts}
        disk.write(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
        spiked = all(math.isfinite(value) for one in error.losses for value in one.values())
        skip = f"; skip it with: {self.resume_command} --on-spike skip" if spiked else ""
        return DivergedStep(f"{error}; the texts of the batch are in {path}{skip}", error.index, error.pieces, error.losses)

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """While the finished run is compared with others: a signal says how to resume."""
        interrupts = Interrupts()
        interrupts.message = f"{self.out} is finished and saved; resume the comparison with: {self.resume_command}"
        with interrupts:  # the session holds the lock
            yield

    def end(self) -> None:
        """After the run was saved: signals act as elsewhere from here on. Raises StoppedError where one came meanwhile."""
        self.interrupts.__exit__()
        if self.interrupts.requested is not None:
            raise StoppedError(f"{self.out} is finished and saved", self.interrupts.requested)


@contextmanager
def open_session(options: Options, command: str, folder: str) -> Iterator[RunSession[Options]]:
    """Finds the folder of a training, locks it, and finds the checkpoint to resume from. `folder` is its default name under
    `--runs`. Raises UsageError, IntegrityError."""
    parse_save_every(options.save_every)
    if options.extend and options.resume is None:
        raise UsageError("--extend continues a finished run; name it with --resume RUN")
    out = expand(options.resume) if options.resume else options.out or options.runs / folder
    if options.resume and options.out not in (None, out):
        raise UsageError(f"--resume {out} continues in that folder, and --out names {options.out}; remove one of them")
    if options.resume:
        options = load_options(options, command, out)
    resumes = options.resume is not None
    check_output_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
    checkpoints, begun = CheckpointManager(out), (out / CHECKPOINTS).is_dir()
    with checkpoints.lock(command_line(command, options)):
        # once more, as another training may have ended meanwhile
        check_output_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
        remove_staged(out)
        point = ResumePoint(options)
        if resumes:
            point = find_resume_point(options, command, checkpoints, replaces=options.overwrite and begun)
        session = RunSession(command, out, checkpoints, point, notes=list(point.notes))
        if point.checkpoint:
            kept = f"the checkpoint of step {point.checkpoint.step} is kept; resume with: {session.resume_command}"
            session.interrupts.message = f"stopped before the first step; {kept}"
        with nullcontext() if point.finished else session.interrupts:
            yield session
