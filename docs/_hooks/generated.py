"""Pages that are made from the code at build time: one per command, and files of the repository that lie outside docs/."""

from __future__ import annotations

import inspect
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mtlkit.cli.app import app

ROOT = Path(__file__).parents[2]
COMMANDS = "reference/commands"
# page: file of the repository
INCLUDED = {
    "examples.md": "examples/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")
VALUES = {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the pages of the commands in the navigation."""
    pages = [f"{COMMANDS}/{name}.md" for name in commands()]
    for section in config.nav or []:
        for entry in section.get("Reference", []):
            if "Commands" in entry:
                entry["Commands"] = pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for name, run in commands().items():
        files.append(File.generated(config, f"{COMMANDS}/{name}.md", content=command_page(name, run)))
    for page, source in INCLUDED.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def commands() -> dict[str, Any]:
    """The functions behind the commands, by the names that are typed."""
    return {command.name: command.callback for command in app.registered_commands if command.name and not command.hidden}


def command_page(name: str, run: Any) -> str:
    """What a command does, its examples, and a table of options per panel of its --help."""
    text, _, examples = (run.__doc__ or "").partition("[bold]Examples[/bold]")
    lines = [f"# mtlkit {name}", "", with_code(text.strip().replace("<", "&lt;")), ""]
    if typed := [line.strip() for line in examples.splitlines() if line.strip()]:
        lines += ["```sh", *typed, "```", ""]
    panels: dict[str, list[str]] = {}
    for parameter in inspect.signature(run).parameters.values():
        declared = parameter.annotation.__metadata__[0]
        if not declared.hidden:
            panels.setdefault(declared.rich_help_panel or "Options", []).append(row(parameter, declared))
    for panel, rows in panels.items():
        lines += [f"## {panel}", "", "| option | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def row(parameter: inspect.Parameter, declared: Any) -> str:
    """A line of the table: how an option is written, what it does, and what holds without it."""
    if names := option_names(declared):
        value = declared.metavar or value_of(parameter.annotation.__origin__)
        shown = "<br>".join([*map(code, names), *([plain(value.replace("|", " | "))] if value else [])])
    else:
        shown = code(declared.metavar or parameter.name.upper())
    otherwise = default(parameter.default, declared.show_default)
    return f"| {shown} | {with_code(plain(declared.help))}{f' *Default: {plain(otherwise)}*' if otherwise else ''} |"


def option_names(declared: Any) -> list[str]:
    """`--freeze`, or `--flag` and `--no-flag`; none for an argument. Typer has the first of them as the default."""
    names = [declared.default, *(declared.param_decls or ())]
    return [part for name in names if isinstance(name, str) for part in name.split("/")]


def value_of(hint: Any) -> str:
    """What is typed after an option: a choice, a kind of value, nothing for a switch."""
    arguments = [argument for argument in typing.get_args(hint) if argument is not type(None)]
    if typing.get_origin(hint) is Literal:
        return "|".join(map(str, arguments))
    if typing.get_origin(hint) in (typing.Union, types.UnionType, list):
        return value_of(arguments[0])
    return VALUES.get(hint, "")


def default(value: Any, shown: bool | str) -> str:
    """What holds where the option is not given."""
    if isinstance(shown, str):
        return shown
    if not shown or value is None or value is False or value == []:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def code(text: str) -> str:
    return f"`{text}`"


def with_code(text: str) -> str:
    """Text in which options look like code."""
    return re.sub(r"(?<![\w`-])--[a-z][a-z-]*", lambda found: code(found[0]), text)


def plain(text: str) -> str:
    """Text whose characters Markdown leaves alone, on one line of a table."""
    return SPECIAL.sub(r"\\\1", text.replace("\\[", "[").replace("\n", " "))
