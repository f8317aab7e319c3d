"""The session of a training command: its locked folder, the checkpoint to resume from, saving, and the log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any, Generic, TextIO

from torch import nn

from mtlkit.config.launch import launched
from mtlkit.config.registries.trackers import chosen_trackers
from mtlkit.config.save_every import parse_save_every
from mtlkit.config.shell import command_text
from mtlkit.errors import SavingError, StoppedError, UsageError, counted, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.training.diverged_batch import write_diverged
from mtlkit.recipes.training.resuming.checkpoint_meta import CheckpointMeta, TrainInputs, machine_of
from mtlkit.recipes.training.resuming.options import Options
from mtlkit.recipes.training.resuming.point import ResumePoint
from mtlkit.recipes.training.tracked import run_config
from mtlkit.runs import atomic as disk
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.overlap import check_not_input
from mtlkit.runs.record import DIVERGED, LOG, RunRecord
from mtlkit.training.checkpointing import FolderSaver, Interrupts
from mtlkit.training.distributed.agreement import others_than_main
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.events import Note
from mtlkit.training.freezing.apply import digest
from mtlkit.training.loop import DivergedStep
from mtlkit.training.metrics_log import header
from mtlkit.training.state_dict import StateDict
from mtlkit.training.trackers.trackers import Trackers


@dataclass
class RunSession(Generic[Options]):
    """A training command that writes to the folder `out`, while holding its lock. Of several processes, `ranks`, only the first
    writes and holds the lock.

    `point` says where the training resumes; `notes` are messages for the user that have not been shown yet.
    """

    command: str
    out: Path
    checkpoints: CheckpointManager
    point: ResumePoint[Options]
    interrupts: Interrupts = field(default_factory=Interrupts)
    notes: list[Note] = field(default_factory=list)
    ranks: Ranks = ALONE

    @property
    def options(self) -> Options:
        """The options to train with."""
        return self.point.options

    def settle(self, **values: Any) -> None:
        """Puts what the plan chose in place of options that were left to it, so that it is recorded."""
        self.point = replace(self.point, options=replace(self.options, **values))

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
        return resume_command(self.command, self.out)

    def check_inputs(self, model: nn.Module, data: Mapping[str, Any]) -> None:
        """Raises UsageError, on all ranks, unless all have the same data and the same starting model."""
        if self.ranks.size > 1:
            inputs = json.dumps([digest(dict(model.named_parameters())), data, plain(self.options)], default=str)
            if different := others_than_main(self.ranks, inputs):
                some = f"{counted(len(different), 'rank')} ({listed(map(str, different))})"
                raise UsageError(
                    f"{some} read other data, or another starting model, than rank 0; give all the same files and options"
                )

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

    @cached_property
    def started(self) -> str:
        """When the training started, however often it was resumed; empty if an earlier version did not record it."""
        return self.point.meta.started if self.point.meta else datetime.now(timezone.utc).isoformat(timespec="microseconds")

    @cached_property
    def trackers(self) -> Trackers:
        """The trackers of the training, which run on the first of several processes only. They begin with the log."""
        names = chosen_trackers(self.options.track) if self.ranks.is_main and not self.finished else ()
        return Trackers(names, self.out, self.point.meta.tracked if self.point.meta else None)

    def saver(self, compute: Compute, data: Mapping[str, Any], init: str, parent: Mapping[str, str] | None) -> FolderSaver:
        """Creates the saver of checkpoints. Raises UsageError if data or starting model have changed since the checkpoint."""
        inputs, options, before = TrainInputs.of(data, parent), self.options, self.point.meta
        if before:
            inputs = inputs.as_recorded(before.inputs, parent)
            before.check_inputs(inputs, self.out)
        elif self.ranks.is_main:
            self.checkpoints.drop()  # of the training that this one replaces, now that all checks have passed
        typed, machine = command_line(self.command, options), {**machine_of(compute), "processes": self.ranks.size}
        tracked = self.trackers.state if self.trackers.names else (before.tracked if before else None)
        places = (self.command, typed, plain(options), self.point.added, init, machine, inputs)
        meta = CheckpointMeta(*places, started=self.started, tracked=tracked)
        if self.ranks.is_main:
            (self.checkpoints.path / DIVERGED).unlink(missing_ok=True)
        every = parse_save_every(options.save_every)
        saver = FolderSaver(self.checkpoints, every, self.interrupts, meta.to_json(), self.resume_command, self.ranks)
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
        Only the first of several processes writes.
        """
        if not self.ranks.is_main:
            yield StringIO()
            return
        path = self.checkpoints.log
        try:
            with path.open("a", encoding="utf-8", newline="\n", buffering=1) as log:
                if not path.stat().st_size:
                    log.write(f"{header(self.command, self.started)}\n")
                checkpoint = self.point.checkpoint
                self.trackers.start(path, run_config(self.command, self.options), checkpoint.step if checkpoint else 0)
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
        with self._saved(f"; resume the comparison with: {self.resume_command}"):
            yield

    @contextmanager
    def _saved(self, way_on: str = "") -> Iterator[None]:
        """A context after saving, in which a signal says that the run is complete."""
        interrupts = Interrupts()
        interrupts.message = f"{self.out} is finished and saved{way_on}"
        with interrupts:
            yield

    def end_tracking(self, metrics: Mapping[str, Any]) -> Iterator[Note]:
        """Lets trackers send the metrics of the saved run, and the rest of its log."""
        with self._saved() if self.trackers.processes else nullcontext():
            yield from self.trackers.finish(metrics, self.out / LOG)

    def end(self) -> None:
        """Restores the default effect of signals after the run was saved. Raises StoppedError if one was received before."""
        self.interrupts.__exit__()
        if self.interrupts.requested is not None:
            raise StoppedError(f"{self.out} is finished and saved", self.interrupts.requested)


def resume_command(command: str, out: Path) -> str:
    """The command line that resumes a training, in as many processes."""
    return command_text([*launched().command(), command, "--resume", str(out)])
