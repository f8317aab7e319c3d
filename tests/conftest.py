"""Small real things that many tests need: a tokenizer, a model, runs on disk, the command line as a process."""

from __future__ import annotations

import csv
import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and PyTorch, whose libraries ask once: more threads only wait for each other
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every process of a test compiles the package again

import numpy as np
import pytest
import torch
from forks import Forks
from wrapped import SPECIAL, Wrap, write_plain, write_wrapped

from mtlkit.cli import phase
from mtlkit.config.architecture import Architecture, Encoding, TaskSpec
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.labels.marks import Label
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.pretrain import pretrain
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.recipes.train_sentence import train_sentence
from mtlkit.training.validation import best_weights, calibrate

sys.dont_write_bytecode = False  # or every run of the tests rewrites their assertions again, a third of collecting them

ANIMALS = ["cat", "dog", "horse", "sparrow", "trout", "lizard", "otter", "beetle"]
TOOLS = ["hammer", "saw", "drill", "chisel", "spanner", "pliers", "file", "lathe"]
PLACES = ["river", "barn", "hill", "old road by the oak", "shelf"]
SENTENCES = [f"The {word} sleeps near the {place}." for word in ANIMALS for place in ("river", "barn", "hill", "road", "oak")] + [
    f"A {word} lies broken on the {place}." for word in TOOLS for place in ("bench", "floor", "shelf", "cart", "wall")
]
LABELS = ["animal"] * 40 + ["tool"] * 40

TRAINED: dict[str, Any] = {"epochs": 10, "batch_tokens": 256, "learning_rate": 3e-3, "head_rate": 10.0}
TINY: dict[str, Any] = {"layers": 2, "dim": 32, "heads": 2, "vocab_size": 400, "dropout": 0.0}


def pytest_collection_finish() -> None:
    """Modules and collected tests stay to the end: a garbage collector that looks at them again and again doubles the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def scores_choose_epochs() -> Iterator[None]:
    """Scores choose the best epoch of the tiny tasks of tests, and calibrate heads, although there are few validation rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_weights, "FEW", 0)
        patch.setattr(calibrate, "LEAST", 1)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Sets a separate cache for the tests, one thread for reproducible results, and no messages about slow phases."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    patch.setattr(phase, "FIRST_LINE", 3600.0)
    patch.setenv("MTLKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A test that changes the number of threads must not slow down those after it: small products wait for each other."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def text_encoder() -> TextEncoder:
    """A real byte-level BPE, trained on a few sentences."""
    return TextEncoder(train_tokenizer(SENTENCES, 400), Encoding(max_length=32))


@pytest.fixture
def tiny_model(text_encoder: TextEncoder) -> MultiTaskModel:
    """A fresh bidirectional model with a head of each kind, in evaluation mode."""
    torch.manual_seed(0)
    architecture = Architecture(text_encoder.tokenizer.get_vocab_size(), 2, 32, 2, 32, "bidirectional")
    tasks = [
        TaskSpec("topic", "classification", ("animal", "tool")),
        TaskSpec("tags", "multi-label", ("a", "b", "c"), "mlp:16"),
        TaskSpec("stars", "regression", (), center=3.0, spread=1.5),
    ]
    return MultiTaskModel(Encoder(architecture), tasks).eval()


@pytest.fixture(scope="session")
def compute() -> Compute:
    return Compute(torch.device("cpu"), "fp32")


@pytest.fixture
def tasks(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> dict[str, TaskData]:
    """`topic` tells animals from tools, `tags` marks places, `stars` counts the words. 60, 20 and 12 rows to train on."""
    labels: dict[str, list[Label]] = {"topic": [], "tags": [], "stars": []}
    texts = []
    for word, place in product([name for pair in zip(ANIMALS, TOOLS, strict=True) for name in pair], PLACES):
        texts.append(f"The {word} lies near the {place}.")
        labels["topic"].append("animal" if word in ANIMALS else "tool")
        labels["tags"].append(tuple(mark for mark, name in zip("abc", PLACES, strict=False) if name == place))
        labels["stars"].append(float(len(texts[-1].split())) / 2)
    rows = {"topic": 60, "tags": 20, "stars": 12}
    tasks = {}
    for name, spec in tiny_model.tasks.items():
        table = LabelledTable(texts, labels[name])
        train = np.array([row for row in range(len(table)) if row % 4 != 3][: rows[name]])
        validation = np.arange(3, len(table), 4)  # words and places that training knows, in other pairs
        tasks[name] = prepare_task(spec, "tests", table.select(train), table.select(validation), text_encoder)
    return tasks


def write_csv(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Path:
    """A csv file of texts and labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny tasks as folders: `kind` (animal or tool) and `state` (asleep or broken), each with train and test."""
    folder = tmp_path_factory.mktemp("data")
    for task, labels in (
        ("kind", LABELS),
        ("state", [label.replace("animal", "fine").replace("tool", "broken") for label in LABELS]),
    ):
        rows = list(zip(SENTENCES, labels, strict=True))
        write_csv(folder / task / "train.csv", [row for place, row in enumerate(rows) if place % 5])
        write_csv(folder / task / "test.csv", [row for place, row in enumerate(rows) if place % 5 == 0])
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A folder with a finished run of each stage: `pretrain`, `sentence` (task kind), `mtl` (kind and state)."""
    folder = tmp_path_factory.mktemp("runs")
    texts = data / "kind" / "train.csv"
    base = {"context": 32, "epochs": 2, "batch_tokens": 256, "block": "gpt2", "optimizer": "adamw"}  # weights with all biases
    pretrain(PretrainOptions(sources=[str(texts)], runs=folder, **base, **TINY))
    sentence = TrainSentenceOptions(task=f"kind={data / 'kind'}", runs=folder, **TRAINED)
    train_sentence(sentence)
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    train_mtl(TrainMtlOptions(task=tasks, runs=folder, **TRAINED))
    return folder


Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs `python -m mtlkit ...` as a process and returns it, with stdout and stderr as text. Messages about slow phases, such
    as "loading the model ...", are removed, as they depend on the machine."""

    def run(
        *arguments: object, cwd: Path | None = None, input: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            [sys.executable, "-W", "error", "-m", "mtlkit", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            input=input,
            timeout=240,
            env={**os.environ, "COLUMNS": "100", **environment},
        )
        result.stderr = re.sub(r"(?m)^[\w ]+ \.\.\.\n", "", result.stderr)
        return result

    return run


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts commands as processes that begin at once and can be killed."""
    server = Forks(tmp_path_factory.mktemp("forks"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def forked(forks: Forks) -> Cli:
    """Like `cli`, but forked from a process that has imported everything, which is ten times faster. Use `cli` to test how a
    process starts, and `typed` if no process is needed."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        child = forks.start(*arguments, cwd=cwd, environment=environment)
        return subprocess.CompletedProcess(arguments, child.wait(), child.out, child.err)

    return run


@pytest.fixture(scope="session")
def plain_peers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of transformers for each kind, "bert" and "roberta"."""
    folders = {}
    for kind in SPECIAL:
        folders[kind] = tmp_path_factory.mktemp("plain") / kind
        write_plain(kind, folders[kind], SENTENCES)
    return folders


@pytest.fixture
def wrap(plain_peers: dict[str, Path], tmp_path: Path) -> Wrap:
    """`wrap("bert", pooling="cls", prompts={...})`: a folder that sentence-transformers saved with these settings."""

    def make(kind: str = "bert", **settings: Any) -> Path:
        return write_wrapped(tmp_path / "wrapped" / str(len(list(tmp_path.glob("wrapped/*")))), plain_peers[kind], **settings)

    return make
