"""The session of a training command: its locked folder, the checkpoint to resume from, saving, and the log."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TextIO

from mtlkit.config.paths import expand
from mtlkit.config.save_every import parse_save_every
from mtlkit.errors import SavingError, StoppedError, UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.training.diverged_batch import write_diverged
from mtlkit.recipes.training.resuming.checkpoint_meta import CheckpointMeta, TrainInputs, machine_of
from mtlkit.recipes.training.resuming.options import Options, load_options, resolved
from mtlkit.recipes.training.resuming.point import ResumePoint, find_resume_point
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
    """A training command that writes to the folder `out`, while holding its lock.

    `point` says where the training resumes; `notes` are messages for the user that have not been shown yet.
    """

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
        """The record of the run if it is finished already."""
        return self.point.finished

    @property
    def state(self) -> StateDict | None:
        """The saved state to resume from; None at the start."""
        checkpoint = self.point.checkpoint
        return StateDict(checkpoint.tensors, checkpoint.plain["training"]) if checkpoint else None

    @property
    def resume_command(self) -> str:
        return shlex.join(["mtlkit", self.command, "--resume", str(self.out)])

    def take_notes(self) -> Iterator[Note]:
        """Yields the messages so far, each only once."""
        while self.notes:
            yield self.notes.pop(0)

    def check_start(self, start: ModelRef | None) -> None:
        """Raises UsageError if the run would replace the model that it starts from."""
        if self.options.resume is None:
            check_not_input(self.out, inputs_of(self.options, start))

    def check_finished(self, data: Mapping[str, Any], parent: Mapping[str, str] | None) -> None:
        """Raises UsageError unless data and starting model are those of the finished run."""
        assert self.finished is not None
        before = TrainInputs.of(self.finished.data, self.finished.parent)
        TrainInputs.of(data, parent).as_recorded(before, parent).check(before, self.out, "the run")

    def saver(self, compute: Compute, data: Mapping[str, Any], init: str, parent: Mapping[str, str] | None) -> FolderSaver:
        """Creates the saver of checkpoints. Raises UsageError if data or starting model have changed since the checkpoint."""
        inputs, options = TrainInputs.of(data, parent), self.options
        before = self.point.meta
        if before:
            inputs = inputs.as_recorded(before.inputs, parent)
            before.check_inputs(inputs, self.out)
        else:
            self.checkpoints.drop()  # of the training that this one replaces, now that all checks have passed
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
            saver.begin(self.point.checkpoint.step, StateDict(plain=self.point.checkpoint.plain["training"]))
        return saver

    @contextmanager
    def log(self, saver: FolderSaver, texts_of: Callable[[DivergedStep], Mapping[str, Any]]) -> Iterator[TextIO]:
        """Opens the log for appending. Every line is flushed, so that none is lost if the process is killed. If a step diverges,
        the texts of its batch according to `texts_of` are written to a file. Raises DivergedStep; SavingError on a full disk.
        """
        path = self.checkpoints.log
        try:
            with path.open("a", encoding="utf-8", buffering=1) as log:
                if not path.stat().st_size:
                    log.write(f"{header(self.command)}\n")
                try:
                    yield log
                except DivergedStep as error:
                    diverged = self.checkpoints.path / DIVERGED
                    raise write_diverged(diverged, error, texts_of(error), self.resume_command) from None
        except OSError as error:
            if error.errno not in disk.DISK_FULL:
                raise
            raise SavingError(f"{path} cannot be written: {disk.error_reason(error)}; {saver.rescue()}") from None

    @contextmanager
    def saving(self, saver: FolderSaver) -> Iterator[None]:
        """A context for writing the finished run. If that fails, saves a checkpoint instead and raises SavingError."""
        try:
            yield
        except disk.write_errors() as error:
            raise SavingError(f"{self.out} cannot be saved: {disk.error_reason(error)}; {saver.rescue()}") from None
        finally:
            saver.final = None

    def hand_over(self, staged: Path) -> None:
        """Copies the log to the staged run, and with `--keep-state` also the last checkpoint."""
        shutil.copyfile(self.checkpoints.log, staged / LOG)
        if self.options.keep_state:
            self.checkpoints.carry(staged)

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """A context for comparing the finished run with baselines, in which a signal says how to resume."""
        interrupts = Interrupts()
        interrupts.message = f"{self.out} is finished and saved; resume the comparison with: {self.resume_command}"
        with interrupts:
            yield

    def end(self) -> None:
        """Restores the default effect of signals after the run was saved. Raises StoppedError if one was received before."""
        self.interrupts.__exit__()
        if self.interrupts.requested is not None:
            raise StoppedError(f"{self.out} is finished and saved", self.interrupts.requested)


@contextmanager
def open_session(options: Options, command: str, folder: str) -> Iterator[RunSession[Options]]:
    """Finds the folder of a training, locks it, and finds the checkpoint to resume from.

    `folder` is its default name under `--runs`. Raises UsageError, IntegrityError.
    """
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
        # again, as another training may have finished in the meantime
        check_output_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
        remove_staged(out)
        point = ResumePoint(options)
        if resumes:
            point = find_resume_point(options, command, checkpoints, replaces=options.overwrite and begun)
        point = replace(point, options=resolved(point.options))
        session = RunSession(command, out, checkpoints, point, notes=list(point.notes))
        if point.checkpoint:
            way = f"the checkpoint of step {point.checkpoint.step} is kept; resume with: {session.resume_command}"
            session.interrupts.message = f"stopped before the first step; {way}"
        with nullcontext() if point.finished else session.interrupts:
            yield session
