"""Trainings in two processes: the weights of accumulation, and what happens when one of them dies or is asked to stop."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forks import Forks
from killing import lines_of, states
from rank_runs import ended, start_ranks
from safetensors.numpy import load_file

from mtlkit.errors import LostRankError
from mtlkit.runs.record import LOG, file_digest

SMALL = (
    "--init",
    "scratch",
    "--layers",
    1,
    "--dim",
    16,
    "--heads",
    2,
    "--vocab-size",
    300,
    "--batch-tokens",
    128,
    "--min-steps",
    0,
)
WORDS = ["cat", "dog", "horse", "trout", "otter", "saw", "drill", "file", "lathe", "chisel"]


@pytest.fixture(scope="module")
def command(data: Path) -> tuple[object, ...]:
    """Two tasks with dropout: a task alone in some micro-batches, and a last step with a micro-batch for rank 0 only."""
    tasks = ("--task", f"kind={data / 'kind'}", "--task", f"state={data / 'state'}")
    return ("train-mtl", *tasks, *SMALL, "--schedule", "proportional", "--epochs", 3, "--save-every", 2, "--keep-state")


@pytest.fixture(scope="module")
def shared(forks: Forks, command: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes that nothing disturbs."""
    out = tmp_path_factory.mktemp("ranks") / "shared"
    first, second = ranks = start_ranks(forks, 2, *command, "--out", out)
    assert ended(ranks) == [0, 0], (first.err, second.err)
    assert (second.out, second.err) == ("", "")
    assert "the same as --accumulate 2 in one" in first.err
    return out


def steps_of(run: Path) -> list[dict[str, Any]]:
    """The logged steps, without what a clock measures."""
    records = map(json.loads, (run / LOG).read_text(encoding="utf-8").splitlines())
    kept = ("step", "losses", "gradient_norm", "learning_rate", "tokens")
    return [{name: record[name] for name in kept} for record in records if record["type"] == "step"]


def test_two_ranks_give_the_weights_of_accumulation(
    forks: Forks, command: tuple[object, ...], shared: Path, tmp_path: Path
) -> None:
    alone = forks.start(*command, "--accumulate", 2, "--out", tmp_path / "alone")
    assert alone.wait() == 0, alone.err
    assert steps_of(shared) == steps_of(tmp_path / "alone")
    assert file_digest(shared / "model.safetensors") == file_digest(tmp_path / "alone" / "model.safetensors")


def test_a_killed_rank_ends_the_other_and_resuming_is_exact(
    forks: Forks, command: tuple[object, ...], shared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    first, second = start_ranks(forks, 2, *command, "--out", out)
    assert second.until(lambda: lines_of(out) > 4), second.err
    second.kill(signal.SIGKILL)
    assert first.wait() == LostRankError.exit_code
    assert "another process of the training was lost" in first.err
    assert f"--resume {out}" in first.err
    ranks = start_ranks(forks, 2, *command, "--out", out, "--resume")
    assert ended(ranks) == [0, 0], ranks[0].err
    assert "not bit-for-bit" not in ranks[0].err
    assert steps_of(out) == steps_of(shared)
    assert file_digest(out / "model.safetensors") == file_digest(shared / "model.safetensors")


def test_a_stopped_rank_saves_once_and_another_number_of_ranks_resumes(
    forks: Forks, command: tuple[object, ...], shared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    first, second = ranks = start_ranks(forks, 2, *command, "--save-every", 1000, "--out", out)
    assert second.until(lambda: lines_of(out) > 3), second.err
    second.kill(signal.SIGTERM)
    assert ended(ranks) == [128 + signal.SIGTERM] * 2
    assert len(states(out)) == 1
    assert first.err.count("saved after step") == 1
    assert second.err == ""
    alone = forks.start("train-mtl", "--resume", out)
    assert alone.wait() == 0, alone.err
    assert "not bit-for-bit reproducible: processes 1 (was 2)" in alone.err
    assert [step["tokens"] for step in steps_of(out)] == [step["tokens"] for step in steps_of(shared)]


@pytest.mark.parametrize("more", [(), ("--packing", "documents", "--finish", "mlm:0.4")], ids=["one-phase", "two-phases"])
def test_a_base_has_the_weights_of_accumulation(more: tuple[str, ...], forks: Forks, data: Path, tmp_path: Path) -> None:
    shape = ("--layers", 1, "--dim", 16, "--heads", 2, "--vocab-size", 300, "--context", 16, "--batch-tokens", 128)
    command = ("pretrain", data / "kind" / "train.csv", *shape, "--epochs", 2, *more)
    ranks = start_ranks(forks, 2, *command, "--out", tmp_path / "shared")
    assert ended(ranks) == [0, 0], ranks[1].err
    assert forks.start(*command, "--accumulate", 2, "--out", tmp_path / "alone").wait() == 0
    assert steps_of(tmp_path / "shared") == steps_of(tmp_path / "alone")
    assert file_digest(tmp_path / "shared" / "model.safetensors") == file_digest(tmp_path / "alone" / "model.safetensors")
    scores = [json.loads((tmp_path / run / "run.json").read_text())["metrics"]["perplexity"] for run in ("shared", "alone")]
    assert scores[0] == scores[1]


def test_contrast_has_the_negatives_of_all_ranks(forks: Forks, tmp_path: Path) -> None:
    rows = [f"the {word} sleeps by the {place},a {word} rests at the {place}" for word in WORDS for place in ("river", "barn")]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("\n".join(["a,b", *rows]), encoding="utf-8")
    large = ("--batch-tokens", 4096, "--dropout", 0)
    command = ("train-sentence", "--objective", "pairs", "--task", f"pairs={pairs}", *SMALL, *large)
    ranks = start_ranks(forks, 2, *command, "--batch-size", 9, "--epochs", 4, "--out", tmp_path / "shared")
    assert ended(ranks) == [0, 0], ranks[1].err
    whole = forks.start(*command, "--batch-size", 18, "--epochs", 4, "--out", tmp_path / "whole")
    assert whole.wait() == 0, whole.err
    losses = [[step["losses"]["pairs"] for step in steps_of(tmp_path / run)] for run in ("shared", "whole")]
    assert len(losses[0]) == 4
    np.testing.assert_allclose(*losses, rtol=1e-5)
    weights = [load_file(tmp_path / run / "model.safetensors") for run in ("shared", "whole")]
    for name, values in weights[0].items():
        np.testing.assert_allclose(values, weights[1][name], rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_more_batches_and_ranks_than_two_agree_to_rounding(forks: Forks, command: tuple[object, ...], tmp_path: Path) -> None:
    runs = []
    for size in (1, 2, 3):  # the last with a rank that has less to do than the others
        ranks = [forks.start(*command, "--accumulate", 4, "--out", tmp_path / "1")] if size == 1 else []
        ranks = ranks or start_ranks(forks, size, *command, "--accumulate", 4, "--out", tmp_path / str(size))
        assert ended(ranks) == [0] * size, ranks[-1].err
        runs.append(load_file(tmp_path / str(size) / "model.safetensors"))
    for other in runs[1:]:
        for name, values in runs[0].items():
            np.testing.assert_allclose(values, other[name], atol=1e-6, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_rank_that_hangs_ends_the_other_within_a_minute(
    forks: Forks, command: tuple[object, ...], tmp_path: Path, lost: int
) -> None:
    ranks = start_ranks(forks, 2, *command, "--epochs", 2000, "--out", tmp_path / "run")
    assert ranks[0].until(lambda: lines_of(tmp_path / "run") > 4), ranks[0].err
    ranks[lost].kill(signal.SIGSTOP)
    began = time.monotonic()
    assert ranks[1 - lost].wait() == LostRankError.exit_code
    assert time.monotonic() - began < 60
    assert f"no sign of life of rank {lost}" in ranks[1 - lost].err
    ranks[lost].kill(signal.SIGKILL)
