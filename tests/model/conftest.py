"""Real texts as tokens, encoders whose attention does something, and a run on disk."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from peers import write_peer
from torch import nn

from mtlkit.config.architecture import Architecture, Attention, Encoding
from mtlkit.config.pooling import Pooling
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.checkpoint import save_model
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs.record import RunRecord
from mtlkit.runs.staging import finish, staged

BLANK = ["", " ", "\n\t", "\u00a0"]
MakeEncoder = Callable[..., Encoder]


@pytest.fixture(scope="session")
def passages() -> list[str]:
    """Real passages of many lengths, blank texts, and scripts that the tokenizer never saw."""
    source = files("mtlkit").joinpath("data/sample/topic/validation.csv")
    with source.open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)][:20]
    short = [" ".join(text.split()[: 1 + place]) for place, text in enumerate(texts)]
    return [*texts, *short, *BLANK, "Ελληνικά", "日本語のテキスト", "🦦🦦", "<eos>"]


@pytest.fixture(scope="session")
def reader(text_encoder: TextEncoder) -> TextEncoder:
    """The small tokenizer of all tests, with room for longer texts."""
    return TextEncoder(text_encoder.tokenizer, Encoding(max_length=64))


@pytest.fixture(scope="session")
def make_encoder(reader: TextEncoder) -> MakeEncoder:
    """Encoders with weights much larger than fresh ones: all but uniform attention would hide mistakes."""

    def make(attention: Attention, pooling: Pooling = "mean") -> Encoder:
        torch.manual_seed(1)
        encoder = Encoder(Architecture(reader.tokenizer.get_vocab_size(), 3, 32, 4, 64, attention, pooling=pooling))
        for weight in encoder.parameters():
            nn.init.normal_(weight, std=0.3) if weight.ndim > 1 else weight.data.add_(0.1 * torch.randn_like(weight))
        if pooling == "weighted":
            nn.init.normal_(encoder.token_weights)
        return encoder.eval()

    return make


@pytest.fixture
def run(tiny_model: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path) -> Path:
    """A finished run that holds the tiny model."""
    out = tmp_path / "run"
    with staged(out) as folder:
        save_model(tiny_model, folder, "mtl", text_encoder.encoding)
        text_encoder.tokenizer.save(str(folder / "tokenizer.json"))
        finish(folder, out, RunRecord("mtl", "mtlkit train-mtl", {}, 0, {}, {}))
    return out


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT of transformers with its tokenizer; to be copied or linked, not changed."""
    folder = tmp_path_factory.mktemp("peer")
    write_peer("bert", folder, ["The cat sleeps near the river."] * 20)
    return folder
