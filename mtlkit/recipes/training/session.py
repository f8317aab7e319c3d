"""Where a training works until it is finished: its saved states, its log, and from where it goes on."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TextIO

import torch

from mtlkit.config.paths import expand
from mtlkit.config.save_every import parse_save_every
from mtlkit.errors import SavingError, StoppedError, UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.digest import is_digest_of
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.training.resume_options import Options, SavedOptions, load_options, merge_options
from mtlkit.runs import atomic as disk
from mtlkit.runs.checkpoints import Checkpoint, CheckpointManager
from mtlkit.runs.outputs import check_folder, check_inputs
from mtlkit.runs.record import DIVERGED, LOG, RECORD, STATE, RunRecord, file_digest, read_record
from mtlkit.runs.staging import sweep
from mtlkit.training.checkpointing import FolderSaver, Interrupts
from mtlkit.training.events import Note
from mtlkit.training.loop import DivergedStep
from mtlkit.training.state_dict import StateDict

REVISION = 2  # raised when the same command holds out other rows, or puts other rows into a batch; 1 was not written down


@dataclass
class RunSession(Generic[Options]):
    """A training that is about to begin, or to go on from a `state`; `options` are those to train with, of which so many epochs
    were `added` after it had been finished. `finished` is its record where nothing is left to do."""

    options: Options
    command: str
    out: Path
    folder: CheckpointManager
    state: Checkpoint | None = None
    added: int = 0
    finished: RunRecord | None = None
    notes: list[Note] = field(default_factory=list)
    interrupts: Interrupts = field(default_factory=Interrupts)

    def said(self) -> Iterator[Note]:
        """What there is to tell so far, once."""
        while self.notes:
            yield self.notes.pop(0)

    @property
    def begun(self) -> StateDict | None:
        return StateDict(self.state.tensors, self.state.plain["training"]) if self.state else None

    @property
    def go_on(self) -> str:
        """The command that goes on with it."""
        return shlex.join(["mtlkit", self.command, "--resume", str(self.out)])

    @property
    def extends(self) -> bool:
        """Whether it goes on past what had been its end."""
        return self.state is not None and self.added > SavedOptions.of_state(self.state.plain).added

    @property
    def init(self) -> str | None:
        """What names the model that it began with, if it goes on; a newer run may stand beside that by now."""
        if self.finished and self.finished.parent:
            return self.finished.parent["path"]
        found: str | None = self.state.plain["about"]["init"] if self.state else getattr(self.options, "init", None)
        return found

    def check_start(self, found: ModelRef | None) -> None:
        """The model to start from is not what the run replaces. Raises UsageError."""
        if self.options.resume is None:
            check_inputs(self.out, inputs_of(self.options, found))

    def check_finished(self, data: Mapping[str, Any], parent: Mapping[str, str] | None) -> None:
        """What more is done with a finished run is done with its own data and start. Raises UsageError."""
        assert self.finished is not None
        before = found_of(self.finished.data, self.finished.parent)
        self._check_same(before, as_recorded(found_of(data, parent), before, parent))

    def settle(self, replaces: bool) -> None:
        """Looks for a state to go on from; where there is none, `replaces` says that this had begun to replace what stands there.
        Raises UsageError where it is of another training, IntegrityError where all states are damaged."""
        self.state, warnings = self.folder.newest()
        self.notes += [Note(text, warning=True) for text in warnings]
        record = read_record(self.out) if (self.out / RECORD).is_file() else None
        if self.state:
            self.folder.cut_log(self.state)
            said = SavedOptions.of_state(self.state.plain)
            said = replace(said, complete=said.complete and record is not None and self._is_of(self.out))
            self.options, self.added = merge_options(self.options, self.command, said, self.out)
            if not said.complete or self.extends:
                self.notes.append(Note(f"going on after step {self.state.step:,}, as saved in {self.state.place}"))
                return
        elif self.options.extend:
            raise UsageError(f"--extend: {self.out} has no saved state to go on from; a run keeps its last with --keep-state")
        elif record and not replaces:
            SavedOptions.of_record(record, self.out).check(plain(self.options), self.command, self.out)
        else:
            self.folder.cut_log(None)
            self.notes.append(Note(f"{self.out} has no saved state yet: this begins from the start", warning=True))
            return
        self.finished = record
        self.notes.append(Note(f"{self.out} is finished already: nothing is left to resume"))

    def _is_of(self, run: Path) -> bool:
        """Whether the finished run is what came of the state, and not one that is still to be replaced."""
        return (run / LOG).is_file() and file_digest(run / LOG) == file_digest(self.folder.log)

    def saver(self, compute: Compute, data: Mapping[str, Any], init: str, parent: Mapping[str, str] | None) -> FolderSaver:
        """What saves its states. Raises UsageError where data or the starting model are not those that it began with."""
        found = found_of(data, parent)
        if self.state:
            found = as_recorded(found, self.state.plain["about"], parent)
            self._check_same(self.state.plain["about"], found)
        about = {
            "command": self.command,
            "typed": command_line(self.command, self.options),
            "options": plain(self.options),
            "added": self.added,
            "init": init,
            "machine": machine_of(compute),
            "revision": REVISION,
            **found,
        }
        if not self.state:
            self.folder.drop()  # those of a training that this one replaces: only now, as nothing can be refused any more
        (self.folder.path / DIVERGED).unlink(missing_ok=True)
        saver = FolderSaver(self.folder, parse_save_every(self.options.save_every), self.interrupts, about, self.go_on)
        if self.state:
            before = self.state.plain["about"]
            machine = [f"{name} {now}, was {before['machine'].get(name)}" for name, now in about["machine"].items()
                       if before["machine"].get(name) != now]  # fmt: skip
            if machine:
                self.notes.append(Note(f"not bit-exact: {listed(machine)}; the training goes on all the same", warning=True))
            elif before.get("revision", 1) != REVISION:
                older = "an earlier version of mtlkit, which may have drawn other batches, saved the checkpoint"
                self.notes.append(Note(f"continuing, but perhaps not bit-for-bit reproducible: {older}", warning=True))
            saver.begin(self.state.step)
        return saver

    def _check_same(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        names = {**before["data"], **now["data"]}
        changed = [f"the data of {name}" for name in names if before["data"].get(name) != now["data"].get(name)]
        changed += ["the model that it starts from"] if before["start"] != now["start"] else []
        if changed:
            saved = "the state" if self.state else "the run"
            if self.state and before.get("revision", 1) != REVISION and before["start"] == now["start"]:
                raise UsageError(
                    f"--resume {self.out}: {listed(changed)} differs from the checkpoint's: changed, or the earlier version "
                    "of mtlkit that saved it held out other rows; resume with that version, or train anew with --overwrite"
                )
            raise UsageError(
                f"--resume {self.out}: changed since {saved} was saved: {listed(changed)}; bring back what it was, or train "
                "anew with --overwrite"
            )

    @contextmanager
    def log(self, saver: FolderSaver) -> Iterator[TextIO]:
        """The log, to append to. A line is written at once, so that a kill costs none. Raises SavingError on a full disk."""
        try:
            with self.folder.log.open("a", encoding="utf-8", buffering=1) as log:
                yield log
        except OSError as error:
            if error.errno not in disk.FULL:
                raise
            raise SavingError(f"{self.folder.log} cannot be written: {disk.reason(error)}; {saver.rescue()}") from None

    @contextmanager
    def saving(self, saver: FolderSaver) -> Iterator[None]:
        """While the finished run is written: where the disk refuses it, a checkpoint keeps the training. Raises SavingError."""
        try:
            yield
        except disk.WRITE_ERRORS as error:
            raise SavingError(f"{self.out} cannot be saved: {disk.reason(error)}; {saver.rescue()}") from None
        finally:
            saver.final = None

    def hand_over(self, staged: Path) -> None:
        """Gives the staged run its log, and the last state where that is kept."""
        shutil.copyfile(self.folder.log, staged / LOG)
        if self.options.keep_state:
            self.folder.carry(staged)

    def diverged(self, error: DivergedStep, texts: Mapping[str, Any]) -> DivergedStep:
        """Writes down the batch that a step was not taken for, and says where that is."""
        path = self.folder.path / DIVERGED
        losses = [{name: value if math.isfinite(value) else str(value) for name, value in one.items()} for one in error.losses]
        found = {"step": error.index + 1, "losses": losses, "rows": texts}
        disk.write(path, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
        spiked = all(math.isfinite(value) for one in error.losses for value in one.values())
        said = f"{error}; the texts of the batch are in {path}{f'; skip it with: {self.go_on} --on-spike skip' if spiked else ''}"
        return DivergedStep(said, error.index, error.pieces, error.losses)

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """While something is found out about the finished run: a signal says how to resume."""
        waits = Interrupts()
        waits.said = f"{self.out} is finished and saved; go on comparing with: {self.go_on}"
        with waits:  # the workplace holds the lock
            yield

    def end(self) -> None:
        """After the run was saved: from here on a signal does what it does elsewhere. Raises StoppedError when a stop was asked
        for meanwhile."""
        self.interrupts.__exit__()
        if self.interrupts.asked is not None:
            raise StoppedError(f"{self.out} is finished and saved", self.interrupts.asked)


@contextmanager
def workplace(options: Options, command: str, folder: str) -> Iterator[RunSession[Options]]:
    """Settles where a training works and from where it goes on, and keeps other writers out. `folder` is its usual place under
    `--runs`. Raises UsageError, IntegrityError."""
    parse_save_every(options.save_every)
    if options.extend and options.resume is None:
        raise UsageError("--extend goes on with a finished run; name it with --resume RUN")
    out = expand(options.resume) if options.resume else options.out or options.runs / folder
    if options.resume and options.out not in (None, out):
        raise UsageError(f"--resume {out} goes on there, and --out says {options.out}; leave one out")
    if options.resume:
        options = load_options(options, command, out)
    resumes = options.resume is not None
    check_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
    states, begun = CheckpointManager(out), (out / STATE).is_dir()
    with states.lock(command_line(command, options)):
        # once more, as another training may have ended meanwhile
        check_folder(out, inputs_of(options), overwrite=options.overwrite, resume=resumes)
        sweep(out)
        place = RunSession(options, command, out, states)
        if options.resume is not None:
            place.settle(options.overwrite and begun)
        if place.state:
            stands = f"the state of step {place.state.step} stands; go on with: {place.go_on}"
            place.interrupts.said = f"stopped before the first step; {stands}"
        with nullcontext() if place.finished else place.interrupts:
            yield place


def found_of(data: Mapping[str, Any], parent: Mapping[str, str] | None) -> dict[str, Any]:
    """What must be the same when a training goes on, as JSON has it."""
    return {"data": json.loads(json.dumps(data)), "start": parent["digest"] if parent else None}


def as_recorded(now: Mapping[str, Any], before: Mapping[str, Any], parent: Mapping[str, str] | None) -> dict[str, Any]:
    """`now`, with the digests that `before` has of models that have not changed; older versions formed them differently."""
    data = {name: dict(about) if isinstance(about, dict) else about for name, about in now["data"].items()}
    for name, about in data.items():
        was = before["data"].get(name)
        teacher = about.get("teacher") if isinstance(about, dict) else None
        if teacher and isinstance(was, dict) and _is_model(teacher["path"], was.get("teacher", {}).get("digest")):
            about["teacher"] = {**teacher, "digest": was["teacher"]["digest"]}
    same_start = parent is not None and _is_model(parent["path"], before["start"])
    return {**now, "data": data, "start": before["start"] if same_start else now["start"]}


def _is_model(path: str, digest: str | None) -> bool:
    return digest is not None and Path(path).is_dir() and is_digest_of(Path(path), digest)


def machine_of(compute: Compute) -> dict[str, Any]:
    """All of a machine that the last bit of a training depends on."""
    device = torch.cuda.get_device_name(compute.device) if compute.device.type == "cuda" else compute.device.type
    return {
        "mtlkit": version("mtlkit"),
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "device": device,
        "precision": compute.precision,
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
