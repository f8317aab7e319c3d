from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pytest

from mtlkit.config.commands.predict import PredictOptions
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.inference.load_model import load
from mtlkit.recipes import predict as recipe
from mtlkit.recipes.inputs.texts import parts


def test_answers_come_in_the_order_of_the_texts_over_parts(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "parts", partial(parts, size=2))
    loaded = load(runs / "mtl")
    texts = ["The cat sleeps.", "A saw", "", "The dog", "A drill lies broken."]
    rows = list(recipe.predict(PredictOptions(texts=texts), loaded, io.StringIO()))
    assert [row["text"] for row in rows] == texts
    for row, answer in zip(rows, loaded.predict(texts), strict=True):
        for task in ("kind", "state"):
            assert row["tasks"][task]["probabilities"] == pytest.approx(answer[task]["probabilities"], abs=1e-5)


def test_one_pass_of_the_backbone_serves_all_heads(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(runs / "mtl")
    passes = []
    assert isinstance(loaded.engine, TorchEngine)
    encode = loaded.engine.encoders.base.encode
    monkeypatch.setattr(loaded.engine.encoders.base, "encode", lambda batch: passes.append(len(batch)) or encode(batch))
    (row,) = recipe.predict(PredictOptions(texts=["The cat"]), loaded, io.StringIO())
    assert list(row["tasks"]) == ["kind", "state"]
    assert passes == [1]
