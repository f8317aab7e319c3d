"""Converts options to JSON and back to a command line."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.shell import command_text


def plain(options: Any) -> dict[str, Any]:
    """Options as JSON values."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


def command_line(command: str, options: CheckedOptions) -> str:
    """The command line of these options, without defaults and without --resume."""
    words = ["mtlkit", command]
    positional = {item.name for item in fields(options) if "option" in item.metadata and item.metadata["option"].positional}
    defaults = plain(type(options)())
    for name, value in plain(options).items():
        if value in (None, defaults[name], options.derived_defaults.get(name)) or name == "resume":
            continue
        flag = f"--{name.replace('_', '-')}"
        if name in positional:
            words += value if isinstance(value, list) else [value]
        elif isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            for item_value in value if isinstance(value, list) else [value]:
                words += [flag, str(item_value)]
    return command_text(words)
