"""Turns an options dataclass into a command: each field becomes an option; `--config`, `--json` and `--help-all` are added."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import typer
from typer.core import TyperCommand

from mtlkit.cli.completion import completer
from mtlkit.cli.config_file import read_config
from mtlkit.cli.console import close_stdout, stdout
from mtlkit.cli.help import Entry, Page
from mtlkit.config.option import COMMON, Declaration
from mtlkit.errors import OptionError, UsageError

Options = TypeVar("Options")
OUTPUTS = ("out", "output")  # options that name what a command writes

# in the order of --help
PANELS = (
    *(COMMON, "Objective", "Training", "Multiple tasks", "Freezing", "Existing tasks"),
    *("Data", "Model", "Output", "Run", "Machine"),
)
TYPES: dict[Any, str] = {int: "N", float: "X", Path: "PATH", str: "TEXT"}  # what stands for a value in help


def check_config(out: Path | None, config: Path | None, option: str) -> None:
    """An output is not the file of options. Raises UsageError."""
    if out is not None and config is not None:
        from mtlkit.runs.overlap import Input, check_not_input

        check_not_input(out, [Input(config, "--config")], option)


def add_command(
    app: typer.Typer,
    name: str,
    options: type[Options],
    handler: Callable[[Options, bool], None],
    examples: list[str],
    panel: str = "Commands",
) -> None:
    """Registers `handler(options, json)` as a command of a panel of `mtlkit --help`; its docstring is the help."""

    def run(**values: Any) -> None:
        as_json, config, _ = values.pop("json"), values.pop("config"), values.pop("help_all")
        try:
            given = options(**values)
            for name in OUTPUTS:
                check_config(getattr(given, name, None), config, f"--{name}")
            handler(given, as_json)
            sys.stdout.flush()
        except OptionError as error:
            raise UsageError(f"--{error.field.replace('_', '-')}: {error.reason}") from None
        except BrokenPipeError:  # here, because Typer would make it an error
            close_stdout()

    declared = in_order(options)
    hints = typing.get_type_hints(options)
    lists = [item.name for item in declared if item.default_factory is not MISSING]
    summary = inspect.getdoc(handler) or ""
    entries = sorted([*_entries(declared, hints), *OWN], key=lambda entry: PANELS.index(entry.panel))
    page = Page(_usage(name, declared), summary, entries, examples)
    parameters = [_parameter(item, hints[item.name]) for item in declared]
    parameters += [_json(), _config([item.name for item in declared], lists), _help_all(page)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    kind = type("Command", (Command,), {"page": page, "panel": panel})
    app.command(name, help=summary, short_help=summary.partition("\n\n")[0], cls=kind)(run)


class Command(TyperCommand):
    """A command that draws its own help; it stands in a panel of `mtlkit --help`."""

    page: ClassVar[Page]
    panel: ClassVar[str]

    def get_help(self, ctx: Any) -> str:
        return shown(drawn(self.page))


def shown(text: str) -> str:
    """Writes help, and gives what is left for Typer to write: it takes a reader that left for an error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()
    return ""


def drawn(page: Page, *, whole: bool = False) -> str:
    """A page of help for standard output, styled on a terminal."""
    console = stdout()
    with console.capture() as captured:
        console.print(page.draw(console.width, whole=whole), soft_wrap=True, end="")
    return captured.get()


def in_order(options: type[Any]) -> list[Field[Any]]:
    """The options as help shows them: by panel, advanced ones last, those of the command itself before those of many commands."""
    owners = {
        name: place
        for place, kind in reversed(list(enumerate(options.__mro__)))
        for name in vars(kind).get("__annotations__", ())
    }

    def key(item: Field[Any]) -> tuple[int, bool, int, int]:
        declared: Declaration = item.metadata["option"]
        return PANELS.index(declared.panel), declared.advanced, declared.rank, owners[item.name]

    return sorted((item for item in fields(options) if "option" in item.metadata), key=key)


def _usage(name: str, declared: Sequence[Field[Any]]) -> str:
    arguments = [f"[{_metavar(item, str)}]" for item in declared if item.metadata["option"].positional]
    return " ".join(["mtlkit", name, "[OPTIONS]", *arguments])


def _entries(declared: Sequence[Field[Any]], hints: dict[str, Any]) -> list[Entry]:
    return [_entry(item, hints[item.name]) for item in declared]


def _entry(item: Field[Any], hint: Any) -> Entry:
    declared: Declaration = item.metadata["option"]
    value = _metavar(item, hint)
    names = value if declared.positional else ", ".join([*_names(item, hint), *([declared.short] if declared.short else [])])
    shown = names if declared.positional or not value else f"{names} {value}"
    return Entry(shown, declared.full_help, declared.panel, declared.advanced, _default(item))


def _names(item: Field[Any], hint: Any) -> list[str]:
    name = item.name.replace("_", "-")
    # None is a third answer to yes or no, so that either of the two can be given
    return [f"--{name}", f"--no-{name}"] if hint == bool | None else [f"--{name}"]


def _metavar(item: Field[Any], hint: Any) -> str:
    """What stands for a value: nothing for a flag."""
    declared: Declaration = item.metadata["option"]
    if declared.metavar:
        return declared.metavar
    if declared.choices is not None:
        return "|".join(declared.choices)
    if declared.positional:
        return f"{item.name.upper()}..." if item.default_factory is not MISSING else item.name.upper()
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
    if typing.get_origin(hint) is list:
        (hint,) = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return "|".join(typing.get_args(hint))
    return TYPES.get(hint, "")


def _default(item: Field[Any]) -> str:
    declared: Declaration = item.metadata["option"]
    value = item.default if item.default_factory is MISSING else item.default_factory()
    if declared.default_text:
        return declared.default_text
    if value is None or value is False or value == []:
        return ""
    return " ".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def _parameter(item: Field[Any], hint: Any) -> inspect.Parameter:
    declared: Declaration = item.metadata["option"]
    default = item.default if item.default_factory is MISSING else item.default_factory()
    common: dict[str, Any] = {"help": declared.full_help, "autocompletion": completer(declared)}
    if declared.metavar:
        common["metavar"] = declared.metavar
    if declared.minimum is not None:
        common["min"] = declared.minimum
    if declared.maximum is not None:
        common["max"] = declared.maximum
    if declared.positional:
        marked: Any = Annotated[hint, typer.Argument(**common)]
    else:
        names = ["/".join(_names(item, hint)), *([declared.short] if declared.short else [])]
        marked = Annotated[hint, typer.Option(*names, **common)]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=marked)


OWN = (
    Entry("--json", "Print the result as one JSON document.", "Output"),
    Entry("--config FILE", "TOML file with options; the command line wins.", COMMON),
)


def _json() -> inspect.Parameter:
    marked = Annotated[bool, typer.Option("--json")]
    return inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=marked)


def _help_all(page: Page) -> inspect.Parameter:
    def show(value: bool) -> None:
        if value:
            typer.echo(shown(drawn(page, whole=True)))
            raise typer.Exit

    marked = Annotated[bool, typer.Option("--help-all", callback=show, is_eager=True)]
    return inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=marked)


def _config(known: list[str], lists: list[str]) -> inspect.Parameter:
    def read(context: typer.Context, value: Path | None) -> Path | None:
        if value is not None:
            context.default_map = {**(context.default_map or {}), **read_config(value, known, lists)}
        return value

    marked = Annotated[typing.Optional[Path], typer.Option("--config", callback=read, is_eager=True)]  # noqa: UP045 (Typer reads it)
    return inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=marked)


OPTIONAL = {"--resume"}  # options of trainings whose value may be left out; of `embed` it has none
TRAININGS = ("pretrain", "train-sentence", "train-mtl")


def with_values(arguments: Sequence[str]) -> list[str]:
    """Gives an option of OPTIONAL that has no value an empty one, which Typer asks for: `--resume --epochs 3`."""
    if not arguments or arguments[0] not in TRAININGS:
        return list(arguments)
    found = []
    for place, argument in enumerate(arguments):
        follows = arguments[place + 1 : place + 2]
        alone = argument in OPTIONAL and "--" not in arguments[:place] and (not follows or follows[0].startswith("-"))
        found.append(f"{argument}=" if alone else argument)
    return found
