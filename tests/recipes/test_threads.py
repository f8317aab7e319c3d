"""Trainings, readers and notebook cells in one process, and processes forked from it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.data.datasets.labelled import read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import UsageError
from mtlkit.recipes.train_sentence import stream, train_sentence
from mtlkit.runs.record import WEIGHTS, file_digest


def options(data: Path, runs: Path, out: Path, seed: int = 0) -> TrainSentenceOptions:
    task = f"kind={data / 'kind'}"
    return TrainSentenceOptions(task=task, init=str(runs / "sentence"), out=out, epochs=1, batch_tokens=256, seed=seed)


def test_trainings_in_threads_give_the_weights_that_they_give_alone(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 50
    def digest(name: str, seed: int) -> str:
        run = train_sentence(options(data, runs, tmp_path / name, seed)).run
        torch.rand(1)  # as a cell of a notebook may
        return file_digest(run / WEIGHTS)

    alone = [digest(f"alone-{seed}", seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(digest, ("one", "two"), (0, 1)))
    assert together == alone
    assert alone[0] != alone[1]


def test_a_training_leaves_the_global_random_numbers_alone(data: Path, runs: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_sentence(options(data, runs, tmp_path / "run"))
    assert torch.equal(torch.get_rng_state(), before)


def test_half_read_stream_is_named_and_releases_its_lock_when_dropped(data: Path, runs: Path, tmp_path: Path) -> None:
    how = options(data, runs, tmp_path / "run")  # fault 50
    events = stream(how)
    next(events)
    with pytest.raises(UsageError, match=r"this process .*partly read stream"):
        train_sentence(how)
    del events
    gc.collect()
    assert train_sentence(how).run == tmp_path / "run"


FORK = """
import os, signal, sys
import numpy as np
import torch
import mtlkit

torch.set_num_threads(2)
model = mtlkit.load(sys.argv[1], backend=sys.argv[2])
texts = [f"text number {number} " * (1 + number % 40) for number in range(60)]
wanted = model.embed(texts)
assert (torch.ones(512, 512) @ torch.ones(512, 512)).sum() > 0
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        signal.alarm(60)
        code = 1
        try:
            code = 0 if np.allclose(model.embed(texts), wanted, atol=1e-5) else 2
        finally:
            os._exit(code)
    children.append(child)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_embeds_as_the_one_it_came_from(runs: Path) -> None:  # fault 50
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(runs / "sentence"), "torch"],
        capture_output=True, text=True, timeout=200, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "[0, 0]", done.stderr


def test_two_readers_at_once_read_what_each_reads_alone(tmp_path: Path) -> None:  # fault 50
    long = "word " * 40_000  # more than csv's own limit of 131,072 letters
    for name in ("one", "two"):
        lines = [f'"{name} {number} {long if number % 7 == 0 else ""}",{"ab"[number % 2]}' for number in range(40)]
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n")

    def read(name: str) -> list[str]:
        train, validation = read_train_and_validation(str(tmp_path / f"{name}.csv"), ReadOptions("utf-8", "error", SkippedRows()))
        return [*train.texts, *validation.texts]

    alone = [read(name) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(read, ("one", "two"))) == alone
    assert np.array([len(text) for text in alone[0]]).max() > 131_072
