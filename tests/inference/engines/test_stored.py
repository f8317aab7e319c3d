"""Outputs are stored by everything that they depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.inference.engines.base import ROUTER, VECTORS, Array, Pairs
from mtlkit.inference.engines.stored import StoredOutputs, fingerprint_of

IDS, OFFSETS = np.array([1, 2, 3, 4], np.uint16), np.array([0, 2, 4])
TEXTS = Encoded(IDS, OFFSETS)
WORDS = EncodedWords(IDS, OFFSETS, first=np.array([0, 2]), words=np.array([0, 1, 2]))
DIFFERENT: list[tuple[Encoded, Pairs | None]] = [
    (TEXTS, None),
    (replace(TEXTS, ids=IDS[::-1]), None),
    (replace(TEXTS, ids=IDS.astype(np.uint32)), None),
    (replace(TEXTS, offsets=np.array([0, 3, 4])), None),
    (replace(TEXTS, skip=1), None),
    (replace(TEXTS, types=np.array([0, 1, 0, 1], np.uint8)), None),
    (TEXTS, np.array([[0, 1], [1, 0]])),
    (TEXTS, np.array([[0, 1], [1, 1]])),
    (WORDS, None),
    (replace(WORDS, first=np.array([1, 2])), None),
    (replace(WORDS, begins=np.array([True, False])), None),
]


class Counted:
    """An engine that counts what it computes."""

    precision, tokens_at_once = "fp32", 7

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None, task: str | None = None) -> Array:
        return np.zeros((len(encoded), 3), np.float32)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        self.asked.append(tuple(tasks))
        return {task: np.full((len(encoded), 2), len(self.asked), np.float32) for task in tasks}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))


def test_everything_that_is_read_has_its_own_fingerprint() -> None:
    assert len({fingerprint_of(encoded, pairs) for encoded, pairs in DIFFERENT}) == len(DIFFERENT)


def test_only_what_is_not_stored_is_computed() -> None:
    engine = Counted()
    first = StoredOutputs(lambda: engine, "fp32", ["a model"])
    assert first.outputs(TEXTS, ["topic", ROUTER])["topic"][0, 0] == 1
    assert (first.reused, first.computed) == (set(), {"topic", ROUTER})
    again = StoredOutputs(lambda: engine, "fp32", ["a model"])
    outputs = again.outputs(TEXTS, ["topic", "mood", ROUTER, VECTORS])
    assert [outputs[name][0, 0] for name in ("topic", "mood", ROUTER, VECTORS)] == [1, 2, 1, 2]
    assert engine.asked[1:] == [("mood", VECTORS)]
    assert (again.reused, again.computed) == ({"topic"}, {"mood"})
    StoredOutputs(lambda: engine, "fp32", ["another model"]).outputs(TEXTS, ["topic"])
    StoredOutputs(lambda: engine, "fp32", ["a model"]).outputs(replace(TEXTS, skip=1), ["topic"])
    assert engine.asked[2:] == [("topic",), ("topic",)]


def test_an_engine_is_opened_when_it_has_to_compute() -> None:
    StoredOutputs(Counted, "fp32", []).outputs(TEXTS, ["topic"])
    unopened = StoredOutputs(lambda: pytest.fail("opened"), "fp32", [])
    assert unopened.outputs(TEXTS, ["topic"])["topic"].shape == (2, 2)
    assert unopened.precision == "fp32"
    assert StoredOutputs(Counted, "fp32", []).tokens_at_once == 7
    assert StoredOutputs(Counted, "fp32", []).vectors(TEXTS).shape == (2, 3)


def test_heads_of_words_and_of_texts_at_once_are_not_stored(tmp_path: Path) -> None:
    StoredOutputs(Counted, "fp32", []).outputs(replace(WORDS, texts=np.array([0])), ["topic"])
    assert not list(tmp_path.iterdir())
