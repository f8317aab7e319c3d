from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtlkit.report.evaluation.confusion_plot import MOST_NUMBERS, confusion_picture, draw_matrix

LABELS = ["<script>", "a $x$ | b", "a very long name of a class that does not fit\nanywhere"]
COUNTS = [[8, 2, 0], [0, 1200, 0], [0, 0, 0]]


@pytest.mark.parametrize(("format", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_equal_matrices_give_equal_pictures(format: str, start: bytes) -> None:
    tasks = {"topic": (LABELS, COUNTS), "mood": (["x"], [[5]])}
    picture = confusion_picture(tasks, format)
    assert picture.startswith(start)
    assert picture == confusion_picture(tasks, format)
    assert picture != confusion_picture({"topic": (LABELS, COUNTS)}, format)


def test_a_panel_says_how_many_are_right_and_has_counts_and_shares() -> None:
    axes = Figure().add_subplot()
    draw_matrix(axes, "topic", LABELS, np.array(COUNTS))
    assert axes.get_title() == "topic: 1,208 of 1,210 right (99.8%)"
    assert [text.get_text() for text in axes.texts[:4]] == ["8\n80%", "2\n20%", "0", "0"]
    assert axes.texts[4].get_text() == "1,200\n100%"
    assert axes.texts[0].get_color() == "white"
    assert axes.texts[1].get_color() == "black"
    assert axes.get_xticklabels()[1].get_text() == "a $x$ | b"
    assert "\n" not in axes.get_yticklabels()[2].get_text()


def test_many_classes_have_names_but_no_numbers() -> None:
    axes = Figure().add_subplot()
    classes = MOST_NUMBERS + 1
    draw_matrix(axes, "intent", [f"class {number}" for number in range(classes)], np.eye(classes, dtype=np.int64))
    assert not axes.texts
    assert len(axes.get_yticklabels()) == classes
