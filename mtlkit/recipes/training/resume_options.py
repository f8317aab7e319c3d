"""The options of a training that goes on: those that it began with, held against those that were typed."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from mtlkit.config.common import TrainingOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import RECORD, RunRecord, read_record
from mtlkit.training.balancing.registry import full_name

Options = TypeVar("Options", bound=TrainingOptions)

# may differ from what the training began with, as they change none of its numbers
FREE = {"resume", "save_every", "keep_state", "extend", "overwrite", "out", "runs"} | {
    *("on_spike", "cache_memory", "device", "verbose"),
}


@dataclass(frozen=True)
class SavedOptions:
    """What a saved state or a finished run says of its training: the command, its options, how many epochs were added to what the
    command asked for, whether it is complete."""

    command: str
    options: Mapping[str, Any]
    added: int = 0
    complete: bool = False

    @classmethod
    def of_state(cls, plain: Mapping[str, Any]) -> SavedOptions:
        about = plain["about"]
        return cls(about["command"], about["options"], about["added"], plain["training"]["own"]["complete"])

    @classmethod
    def of_record(cls, record: RunRecord, folder: Path) -> SavedOptions:
        """Raises IntegrityError where the record does not say which training wrote it."""
        words = record.command.split()
        if len(words) < 2 or type(record.options.get("epochs")) is not int:
            raise IntegrityError(f"{folder / RECORD}: damaged (names no training to resume)")
        return cls(words[1], record.options, complete=True)

    @property
    def typed(self) -> Mapping[str, Any]:
        """The options of the command that it began with."""
        return {**self.options, "epochs": self.options["epochs"] - self.added}

    def check(self, given: Mapping[str, Any], command: str, out: Path) -> None:
        """Raises UsageError where it is of another command, or naming the options that are not those that it has."""
        if self.command != command:
            go_on = f"mtlkit {self.command} --resume {out}"
            raise UsageError(f"--resume {out}: that is a run of mtlkit {self.command}; go on with: {go_on}")
        changed = [
            name
            for name, value in given.items()
            if name not in FREE and spelled(name, self.options.get(name, value)) != spelled(name, value)
        ]
        if changed:
            names = {name: f"--{name.replace('_', '-')}" for name in changed}
            words = (f"{names[name]} {shown(given[name])}, which was {shown(self.options[name])}" for name in changed)
            way = "leave it as it was, or train anew with --overwrite"
            raise UsageError(f"--resume {out}: not as the training began: {'; '.join(words)}; {way}")


def spelled(name: str, value: Any) -> Any:
    """The value of an option in its full spelling, so that an alias equals what it stands for."""
    return full_name(value) if name == "balance" else value


def said_at(out: Path) -> SavedOptions | None:
    """What is said at the place of a run; None where nothing was saved there. Raises IntegrityError where all is damaged."""
    folder = CheckpointManager(out)
    if found := folder.peek():
        return SavedOptions.of_state(found)
    if (out / RECORD).is_file():
        return SavedOptions.of_record(read_record(out), out)
    folder.newest()  # raises where states are there, as none was sound
    return None


def load_options(options: Options, command: str, out: Path) -> Options:
    """`--resume RUN`: the options of the training there, with those typed that may differ. Raises UsageError, IntegrityError."""
    said = said_at(out)
    if said is None:
        raise UsageError(f"--resume {out}: nothing was saved there; type the whole command, with --resume at its end")
    usual, now = plain(type(options)()), plain(options)
    given = {name: value for name, value in now.items() if value != usual[name]}
    SavedOptions(said.command, said.typed).check(given, command, out)
    free = {name: getattr(options, name) for name in given if name in FREE}
    return replace(restored(type(options), said.typed), **{**free, "out": out, "overwrite": False})


def merge_options(options: Options, command: str, said: SavedOptions, out: Path) -> tuple[Options, int]:
    """The options to go on with, and how many epochs are added in all. Raises UsageError where it is another training, or not
    one to extend."""
    SavedOptions(said.command, said.typed).check(plain(options), command, out)
    added = said.added
    if options.extend and said.complete:
        added += options.extend
    elif options.extend and options.extend != added:
        raise UsageError(f"--extend: {out} is not finished yet; go on with --resume alone first")
    epochs: dict[str, Any] = {"epochs": said.typed["epochs"] + added}
    return replace(options, extend=None, **epochs), added


def restored(kind: type[Options], saved: Mapping[str, Any]) -> Options:
    """Options from what `plain` made of them."""
    hints = typing.get_type_hints(kind)
    there = {item.name: saved[item.name] for item in fields(kind) if item.name in saved}
    paths = {name for name in there if Path in (hints[name], *typing.get_args(hints[name]))}
    values: dict[str, Any] = {name: Path(value) if name in paths and value else value for name, value in there.items()}
    return kind(**values)


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
