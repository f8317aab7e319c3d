"""The options of a resumed training: the saved ones, checked against those that were typed."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from mtlkit.config.commands.train_mtl import FEW_SHOT_RATE
from mtlkit.config.common import TrainingOptions
from mtlkit.config.registries.balancing import full_name
from mtlkit.config.task_training import LEARNING_RATE
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import RECORD, RunRecord, read_record
from mtlkit.training.state_dict import is_complete

# options whose default depends on others or on the number of processes; it is recorded, so that None is whatever was recorded
DERIVED = ("accumulate", "batch_size", "block", "epochs", "learning_rate", "optimizer")

Options = TypeVar("Options", bound=TrainingOptions)

# options that may differ from the saved ones, as they do not affect results
FREE = {"resume", "save_every", "keep_state", "extend", "overwrite", "out", "runs"} | {
    *("on_spike", "cache_memory", "device", "verbose", "track", "recompute", "license", "language"),
}


@dataclass(frozen=True)
class SavedOptions:
    """The command and options of a saved or finished training. `--extend` added `added` of its epochs; `complete`: its last
    step is done.
    """

    command: str
    options: Mapping[str, Any]
    added: int = 0
    complete: bool = False

    @classmethod
    def of_state(cls, plain: Mapping[str, Any]) -> SavedOptions:
        """From the JSON part of a checkpoint."""
        about = plain["about"]
        return cls(about["command"], upgraded(about["options"]), about["added"], is_complete(plain["training"]))

    @classmethod
    def of_record(cls, record: RunRecord, folder: Path) -> SavedOptions:
        """From the record of a finished run. Raises IntegrityError if it does not name a training command."""
        words = record.command.split()
        if len(words) < 2 or type(record.options.get("epochs")) is not int:
            raise IntegrityError(f"{folder / RECORD}: damaged (names no training to resume)")
        return cls(words[1], upgraded(record.options), complete=True)

    @property
    def typed(self) -> Mapping[str, Any]:
        """The options as they were typed at first, before any `--extend`."""
        return {**self.options, "epochs": self.options["epochs"] - self.added}

    def check(self, options: Mapping[str, Any], command: str, out: Path) -> None:
        """Raises UsageError if the command or an option differs, unless the option may differ."""
        if self.command != command:
            resume = f"mtlkit {self.command} --resume {out}"
            raise UsageError(f"--resume {out}: this is a run of mtlkit {self.command}; resume with: {resume}")
        changed = [
            name
            for name, value in options.items()
            if name not in FREE
            and not (value is None and name in DERIVED)
            and spelled(name, self.options.get(name, value)) != spelled(name, value)
        ]
        if changed:
            names = {name: f"--{name.replace('_', '-')}" for name in changed}
            words = (f"{names[name]} {shown(options[name])} (was {shown(self.options[name])})" for name in changed)
            way = "keep the saved values, or train again with --overwrite"
            raise UsageError(f"--resume {out}: options differ from the saved training: {'; '.join(words)}; {way}")


def upgraded(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Recorded options with the values of those that did not exist then, where they differ from today's defaults."""
    had_no_limit = options.get("objective") == "similarity" and "batch_size" not in options
    had_own_rate = options.get("few_shot") and options.get("learning_rate") == LEARNING_RATE and "optimizer" not in options
    earlier_base = {"packing": "stream", "dedup": "none", "block": "gpt2"} if "sources" in options else {}
    return {
        "optimizer": "adamw",
        **earlier_base,
        **options,
        **({"batch_size": 0} if had_no_limit else {}),
        **({"learning_rate": FEW_SHOT_RATE} if had_own_rate else {}),
    }


def spelled(name: str, value: Any) -> Any:
    """The value of an option with aliases replaced by full names."""
    return full_name(value) if name == "balance" else value


def saved_options(out: Path) -> SavedOptions | None:
    """The options of the training in a folder; None if nothing was saved there. Raises IntegrityError if all checkpoints are
    damaged.
    """
    checkpoints = CheckpointManager(out)
    if values := checkpoints.peek():
        return SavedOptions.of_state(values)
    if (out / RECORD).is_file():
        return SavedOptions.of_record(read_record(out), out)
    checkpoints.newest()  # raises IntegrityError if there are checkpoints, as all are damaged
    return None


def load_options(options: Options, command: str, out: Path) -> Options:
    """The options for `--resume RUN`: those of the training there, except typed ones that may differ. Raises UsageError,
    IntegrityError.
    """
    saved = saved_options(out)
    if saved is None:
        raise UsageError(f"--resume {out}: no training was saved there; type the whole command with --resume at its end")
    defaults, now = plain(type(options)()), plain(options)
    typed = {name: value for name, value in now.items() if value != defaults[name]}
    SavedOptions(saved.command, saved.typed).check(typed, command, out)
    free = {name: getattr(options, name) for name in typed if name in FREE}
    return replace(restored(type(options), saved.typed), **{**free, "out": out, "overwrite": False})


def added_epochs(options: Options, saved: SavedOptions, out: Path) -> int:
    """The number of epochs that `--extend` has added in total. Raises UsageError if the training cannot be extended yet."""
    if options.extend and saved.complete:
        return saved.added + options.extend
    if options.extend and options.extend != saved.added:
        raise UsageError(f"--extend: {out} is not finished yet; resume it without --extend first")
    return saved.added


def merge_options(options: Options, command: str, saved: SavedOptions, out: Path) -> Options:
    """The options to continue with. Raises UsageError if they are of another training, or if it cannot be extended yet."""
    SavedOptions(saved.command, saved.typed).check(plain(options), command, out)
    recorded = {name: saved.typed[name] for name in DERIVED if name in saved.typed}
    epochs = saved.typed["epochs"] + added_epochs(options, saved, out)
    return replace(options, extend=None, **{**recorded, "epochs": epochs})


def resolved(options: Options, processes: int = 1) -> Options:
    """The options with the defaults that depend on other options, or on the number of processes, in place of None."""
    defaults = {**options.derived_defaults, "accumulate": processes}
    unset = {name for name in defaults.keys() - options.chosen_by_plan if getattr(options, name) is None}
    return replace(options, **{name: defaults[name] for name in unset})


def restored(kind: type[Options], saved: Mapping[str, Any]) -> Options:
    """Options from JSON, the inverse of `plain`. Options that are not in `saved` have their defaults."""
    hints = typing.get_type_hints(kind)
    known = {item.name: saved[item.name] for item in fields(kind) if item.name in saved}
    paths = {name for name in known if Path in (hints[name], *typing.get_args(hints[name]))}
    values: dict[str, Any] = {name: Path(value) if name in paths and value else value for name, value in known.items()}
    return kind(**values)


def shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
