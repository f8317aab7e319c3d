"""The options of a resumed training: those that it began with, compared with those that were typed."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from mtlkit.config.common import TrainingOptions
from mtlkit.config.registries.balancing import full_name
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import RECORD, RunRecord, read_record
from mtlkit.training.state_dict import is_complete

Options = TypeVar("Options", bound=TrainingOptions)

# may differ from those that the training began with, as they change none of its numbers
FREE = {"resume", "save_every", "keep_state", "extend", "overwrite", "out", "runs"} | {
    *("on_spike", "cache_memory", "device", "verbose"),
}


@dataclass(frozen=True)
class SavedOptions:
    """The command and options of a saved or finished training. `added` of its epochs came by --extend; `complete`: it has taken
    its last step."""

    command: str
    options: Mapping[str, Any]
    added: int = 0
    complete: bool = False

    @classmethod
    def of_state(cls, plain: Mapping[str, Any]) -> SavedOptions:
        about = plain["about"]
        return cls(about["command"], about["options"], about["added"], is_complete(plain["training"]))

    @classmethod
    def of_record(cls, record: RunRecord, folder: Path) -> SavedOptions:
        """Raises IntegrityError where the record does not say which training wrote it."""
        words = record.command.split()
        if len(words) < 2 or type(record.options.get("epochs")) is not int:
            raise IntegrityError(f"{folder / RECORD}: damaged (names no training to resume)")
        return cls(words[1], record.options, complete=True)

    @property
    def typed(self) -> Mapping[str, Any]:
        """The options as they were typed first, before any --extend."""
        return {**self.options, "epochs": self.options["epochs"] - self.added}

    def check(self, given: Mapping[str, Any], command: str, out: Path) -> None:
        """Raises UsageError where the command or any option differs, naming them."""
        if self.command != command:
            resume = f"mtlkit {self.command} --resume {out}"
            raise UsageError(f"--resume {out}: this is a run of mtlkit {self.command}; resume with: {resume}")
        changed = [
            name
            for name, value in given.items()
            if name not in FREE and spelled(name, self.options.get(name, value)) != spelled(name, value)
        ]
        if changed:
            names = {name: f"--{name.replace('_', '-')}" for name in changed}
            words = (f"{names[name]} {shown(given[name])} (was {shown(self.options[name])})" for name in changed)
            way = "keep the saved values, or train again with --overwrite"
            raise UsageError(f"--resume {out}: options differ from the saved training: {'; '.join(words)}; {way}")


def spelled(name: str, value: Any) -> Any:
    """The value of an option in its full spelling, so that an alias equals what it stands for."""
    return full_name(value) if name == "balance" else value


def saved_options(out: Path) -> SavedOptions | None:
    """Those of the training in a folder; None where nothing was saved there. Raises IntegrityError where all is damaged."""
    folder = CheckpointManager(out)
    if found := folder.peek():
        return SavedOptions.of_state(found)
    if (out / RECORD).is_file():
        return SavedOptions.of_record(read_record(out), out)
    folder.newest()  # raises where states are there, as none was sound
    return None


def load_options(options: Options, command: str, out: Path) -> Options:
    """`--resume RUN`: the options of the training there, with those typed that may differ. Raises UsageError, IntegrityError."""
    saved = saved_options(out)
    if saved is None:
        raise UsageError(f"--resume {out}: no training was saved there; type the whole command with --resume at its end")
    usual, now = plain(type(options)()), plain(options)
    given = {name: value for name, value in now.items() if value != usual[name]}
    SavedOptions(saved.command, saved.typed).check(given, command, out)
    free = {name: getattr(options, name) for name in given if name in FREE}
    return replace(restored(type(options), saved.typed), **{**free, "out": out, "overwrite": False})


def added_epochs(options: Options, saved: SavedOptions, out: Path) -> int:
    """How many epochs --extend has added in all. Raises UsageError where the training cannot be extended."""
    if options.extend and saved.complete:
        return saved.added + options.extend
    if options.extend and options.extend != saved.added:
        raise UsageError(f"--extend: {out} is not finished yet; resume it without --extend first")
    return saved.added


def merge_options(options: Options, command: str, saved: SavedOptions, out: Path) -> Options:
    """The options to continue with. Raises UsageError where it is another training, or cannot be extended."""
    SavedOptions(saved.command, saved.typed).check(plain(options), command, out)
    epochs: dict[str, Any] = {"epochs": saved.typed["epochs"] + added_epochs(options, saved, out)}
    return replace(options, extend=None, **epochs)


def restored(kind: type[Options], saved: Mapping[str, Any]) -> Options:
    """Options from their plain form, the inverse of `plain`."""
    hints = typing.get_type_hints(kind)
    there = {item.name: saved[item.name] for item in fields(kind) if item.name in saved}
    paths = {name for name in there if Path in (hints[name], *typing.get_args(hints[name]))}
    values: dict[str, Any] = {name: Path(value) if name in paths and value else value for name, value in there.items()}
    return kind(**values)


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
