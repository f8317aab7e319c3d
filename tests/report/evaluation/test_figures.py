from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import with_intervals
from mtlkit.evaluation.metrics import classification
from mtlkit.report.evaluation.confusion import confusion_table
from mtlkit.report.evaluation.figures import class_table, headline, packed


def metrics(labels: tuple[str, ...], matrix: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    """Metrics with intervals of rows that have this confusion matrix."""
    true, predicted = (np.repeat(side.ravel(), matrix.ravel()) for side in np.indices(matrix.shape))
    plain = {"kind": "classification", "n": int(matrix.sum()), **classification(labels, matrix)}
    return with_intervals(plain, classification_figures(labels, true, predicted), np.random.default_rng(0))


CATS = metrics(("cat", "dog"), np.array([[3, 1], [0, 4]]))


def test_class_table_with_intervals() -> None:
    text = drawn(class_table("topic (test)", CATS, 100), 100)
    assert text.startswith("topic (test): accuracy 0.8750 (95 %: 0.529 to 0.978), macro-F1 0.8730 (")
    assert "on 8 texts" in text
    (cat,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["cat"])
    assert cat[:5] == ["cat", "1.000", "0.439..1.000", "0.750", "0.301..0.954"]
    assert (cat[5], cat[7]) == ("0.857", "4")
    assert widest(text) <= 100


def test_a_narrow_table_keeps_the_intervals_of_f1() -> None:
    text = drawn(class_table("topic (test)", CATS, 60), 60)
    (cat,) = (line.split() for line in text.splitlines() if line.split()[:1] == ["cat"])
    assert (len(cat), cat[1:4]) == (6, ["1.000", "0.750", "0.857"])
    assert widest(text) <= 60


def test_worst_classes_first_and_undefined_ones_last() -> None:
    matrix = np.array([[4, 0, 0, 0], [1, 1, 2, 0], [0, 1, 3, 0], [0, 0, 0, 0]])
    found = metrics(("good", "bad", "fair", "absent"), matrix)
    lines = drawn(class_table("t", found, 80, worst_first=True)).splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in found["per_class"]] == [
        "bad", "fair", "good", "absent",
    ]  # fmt: skip
    assert "-: undefined" in lines[-1]


def test_headline_of_each_kind() -> None:
    assert headline("stars", {"n": 1234, "pearson": 0.5, "spearman": 0.25, "mse": 2.0}, 80) == (
        "stars: Spearman 0.2500, Pearson 0.5000, MSE 2.0000 on 1,234 texts"
    )
    found = headline("t", {"n": 1, "accuracy": 1.0, "accuracy_interval": [0.2, 1.0], "macro_f1": 0.5, "micro_f1": 0.25}, 80)
    assert found == "t: accuracy 1.0000 (95 %: 0.200 to 1.000), macro-F1 0.5000,\n  micro-F1 0.2500 on 1 text"
    binary = {"n": 9, "average_precision": 0.5, "auroc": None, "positive_class": "yes", "undefined": {"auroc": "no rows"}}
    assert headline("t", binary, 80).splitlines() == [
        "t: average precision of 'yes' 0.5000, AUROC - on 9 texts",
        "  AUROC undefined: no rows",
    ]


@pytest.mark.parametrize("width", [20, 40, 60])
def test_lines_break_between_pieces(width: int) -> None:
    pieces = [f"metric {number} (0.1 to 0.2)" for number in range(4)]
    lines = packed("task: ", pieces, "on 9 texts", width)
    assert " ".join(line.strip() for line in lines) == f"task: {', '.join(pieces)} on 9 texts"
    assert all(any(piece in line for line in lines) for piece in pieces)


def test_labels_are_shown_literally() -> None:  # fault 30
    matrix = np.eye(len(HOSTILE), dtype=np.int64) * 9
    for table in (class_table("t", metrics(HOSTILE, matrix), 200), confusion_table("t", HOSTILE, matrix, 200)):
        text = drawn(table, 200, colour=True)
        plain = STYLE.sub("", text)
        assert "\x1b" not in plain  # no hyperlink, no movement of the cursor
        for label in HOSTILE:
            assert label.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in plain
