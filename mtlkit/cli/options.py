"""Turns an options dataclass into a command: each field becomes an option, `--config` and `--json` are added."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Collection, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from mtlkit.cli.console import close_stdout
from mtlkit.config.option import Declaration
from mtlkit.config.small_files import Unreadable, read_text
from mtlkit.errors import OptionError, UsageError, listed, suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Options = TypeVar("Options")
OUTPUTS = ("out", "output")  # options that name what a command writes

# in the order of --help
PANELS = (
    *("Data", "Objective", "Model", "Training", "Several tasks"),
    *("Freezing", "Keeping what was learned", "Output", "Run", "Machine"),
)


def check_config(out: Path | None, config: Path | None, option: str) -> None:
    """An output is not the file of options. Raises UsageError."""
    if out is not None and config is not None:
        from mtlkit.runs.outputs import Input, check_inputs

        check_inputs(out, [Input(config, "--config")], option)


def add_command(
    app: typer.Typer, name: str, options: type[Options], handler: Callable[[Options, bool], None], examples: list[str]
) -> None:
    """Registers `handler(options, json)` as a command; its docstring is the help, with the examples below."""

    def run(**values: Any) -> None:
        as_json = values.pop("json")
        config = values.pop("config")
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

    declared = [item for item in fields(options) if "option" in item.metadata]  # type: ignore[arg-type]
    declared.sort(key=lambda item: PANELS.index(item.metadata["option"].panel))
    parameters = [_parameter(item, typing.get_type_hints(options)[item.name]) for item in declared]
    lists = [item.name for item in declared if item.default_factory is not MISSING]
    parameters += [_json_parameter(), _config_parameter([item.name for item in declared], lists)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    text = inspect.getdoc(handler) or ""
    run.__doc__ = text + "\n\n[bold]Examples[/bold]\n\n" + "\n\n".join(f"  {example}" for example in examples)
    app.command(name, short_help=text.splitlines()[0])(run)


def _parameter(item: Field[Any], hint: Any) -> inspect.Parameter:
    declared: Declaration = item.metadata["option"]
    default = item.default if item.default_factory is MISSING else item.default_factory()
    shown: bool | str = declared.default_text or not (default is None or default is False or default == [])
    common: dict[str, Any] = {"help": declared.help, "rich_help_panel": declared.panel, "show_default": shown}
    if declared.metavar:
        common["metavar"] = declared.metavar
    if declared.choices is not None:
        common["metavar"] = "|".join(declared.choices)
        common["autocompletion"] = completion(declared.choices)
    if declared.minimum is not None:
        common["min"] = declared.minimum
    if declared.maximum is not None:
        common["max"] = declared.maximum
    if declared.positional:
        marked: Any = Annotated[hint, typer.Argument(**common)]
    else:
        name = item.name.replace("_", "-")
        both_ways = hint == bool | None  # None is a third answer, so that either of the two can be given
        names = [f"--{name}/--no-{name}" if both_ways else f"--{name}", *([declared.short] if declared.short else [])]
        marked = Annotated[hint, typer.Option(*names, **common)]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=marked)


def completion(choices: Collection[str]) -> Callable[[str], list[str]]:
    """What a shell offers for an option with these choices."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def _json_parameter() -> inspect.Parameter:
    marked = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.", rich_help_panel="Output")]
    return inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=marked)


def _config_parameter(known: list[str], lists: list[str]) -> inspect.Parameter:
    def read(context: typer.Context, value: Path | None) -> Path | None:
        if value is not None:
            context.default_map = {**(context.default_map or {}), **read_config(value, known, lists)}
        return value

    option = typer.Option(
        "--config",
        help="A TOML file of options by name; the command line wins.",
        callback=read,
        is_eager=True,
        rich_help_panel="Run",
    )
    marked = Annotated[typing.Optional[Path], option]  # noqa: UP045 (typer reads this at run time, on 3.10 too)
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


def read_config(path: Path, known: list[str], lists: list[str]) -> dict[str, Any]:
    """Options out of a TOML file; `batch-tokens` and `batch_tokens` are the same. An option of `lists` may have a single value.

    Raises UsageError for an unknown key.
    """
    try:
        values = tomllib.loads(read_text(path))
    except Unreadable as error:
        raise UsageError(f"--config {path}: {error}; give a file of TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"--config {path}: not TOML ({error})") from None
    found = {key.replace("-", "_"): value for key, value in values.items()}
    for key in found:
        if key not in known:
            names = [name.replace("_", "-") for name in known]
            raise UsageError(
                f"--config {path}: no option '{key}'; options: {listed(names, 40)}{suggest(key.replace('_', '-'), names)}"
            )
    return {key: [value] if key in lists and not isinstance(value, list) else value for key, value in found.items()}
