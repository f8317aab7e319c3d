"""What sections of a page are made of. The templates arrange blocks without knowing what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtlkit.report.page.chart import Chart


class Shade(str):
    """The text of a cell, with how strongly it is coloured: from 0 to 1, or to -1 for what got worse."""

    strength: float = 0.0

    @classmethod
    def of(cls, text: str, strength: float) -> Shade:
        cell = cls(text)
        cell.strength = max(-1.0, min(1.0, strength))
        return cell


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, and whether it has numbers; `is_long`: texts that may be broken anywhere, as paths."""

    title: str
    is_number: bool = False
    is_long: bool = False


@dataclass(frozen=True)
class Block:
    """A table with a caption. The first cell of each row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    sortable: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page below its own heading: sentences, charts, tables. In Markdown, tables are `folded` or not."""

    title: str
    lines: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Block, ...] = ()
    note: str = ""
    folded: bool = True


def columns(*titles: str, numbers: Sequence[str] = (), long: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns by their titles; `numbers` and `long` name some of them."""
    return tuple(Column(title, title in numbers, title in long) for title in titles)
