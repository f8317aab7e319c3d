"""Draws `--help`: usage, description, examples, then the options by panel, as compactly as possible."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

COLUMN = 26  # where the help of an option begins at the latest
LEAST_HELP = 30  # columns that it has at least
MOST_WIDTH = 100  # of a paragraph, so that it can be read on a wide terminal


@dataclass(frozen=True)
class Entry:
    """An option, argument or command as help shows it: `names` includes the placeholder of the value."""

    names: str
    help: str
    panel: str
    advanced: bool = False
    default: str = ""


@dataclass(frozen=True)
class Page:
    """The help of a command: `summary` is its docstring."""

    usage: str
    summary: str
    entries: Sequence[Entry]
    examples: Sequence[str] = ()

    def draw(self, width: int, *, all_options: bool) -> Text:
        """The page; `all_options` includes advanced ones."""
        width = min(width, MOST_WIDTH)
        blocks = [Text.assemble(("Usage: ", "bold"), self.usage)]
        blocks += [Text("\n".join(textwrap.wrap(" ".join(part.split()), width))) for part in self.summary.split("\n\n")]
        if self.examples:
            blocks.append(Text.assemble(("Examples", "bold"), *(f"\n{line}" for line in _examples(self.examples, width))))
        shown = [entry for entry in self.entries if all_options or not entry.advanced]
        column = min(COLUMN, max((len(entry.names) for entry in shown), default=0) + 4)
        for panel in dict.fromkeys(entry.panel for entry in shown):
            lines = [line for entry in shown if entry.panel == panel for line in entry_lines(entry, width, column)]
            blocks.append(Text("\n").join([Text(panel, "bold"), *lines]))
        if hidden := len(self.entries) - len(shown):
            blocks.append(Text(f"--help-all shows {hidden} more options."))
        return Text("\n\n").join(blocks)


WORD = re.compile(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""")  # of a command, with its quotes


def _examples(examples: Iterable[str], width: int) -> Iterator[str]:
    """A long example continues on the next line after a backslash, so that it can be copied."""
    for example in examples:
        lines: list[str] = []
        for word in WORD.findall(example):
            if lines and len(f"{lines[-1]} {word}") <= width - 6:
                lines[-1] = f"{lines[-1]} {word}"
            else:
                lines.append(word)
        yield "  " + " \\\n    ".join(lines)


def entry_lines(entry: Entry, width: int, column: int) -> list[Text]:
    """An option with its help beside it, or below it if its names are too long."""
    names = Text(f"  {entry.names}", "cyan")
    text = f"{entry.help} [default: {entry.default}]" if entry.default else entry.help
    lines = textwrap.wrap(text, max(LEAST_HELP, width - column), break_long_words=False, break_on_hyphens=False) or [""]
    beside = names.cell_len < column
    first = [Text.assemble(names, " " * (column - names.cell_len), lines[0])] if beside else [names]
    return [*first, *(Text(" " * column + line) for line in lines[1 if beside else 0 :])]
