"""Callables for engines: the same vectors as one process, in whatever batches they come, in the form that came."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest

from mtlkit import bulk
from mtlkit.bulk import Embed, Predict
from mtlkit.errors import UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel

TEXTS = [f"The cat number {number}{' sleeps' * (number * 7 % 9)} é" for number in range(40)]


@pytest.fixture(scope="module")
def model(runs: Path) -> str:
    return str(runs / "mtl")


@pytest.fixture(scope="module")
def loaded(model: str) -> LoadedModel:
    return load(model)


@pytest.fixture(scope="module")
def whole(loaded: LoadedModel) -> Any:
    """The vectors of one process, all texts at once."""
    return loaded.embed(TEXTS)


def test_vectors_are_the_same_bits_in_any_batch(model: str, whole: Any) -> None:
    embed, draw = Embed(model), random.Random(0)
    for size in (1, 3, 7, 40):
        order = draw.sample(range(40), 40)
        for start in range(0, 40, size):
            rows = order[start : start + size]
            got = embed({"id": np.array(rows), "text": np.array([TEXTS[row] for row in rows])})
            assert np.array_equal(got["vector"], whole[rows])
            assert got["id"].tolist() == rows


@pytest.mark.parametrize("kind", ["table", "batch"])
def test_pyarrow_keeps_its_form_and_its_columns(model: str, whole: Any, kind: str) -> None:
    make: Any = pyarrow.table if kind == "table" else pyarrow.RecordBatch.from_pydict
    rows = make({"id": list(range(40)), "text": TEXTS})
    got = Embed(model, normalize=True, dtype="int8")(rows)
    assert type(got) is type(rows)
    assert got.schema.names == ["id", "text", "vector", "scale"]
    vectors = np.array(got.column("vector").to_pylist()) * np.array(got.column("scale").to_pylist())[:, None]
    np.testing.assert_allclose(vectors, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=0.01)
    assert Embed(model)(make({"text": pyarrow.array([], pyarrow.string())})).num_rows == 0


def test_predictions_are_those_of_the_model(model: str, loaded: LoadedModel) -> None:
    got = Predict(model, task="kind")({"text": TEXTS})
    assert [json.loads(tasks) for tasks in got["tasks"]] == [dict(answer) for answer in loaded.predict(TEXTS, "kind")]


def test_a_callable_is_sent_without_its_model(model: str, whole: Any) -> None:
    embed = Embed(model, settings={"device": "cpu"})
    assert np.array_equal(embed({"text": TEXTS[:2]})["vector"], whole[:2])
    sent = pickle.dumps(embed)
    assert len(sent) < 1000
    assert pickle.loads(sent) == embed
    assert pickle.loads(sent).loaded is embed.loaded  # once for each process


def test_a_missing_column_or_text_is_named(model: str) -> None:
    with pytest.raises(UsageError, match=r"column 'txt' not found; columns: text; did you mean 'text'"):
        Embed(model, "txt")({"text": TEXTS})
    with pytest.raises(UsageError, match="row 2 of the batch has no text"):
        Embed(model)(pyarrow.table({"text": ["a", None]}))
    assert bulk.__doc__
