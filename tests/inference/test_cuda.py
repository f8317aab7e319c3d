"""Behaviour on a GPU. Skipped without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.inference.load_model import load
from mtlkit.recipes.pretrain import pretrain
from mtlkit.recipes.train_mtl import train_mtl

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

TEXTS = ["The cat sleeps near the river.", "", "A saw", "word " * 500] * 5


def test_half_precision_on_cuda_gives_the_vectors_of_a_cpu(runs: Path) -> None:
    here, there = load(runs / "mtl", device="cpu").embed(TEXTS), load(runs / "mtl", device="cuda").embed(TEXTS)
    cosines = (here * there).sum(1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1)
    assert cosines.min() > 0.99


def test_fp32_on_cuda_is_that_of_a_cpu(runs: Path) -> None:
    there = load(runs / "mtl", device="cuda", precision="fp32").embed(TEXTS)
    np.testing.assert_allclose(there, load(runs / "mtl", device="cpu").embed(TEXTS), atol=1e-3)


@pytest.mark.parametrize("schedule", ["round-robin", "joint"])
def test_tasks_train_on_cuda(runs: Path, data: Path, tmp_path: Path, schedule: str) -> None:
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    options = TrainMtlOptions(
        task=tasks,
        init=str(runs / "sentence"),
        out=tmp_path / "run",
        device="cuda",
        schedule=schedule,
        epochs=2,
        batch_tokens=256,
    )  # type: ignore[arg-type]
    assert train_mtl(options).metrics["validation"]["kind"]["accuracy"] > 0.5


def test_a_base_trains_on_cuda(data: Path, tmp_path: Path) -> None:
    small = {"layers": 1, "dim": 32, "heads": 2, "vocab_size": 400, "context": 32, "epochs": 1, "batch_tokens": 256}
    finished = pretrain(
        PretrainOptions(sources=[str(data / "kind" / "train.csv")], out=tmp_path / "run", device="cuda", **small)  # type: ignore[arg-type]
    )
    assert finished.metrics["perplexity"] < 400
