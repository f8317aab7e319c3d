"""Tables of names and figures that fit any width: names are cut, never a figure. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from mtlkit.report.tables import new_table
from mtlkit.report.text import one_line

LEAST_NAME = 16  # columns for the name of a task before stages are left out


def compact_table() -> Table:
    """A table with less between its columns, for many figures in 80 columns."""
    table = new_table()
    table.collapse_padding = True
    return table


def narrow(names: Mapping[str, Sequence[str]], figures: Sequence[Sequence[str]], width: int) -> Table:
    """A table of names by their title, then of columns of figures, each below its title. Names share the room that figures
    leave and are cut where it is too little; the shorter ones last."""
    table = compact_table()
    room = width - taken(figures) - 2 * len(names)
    texts = {title: [one_line(cell) for cell in cells] for title, cells in names.items()}
    longest = {title: max([len(title), *(cell.cell_len for cell in cells)]) for title, cells in texts.items()}
    widths = {}
    for place, title in enumerate(sorted(longest, key=longest.__getitem__)):
        widths[title] = max(4, min(longest[title], room // (len(names) - place)))
        room -= widths[title]
    for title in names:
        table.add_column(title, max_width=widths[title], overflow="ellipsis", no_wrap=True)
    for title, *_ in figures:
        table.add_column(title, justify="right", no_wrap=True)
    for row in zip(*texts.values(), *(column[1:] for column in figures), strict=True):
        table.add_row(*row)
    return table


def taken(figures: Sequence[Sequence[str]]) -> int:
    """Letters that columns of figures take of a line, with what stands between them."""
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in figures)


def fitting(columns: list[list[str]], width: int) -> list[list[str]]:
    """All columns where they fit, else the first, an ellipsis, and as many of the last as do."""
    shown = columns
    for start in range(2, len(columns)):
        if taken(shown) <= width:
            break
        shown = [columns[0], ["…"] * len(columns[0]), *columns[start:]]
    return shown
