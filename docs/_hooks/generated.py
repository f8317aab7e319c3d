"""Pages that are made from the code at build time: one per command, and files of the repository that lie outside docs/."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mtlkit.cli.app import app
from mtlkit.cli.options.help import Entry, Page

ROOT = Path(__file__).parents[2]
COMMANDS = "reference/commands"
# page: file of the repository
INCLUDED = {
    "examples.md": "examples/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "architecture.md": "ARCHITECTURE.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


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
    for name, shown in commands().items():
        files.append(File.generated(config, f"{COMMANDS}/{name}.md", content=command_page(name, shown)))
    for page, source in INCLUDED.items():
        files.append(File.generated(config, page, content=included(source)))
    return files


def included(source: str) -> str:
    """A file of the repository, with its links into docs/ as they are from there."""
    return (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")


def commands() -> dict[str, Page]:
    """The help of the commands, by the names that are typed."""
    return {command.name: command.cls.page for command in app.registered_commands if command.name and not command.hidden}


def command_page(name: str, page: Page) -> str:
    """What a command does, its examples, and a table of options per panel of its --help-all."""
    lines = [f"# mtlkit {name}", "", with_code(page.summary.replace("<", "&lt;")), ""]
    if page.examples:
        lines += ["```sh", *page.examples, "```", ""]
    for panel in dict.fromkeys(entry.panel for entry in page.entries):
        rows = [row(entry) for entry in page.entries if entry.panel == panel]
        lines += [f"## {panel}", "", "| option | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def row(entry: Entry) -> str:
    """A line of the table: how an option is written, what it does, and its default."""
    names = "<br>".join(f"<code>{escape(name).replace('|', '&#124;')}</code>" for name in entry.names.split(", "))
    default = f" *Default: {plain(entry.default)}*" if entry.default else ""
    return f"| {names} | {with_code(plain(entry.help))}{default} |"


def code(text: str) -> str:
    return f"`{text}`"


def with_code(text: str) -> str:
    """Text in which options look like code."""
    return re.sub(r"(?<![\w`-])--[a-z][a-z-]*", lambda found: code(found[0]), text)


def plain(text: str) -> str:
    """Text whose characters Markdown leaves alone, on one line of a table."""
    return SPECIAL.sub(r"\\\1", text.replace("\\[", "[").replace("\n", " "))
