"""The fields of an options dataclass, for help and for Typer."""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mtlkit.cli.options.completion import completer
from mtlkit.cli.options.help import Entry
from mtlkit.config.option import COMMON, Declaration

# in the order of --help
PANELS = (
    *(COMMON, "Objective", "Training", "Multiple tasks", "Freezing", "Existing tasks"),
    *("Data", "Model", "Model card", "Output", "Hugging Face hub", "Run", "Machine"),
)
PLACEHOLDERS: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}  # of values in help


def in_order(options: type[Any]) -> list[Field[Any]]:
    """The options in the order of the help: by panel, advanced ones last, those of the command before inherited ones."""
    owners = {
        name: depth
        for depth, kind in reversed(list(enumerate(options.__mro__)))
        for name in vars(kind).get("__annotations__", ())
    }

    def key(item: Field[Any]) -> tuple[int, bool, int, int]:
        declared: Declaration = item.metadata["option"]
        return PANELS.index(declared.panel), declared.advanced, declared.rank, owners[item.name]

    return sorted((item for item in fields(options) if "option" in item.metadata), key=key)


def entry_of(item: Field[Any], hint: Any) -> Entry:
    """The help entry of a field."""
    declared: Declaration = item.metadata["option"]
    value = metavar(item, hint)
    names = value if declared.positional else ", ".join([*flags(item, hint), *([declared.short] if declared.short else [])])
    shown = names if declared.positional or not value else f"{names} {value}"
    return Entry(shown, declared.full_help, declared.panel, declared.advanced, default_text(item))


def flags(item: Field[Any], hint: Any) -> list[str]:
    name = item.name.replace("_", "-")
    # None is a third value besides yes and no, so both have a flag
    return [f"--{name}", f"--no-{name}"] if hint == bool | None else [f"--{name}"]


def metavar(item: Field[Any], hint: Any) -> str:
    """The placeholder of a value; empty for a flag."""
    declared: Declaration = item.metadata["option"]
    if declared.metavar:
        return declared.metavar
    if declared.choices is not None:
        return "|".join(declared.choices)
    if declared.positional:
        return f"{item.name.upper()}..." if item.default_factory is not MISSING else item.name.upper()
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is list:
        (hint,) = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "|".join(typing.get_args(hint))
    return PLACEHOLDERS.get(hint, "")


def default_text(item: Field[Any]) -> str:
    declared: Declaration = item.metadata["option"]
    value = _value(item)
    if declared.default_text:
        return declared.default_text
    if value is None or value is False or value == []:
        return ""
    return " ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def parameter_of(item: Field[Any], hint: Any) -> inspect.Parameter:
    """A field as a keyword parameter with an annotation for Typer. Choices and limits are left to the options themselves, whose
    messages are those of Python, too."""
    declared: Declaration = item.metadata["option"]
    hint, choices = without_choices(hint)
    common: dict[str, Any] = {"help": declared.full_help, "autocompletion": completer(declared, choices)}
    if declared.metavar:
        common["metavar"] = declared.metavar
    if declared.positional:
        annotation: Any = Annotated[hint, typer.Argument(**common)]
    else:
        names = ["/".join(flags(item, hint)), *([declared.short] if declared.short else [])]
        annotation = Annotated[hint, typer.Option(*names, **common)]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=_value(item), annotation=annotation)


def without_choices(hint: Any) -> tuple[Any, tuple[str, ...]]:
    """An annotation with `str` in place of a Literal, and the choices of that; none without one."""
    if typing.get_origin(hint) is Literal:
        return str, typing.get_args(hint)
    parts = typing.get_args(hint)
    found = next((typing.get_args(part) for part in parts if typing.get_origin(part) is Literal), ())
    if not found:
        return hint, ()
    if typing.get_origin(hint) is list:
        return list[str], found
    return str | None, found


def _value(item: Field[Any]) -> Any:
    """The default of a field."""
    return item.default if item.default_factory is MISSING else item.default_factory()
