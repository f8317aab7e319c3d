from __future__ import annotations

import json

import numpy as np

from mtlkit.report.page.matrix import BYTES_OF_TEXTS, MOST_CLASSES, TEXTS_OF_CELL, WORST, make_matrix


def test_cells_have_their_first_texts() -> None:
    rows = [((0, 1), f"wrong {number}") for number in range(20)] + [((0, 0), "right")]
    matrix = make_matrix("topic", ["a", "b"], [[1, 20], [0, 0]], rows)
    assert matrix.texts == {"0,1": [f"wrong {number}" for number in range(TEXTS_OF_CELL)], "0,0": ["right"]}
    assert matrix.confused == [(0, 1, 20, 20 / 21)]
    assert matrix.is_small


def test_texts_of_huge_data_stay_within_their_bytes_and_every_error_has_its_turn() -> None:
    classes = 77
    rows = [((true, other), "ä" * 10_000) for true in range(classes) for other in range(classes) for _ in range(2)]
    counts = np.full((classes, classes), 2).tolist()
    matrix = make_matrix("intent", [f"class {number}" for number in range(classes)], counts, rows)
    assert len(json.dumps(matrix.texts, ensure_ascii=False).encode()) < 1.1 * BYTES_OF_TEXTS
    assert len(matrix.labels) == classes
    assert all(len(texts) == 1 for texts in matrix.texts.values())
    assert not any(place.split(",")[0] == place.split(",")[1] for place in matrix.texts)


def test_too_many_classes_are_those_with_most_errors() -> None:
    classes = MOST_CLASSES + 10
    counts = 5 * np.eye(classes, dtype=np.int64)
    counts[100, 103] = 7
    matrix = make_matrix("intent", [f"class {number}" for number in range(classes)], counts.tolist(), [((100, 103), "text")])
    assert (len(matrix.labels), matrix.left_out) == (WORST, classes - WORST)
    (true, other, count, _), *_ = matrix.confused
    assert (matrix.labels[true], matrix.labels[other], count) == ("class 100", "class 103", 7)
    assert matrix.texts == {f"{true},{other}": ["text"]}
