"""Tables of names and numbers that fit a given width: names are truncated, numbers never are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from mtlkit.report.tables import new_table
from mtlkit.report.text import literal, one_line

LEAST_NAME = 16  # characters for the name of a task before stages are omitted


def compact_table() -> Table:
    """A table with narrow gaps between its columns, for many numbers in 80 characters."""
    table = new_table()
    table.collapse_padding = True
    return table


def narrow(names: Mapping[str, Sequence[str]], figures: Sequence[Sequence[str]], width: int) -> Table:
    """A table of columns of names, by title, then columns of numbers, each list beginning with its title. Names share the width
    that the numbers leave and are shortened if it is too small, the longest first."""
    table = compact_table()
    available = width - taken(figures) - 2 * len(names)
    texts = {title: [one_line(cell) for cell in cells] for title, cells in names.items()}
    longest = {title: max([len(title), *(cell.cell_len for cell in cells)]) for title, cells in texts.items()}
    widths = {}
    for index, title in enumerate(sorted(longest, key=longest.__getitem__)):
        widths[title] = max(4, min(longest[title], available // (len(names) - index)))
        available -= widths[title]
    texts = {title: distinct(cells, widths[title]) for title, cells in texts.items()}
    for title in names:
        table.add_column(title, max_width=widths[title], overflow="ellipsis", no_wrap=True)
    for title, *_ in figures:
        table.add_column(title, justify="right", no_wrap=True)
    for row in zip(*texts.values(), *(column[1:] for column in figures), strict=True):
        table.add_row(*row)
    return table


def distinct(cells: list[Text], width: int) -> list[Text]:
    """Cells that are wider than `width` cut in the middle, if cut at the end some would look alike."""
    long = {cell.plain for cell in cells if cell.cell_len > width}
    if len({name[: width - 1] for name in long}) == len(long):
        return cells
    tail = (width - 1) // 2
    head = width - 1 - tail
    return [literal(f"{cell.plain[:head]}…{cell.plain[-tail:]}") if cell.plain in long else cell for cell in cells]


def taken(figures: Sequence[Sequence[str]]) -> int:
    """The width of columns of numbers in characters, including the gaps between them."""
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in figures)


def fitting(columns: list[list[str]], width: int) -> list[list[str]]:
    """All columns if they fit; else the first, an ellipsis, and as many of the last as fit."""
    shown = columns
    for start in range(2, len(columns)):
        if taken(shown) <= width:
            break
        shown = [columns[0], ["…"] * len(columns[0]), *columns[start:]]
    return shown
