"""Families and vectors of another width: trained above frozen layers, from cached features, exported and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from pair_files import write_pairs
from peers import write_peer
from wrapped import Wrap

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.inference.load_model import load
from mtlkit.model.checkpoint import load_model
from mtlkit.model.interop.reading import read_foreign
from mtlkit.recipes.export import export
from mtlkit.recipes.train_mtl import train_mtl

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries
QUICK: dict[str, Any] = {"epochs": 1, "min_steps": 0, "batch_tokens": 256, "learning_rate": 3e-3, "track_every": 0}
MODERN = ("modernbert", "nomic_bert", "gte", "eurobert")
FROZEN = {**dict.fromkeys(("mpnet", *MODERN), "embeddings,layers:0"), "albert": "embeddings,layers:0-2"}


def write_words(path: Path) -> Path:
    rows = [text.split() for text in SENTENCES[:40]]
    path.write_text(
        "".join(json.dumps({"words": row, "tags": ["O" if len(word) < 5 else "LONG" for word in row]}) + "\n" for row in rows)
    )
    return path


@pytest.mark.parametrize("kind", FROZEN)
def test_a_family_is_trained_above_frozen_layers_and_exported(kind: str, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    peer = tmp_path / "peer"
    write_peer(kind, peer, SENTENCES)
    task = f"kind={data / 'kind'}?limit=32"
    train_mtl(
        TrainMtlOptions(
            init=str(peer), task=[task], freeze=[FROZEN[kind]], cache_prefix=True, out=tmp_path / "run", runs=tmp_path, **QUICK
        )
    )
    before, after = read_foreign(peer)[0].backbone.state_dict(), load_model(tmp_path / "run")[0].backbone.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(("blocks.1.", "norm."))}
    done = export(ExportOptions(model=str(tmp_path / "run"), out=tmp_path / "out"))
    assert done.difference is not None
    assert done.difference <= 1e-5
    assert json.loads((tmp_path / "out/config.json").read_text())["model_type"] == kind
    texts = SENTENCES[:6]
    np.testing.assert_allclose(load(tmp_path / "out").embed(texts), load(tmp_path / "run").embed(texts), atol=1e-5)
    exact, rough = (load(tmp_path / "run", precision=precision).embed(texts) for precision in ("fp32", "int8"))
    cosines = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert 0.98 < cosines.min() < 1


@pytest.mark.parametrize(
    ("kind", "format"),
    [
        ("mpnet", "compact"),
        *(pytest.param(kind, "onnx", marks=pytest.mark.slow) for kind in ("mpnet", "albert", *MODERN, "wide")),
    ],
)
def test_other_formats_hold_them(kind: str, format: Any, wrap: Wrap, tmp_path: Path) -> None:
    if kind == "wide":
        folder = wrap(pooling=("max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"), dense=[(12, torch.nn.Tanh(), True)])
    else:
        folder = tmp_path / "peer"
        write_peer(kind, folder, SENTENCES)
    export(ExportOptions(model=str(folder), out=tmp_path / "out", format=format))
    texts = [*SENTENCES[:5], "", "one", "a <pad> that it spells <pad>"]
    wanted = load(folder).embed(texts)
    tolerance = 1e-5 if format == "onnx" else 0.1 * np.abs(wanted).max()
    np.testing.assert_allclose(load(tmp_path / "out", backend="auto").embed(texts), wanted, atol=tolerance)


@pytest.mark.parametrize("frozen", ["none", "embeddings,layers:0", "backbone"])
def test_heads_of_every_kind_read_vectors_of_another_width(frozen: str, wrap: Wrap, data: Path, tmp_path: Path) -> None:
    """Single texts, pairs and words in one training: vectors of 12 numbers, hidden states of 32."""
    folder = wrap(pooling=("max", "mean"), dense=[(12, torch.nn.Tanh(), True)])
    tasks = [
        f"kind={data / 'kind'}?limit=32",
        f"same={write_pairs(tmp_path / 'pairs.csv', 40, 0)}?pair=premise,hypothesis&label=label",
        f"things={write_words(tmp_path / 'words.jsonl')}?tokens=words&tags=tags",
    ]
    options = TrainMtlOptions(
        init=str(folder),
        task=tasks,
        freeze=[frozen],
        cache_prefix=frozen.startswith("embeddings"),
        router=False,
        out=tmp_path / "run",
        runs=tmp_path,
        **QUICK,
    )
    train_mtl(options)
    model = load(tmp_path / "run")
    assert (model.dim, model.embed(["one"]).shape) == (12, (1, 12))
    answers = model.predict(["The cat sleeps."])[0]
    assert set(answers) == {"kind", "things"}
    assert set(model.predict([("one", "two")])[0]) == {"same"}
    widths = {name: model.engine.model.head(name).layers[-1].weight.shape[1] for name in model.tasks}  # type: ignore[attr-defined]
    assert widths == {"kind": 12, "same": 48, "things": 32}
