"""Weights of tokens: exported to sentence-transformers and read back, read from its own files, or unsupported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.interop import silence
from mtlkit.model.interop.word_weights import read_word_weights, word_weights

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix

Make = Callable[[str], tuple[Path, Any]]


def write(folder: Path, config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_weights_survive_to_the_last_bit(tmp_path: Path) -> None:
    """Among tokens that are each other's capitals, and over 24 orders of magnitude."""
    modules: Any = pytest.importorskip("sentence_transformers.models")
    torch.manual_seed(0)
    logarithms = torch.cat([torch.zeros(1), torch.linspace(-30, 30, 200), torch.randn(55)])
    vocabulary = ["<id 0>", *(f"{mark}{place}" for place in range(85) for mark in ("ġa", "Ġa", "ĠA"))]
    folder = write(tmp_path / "module", word_weights(logarithms, vocabulary))
    with silence.silence():
        theirs = modules.WordWeights.load(str(folder))
    assert torch.equal(theirs.emb_layer.weight[:, 0], logarithms.exp())
    torch.testing.assert_close(read_word_weights(folder, 256), logarithms, atol=1e-5, rtol=0)


def test_ids_without_an_entry_are_found_as_sentence_transformers_finds_them(tmp_path: Path) -> None:
    config = {"vocab": ["A", "a", "B", "c"], "word_weights": {"a": 2.0, "b": 3, "A": 0.5}, "unknown_word_weight": 0.25}
    found = read_word_weights(write(tmp_path / "module", config), 6).exp()
    torch.testing.assert_close(found, torch.tensor([0.5, 2.0, 3.0, 0.25, 1.0, 1.0]))


def test_a_folder_that_sentence_transformers_wrote(make_peer: Make, passages: list[str], tmp_path: Path) -> None:
    package: Any = pytest.importorskip("sentence_transformers")
    folder, _ = make_peer("bert")
    vocabulary = sorted(
        (entries := Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()), key=lambda one: entries[one]
    )
    rarity = {token: 1 + place % 7 / 3 for place, token in enumerate(vocabulary) if place % 3}
    with silence.silence():
        models = package.models
        transformer = models.Transformer(str(folder), max_seq_length=16)
        weights, pooling = models.WordWeights(vocabulary, rarity, 0.5), models.Pooling(32, pooling_mode="mean")
        theirs = package.SentenceTransformer(modules=[transformer, weights, pooling], device="cpu")
        theirs.save(str(tmp_path / "saved"))
        wanted = theirs.encode(passages, show_progress_bar=False)
    model = load(tmp_path / "saved")
    assert model.checkpoint.architecture.pooling == "weighted"
    np.testing.assert_allclose(model.embed(passages), wanted, atol=1e-5)


@pytest.mark.parametrize("weight", [0, -0.5, float("inf"), float("nan")])
def test_a_weight_without_a_logarithm_is_refused(weight: float, tmp_path: Path) -> None:
    folder = write(tmp_path / "module", {"vocab": ["a", "the"], "word_weights": {"a": 1.0}, "unknown_word_weight": weight})
    with pytest.raises(IntegrityError, match=rf"config\.json: token 'the' has the weight {weight}; only weights above 0 are"):
        read_word_weights(folder, 2)


@pytest.mark.parametrize(
    "config", [[], {"vocab": ["a"]}, {"vocab": ["a"], "word_weights": {"a": "1"}}, {"vocab": [1], "word_weights": {}}]
)
def test_a_damaged_file_is_named(config: Any, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"module/config\.json: damaged"):
        read_word_weights(write(tmp_path / "module", config), 1)


def surround(folder: Path, vocabulary: list[str], pooling: str) -> None:
    kinds = {"": "Transformer", "1_WordWeights": "WordWeights", "2_Pooling": "Pooling"}
    listing = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
    (folder / "modules.json").write_text(json.dumps(listing))
    write(folder / "1_WordWeights", {"vocab": vocabulary, "word_weights": {}, "unknown_word_weight": 2})
    write(folder / "2_Pooling", {"pooling_mode": pooling})


def test_weights_are_for_a_mean_alone(make_peer: Make) -> None:
    folder, _ = make_peer("bert")
    surround(folder, ["a"], "cls")
    with pytest.raises(IntegrityError, match="pooling cls after WordWeights is not supported; supported: mean"):
        load(folder)


def test_more_tokens_than_the_model_has_are_refused(make_peer: Make) -> None:
    folder, _ = make_peer("bert")
    surround(folder, ["a"] * 5000, "mean")
    with pytest.raises(IntegrityError, match=r"weights do not fit config\.json"):
        load(folder)
