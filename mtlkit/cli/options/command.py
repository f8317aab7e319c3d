"""Turns an options dataclass into a command: each field becomes an option; `--config`, `--json` and `--help-all` are added."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import typer
from typer.core import TyperCommand

from mtlkit.cli.console import close_stdout, stdout
from mtlkit.cli.options.config_file import read_config
from mtlkit.cli.options.fields import PANELS, entry_of, in_order, metavar, parameter_of
from mtlkit.cli.options.help import Entry, Page
from mtlkit.config.option import COMMON
from mtlkit.errors import OptionError, UsageError

Options = TypeVar("Options")
OUTPUTS = ("out", "output", "errors")  # options that name what a command writes


def check_config(out: Path | None, config: Path | None, option: str) -> None:
    """Refuses to overwrite the file of options. Raises UsageError."""
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
            checked = options(**values)
            for name in OUTPUTS:
                check_config(getattr(checked, name, None), config, f"--{name}")
            handler(checked, as_json)
            sys.stdout.flush()
        except OptionError as error:
            raise UsageError(f"--{error.field.replace('_', '-')}: {error.reason}") from None
        except BrokenPipeError:  # here, because Typer would make it an error
            close_stdout()

    declared = in_order(options)
    hints = typing.get_type_hints(options)
    lists = [item.name for item in declared if item.default_factory is not MISSING]
    summary = inspect.getdoc(handler) or ""
    entries = sorted(
        [*(entry_of(item, hints[item.name]) for item in declared), *OWN], key=lambda entry: PANELS.index(entry.panel)
    )
    page = Page(_usage(name, declared), summary, entries, examples)
    parameters = [parameter_of(item, hints[item.name]) for item in declared]
    parameters += [_json(), _config([item.name for item in declared], lists), _help_all(page)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    kind = type("Command", (Command,), {"page": page, "panel": panel})
    app.command(name, help=summary, short_help=summary.partition("\n\n")[0], cls=kind)(run)


class Command(TyperCommand):
    """A command that draws its own help; `panel` is its place in `mtlkit --help`."""

    page: ClassVar[Page]
    panel: ClassVar[str]

    def get_help(self, ctx: Any) -> str:
        return shown(drawn(self.page))


def shown(text: str) -> str:
    """Writes help and returns what is left for Typer to write: nothing, as Typer reports a closed pipe as an error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()
    return ""


def drawn(page: Page, *, all_options: bool = False) -> str:
    """A page of help for standard output, styled on a terminal."""
    console = stdout()
    with console.capture() as captured:
        console.print(page.draw(console.width, all_options=all_options), soft_wrap=True, end="")
    return captured.get()


def _usage(name: str, declared: Sequence[Field[Any]]) -> str:
    arguments = [f"[{metavar(item, str)}]" for item in declared if item.metadata["option"].positional]
    return " ".join(["mtlkit", name, "[OPTIONS]", *arguments])


OWN = (
    Entry("--json", "Print the result as one JSON document.", "Output"),
    Entry("--config FILE", "TOML file with options; the command line wins.", COMMON),
)


def _json() -> inspect.Parameter:
    annotation = Annotated[bool, typer.Option("--json")]
    return inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _help_all(page: Page) -> inspect.Parameter:
    def show(value: bool) -> None:
        if value:
            typer.echo(shown(drawn(page, all_options=True)))
            raise typer.Exit

    annotation = Annotated[bool, typer.Option("--help-all", callback=show, is_eager=True)]
    return inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _config(known: list[str], lists: list[str]) -> inspect.Parameter:
    def read(context: typer.Context, value: Path | None) -> Path | None:
        if value is not None:
            context.default_map = {**(context.default_map or {}), **read_config(value, known, lists)}
        return value

    annotation = Annotated[typing.Optional[Path], typer.Option("--config", callback=read, is_eager=True)]  # noqa: UP045 (Typer reads it)
    return inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
