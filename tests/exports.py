"""Helpers for the tests of exports."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mtlkit.model.interop import silence
from mtlkit.recipes.exporting.job import Exported

needs_onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="the extra `onnx` is not installed"
)
KINDS = ("causal", "bidirectional", "bert", "weighted")
TEXTS = [
    "The cat sleeps near the river.",
    "",
    "A saw lies on the bench.",
    "Ελλάς 日本 🦦",
    "saw",
    "<eos> [SEP]",
    "  A DRILL, Éclairs ",
    "ﬁve İSTANBUL, ẞ <EOS>",
]

Export = Callable[[str, str], Exported]


def encode(folder: Path, texts: list[str]) -> NDArray[np.float32]:
    """The vectors that a user of sentence-transformers gets."""
    sentence_transformers: Any = pytest.importorskip("sentence_transformers")
    with silence.silence():
        model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
        vectors: NDArray[np.float32] = model.encode(texts, show_progress_bar=False)
    return vectors
