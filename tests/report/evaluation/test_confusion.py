from __future__ import annotations

import io

import numpy as np
import pytest
from drawing import drawn, widest
from rich.console import Console

from mtlkit.report.evaluation.confusion import confusion_table, confusion_view, heat, heat_cell


@pytest.mark.parametrize("count", [2, 4, 5])
@pytest.mark.parametrize("largest", [9, 1900, 99999])
def test_the_confusion_matrix_fits_with_every_figure_or_is_not_drawn(count: int, largest: int) -> None:
    labels = [f"a class with the number {number}" for number in range(count)]
    matrix = np.full((count, count), largest, np.int64)
    table = confusion_table("topic", labels, matrix, 80)
    if table is None:
        assert count * (len(str(largest)) + 8) > 70
        return
    text = drawn(table)
    assert widest(text) <= 80
    assert text.count(f"{largest} {1 / count:4.0%}") == count * count
    assert text.startswith("topic: rows true, columns predicted\n")


def test_the_confusion_matrix_of_four_classes_fits_eighty_columns() -> None:
    labels = ["World", "Sports", "Business", "Sci/Tech"]
    text = drawn(confusion_table("topic", labels, np.full((4, 4), 1900), 80))
    head, *rows = [line.split() for line in text.splitlines() if line.strip()][1:]
    assert head == labels
    assert [row[0] for row in rows[1:]] == labels


def test_the_confusion_matrix_survives_wide_letters_empty_rows_and_line_breaks() -> None:
    text = drawn(confusion_table("t", ["国際ニュース速報", "two\nlines"], np.array([[0, 0], [1, 2]]), 80))
    assert "two lines" in text
    assert "0   0%" in text
    assert "2  67%" in text


def test_a_cell_stands_out_the_more_the_larger_its_share() -> None:
    assert heat_cell(5, 0.5, True).plain == "5  50%"
    assert [heat(share, False) for share in (0.0, 0.05, 0.2, 0.9)] == ["dim", "red", "bold red", "bold reverse red"]
    assert heat(1.0, True) == "bold reverse green"


@pytest.mark.parametrize("system", ["standard", "256", "truecolor"])
def test_cells_use_the_colours_of_the_terminal(system: str) -> None:
    """None of the codes sets a background or a colour of its own, so that the theme decides."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=system, width=80, legacy_windows=False, _environ={})
    console.print(heat_cell(9, 0.9, False))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().startswith("\x1b[1;7;31m")


def test_of_a_wide_matrix_the_worst_classes_are_shown_and_the_others_counted() -> None:
    labels = [f"class {number}" for number in range(77)]
    matrix = np.diag(np.full(77, 10))
    matrix[3, 5], matrix[3, 3] = 6, 4
    matrix[8, 2], matrix[8, 1], matrix[8, 8] = 2, 1, 7
    text = drawn(confusion_view("intent", labels, matrix, 80))
    assert widest(text) <= 80
    rows = [line.split() for line in text.splitlines() if line.startswith(" class ")]
    assert rows[1:] == [
        ["class", "3", "class", "5", "10", "6", "40.0%", "6"],
        ["class", "8", "class", "2", "10", "3", "70.0%", "2"],
    ]
    assert "of 77 (9 of 770 texts wrong)" in text
    assert "75 other classes: 750 of 750 texts right" in text


def test_a_wide_matrix_without_errors_is_counted() -> None:
    text = drawn(confusion_view("intent", [str(number) for number in range(30)], np.diag(np.full(30, 2)), 80))
    assert "30 other classes: 60 of 60 texts right" in text
