"""Outputs for words become tags once for each evaluation, over whole texts."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.batch import CUT, TEXT, WINDOW
from mtlkit.config.architecture import TaskSpec
from mtlkit.data.labels.word_labels import text_offsets
from mtlkit.evaluation.task_metrics import estimate, exact_of
from mtlkit.tasks import tag_decoding
from mtlkit.tasks.base import kind_of
from mtlkit.tasks.tag_decoding import Decoder, decoded

SPEC = TaskSpec("things", "tokens", ("O", "B-X", "I-X"), tags="bio")


@pytest.fixture
def labels() -> np.ndarray:
    """Two texts of 6 and 2 words; the first one is read in two windows."""
    marks = [TEXT, 0, CUT, WINDOW, 0, 0, TEXT, 0]
    return np.array([[word % 3, mark] for word, mark in enumerate(marks)], np.int64)


def test_metrics_intervals_and_calibration_decode_once(labels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(tag_decoding, "decoded", lambda *arguments: (calls.append(1), decoded(*arguments))[1])
    kind, random = kind_of("tokens"), np.random.default_rng(0)
    for count in (1, 2):
        outputs = random.normal(size=(8, 3)).astype(np.float32)
        estimate(SPEC, outputs, labels, 0)
        kind.forecast(SPEC, outputs, labels)
        exact_of(SPEC, outputs, labels)
        assert len(calls) == count


def test_other_outputs_texts_or_heads_are_decoded_anew() -> None:
    decode, outputs = Decoder(), np.array([[0, 0, 1], [1, 0, 2]], np.float32)
    together = decode(SPEC, outputs, np.array([0, 2]))
    assert together.tolist() == [1, 2]  # I begins no text
    assert decode(SPEC, outputs, np.array([0, 2])) is together
    assert decode(SPEC, outputs, np.array([0, 1, 2])).tolist() == [0, 0]
    plain = TaskSpec("things", "tokens", SPEC.labels, tags="plain")
    assert decode(plain, outputs, np.array([0, 2])).tolist() == [2, 2]
    assert decode(SPEC, -outputs, np.array([0, 2])).tolist() != together.tolist()


def test_tags_follow_the_scheme_where_windows_meet(labels: np.ndarray) -> None:
    outputs = np.zeros((8, 3), np.float32)
    outputs[:, 0] = 1.0
    outputs[3:5, 2] = 3.0  # I-X at the first word of the second window, after O
    assert decoded(SPEC, outputs, text_offsets(labels)).tolist() == [0, 0, 1, 2, 2, 0, 0, 0]
