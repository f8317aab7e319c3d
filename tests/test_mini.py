"""The model inside the package: whole, small, and of use at once."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from forks import Forks
from pyarrow import parquet

import mtlkit
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.inference.find_model import mini_folder
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import similarities
from mtlkit.model.digest import digest_of
from mtlkit.runs.record import verify

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
LARGEST = 8_000_000  # bytes
EXAMPLES = Path(__file__).parents[1] / "examples" / "mini"


@pytest.fixture(scope="module")
def mini() -> LoadedModel:
    return mtlkit.load("mini")


def card() -> str:
    return (mini_folder() / "README.md").read_text(encoding="utf-8")


def test_mini_is_intact_and_small() -> None:
    record = verify(mini_folder())  # every digest
    files = [path for path in mini_folder().rglob("*") if path.is_file()]
    assert {path.name for path in files} == {*record.files, "run.json"}
    assert sum(path.stat().st_size for path in files) <= LARGEST


def test_digest_is_unchanged_by_the_revised_card() -> None:
    record = json.loads((mini_folder() / "run.json").read_text(encoding="utf-8"))
    record["files"]["README.md"] = "f48ec22d37c359f19ddc3d383b9a4e9c62cbeb57c7a60cb0281213262e3b4515"
    before = hashlib.sha256((json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()).hexdigest()
    assert digest_of(mini_folder()) == before


def test_mini_contains_no_local_paths() -> None:
    for name in ("run.json", "config.json", "README.md"):
        text = (mini_folder() / name).read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w./])/(home|root|tmp|work|usr|opt|Users)/", text), name


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        ("A man is playing a guitar.", "Someone plays an instrument.", "The stock market fell on Monday."),
        ("The film was dull and far too long.", "What a boring movie.", "The recipe needs two eggs."),
        ("How do I reset my password?", "I forgot my login and cannot sign in.", "Rain is expected in the north."),
        ("The team won the final.", "They are the champions.", "She planted roses in the garden."),
        ("a dog runs across the field", "A puppy is running through the grass.", "The parliament passed the law."),
    ],
)
@pytest.mark.parametrize("dim", [None, 64])
def test_similar_texts_are_closer(mini: LoadedModel, text: str, like: str, unlike: str, dim: int | None) -> None:
    first, second, third = mini.embed([text, like, unlike])[:, :dim]
    matrix = similarities(np.stack([first, second, third]))
    assert matrix[0, 1] > matrix[0, 2] + 0.15


def test_mini_ignores_case(mini: LoadedModel) -> None:
    np.testing.assert_array_equal(*mini.embed(["The Nile is a river.", "the nile IS A RIVER."]))


def test_the_commands_of_the_card_parse() -> None:
    known = {"train-sentence": TrainSentenceOptions, "export": ExportOptions, "embed": EmbedOptions}
    blocks = re.findall(r"```(?:sh|json|python)?\n(.*?)```", card(), re.DOTALL)
    typed = [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("mtlkit ")]
    assert {words[1] for words in typed} == set(known)
    for _, command, *words in typed:
        options = {f"--{item.name.replace('_', '-')}" for item in fields(known[command])} | {"--config"}
        assert {word for word in words if word.startswith("--")} <= options


def test_card_names_its_sources() -> None:
    for said in ("CC BY-SA", "public domain", "Apache-2.0", "all-MiniLM-L6-v2", "STS-B", "AG News", "IMDB", "seed", "tokens"):
        assert said in card(), said
    digest = json.loads((mini_folder() / "run.json").read_text())["data"]["texts"]["train"]["sha256"]
    assert digest in card()


def test_its_configuration_is_the_one_in_the_examples(forks: Forks, tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"text": ["a text", "another"]}), tmp_path / "texts.parquet")
    done = forks.start("train-sentence", "--config", EXAMPLES / "distill.toml", "--teacher", tmp_path / "none", cwd=tmp_path)
    assert done.wait() == 2  # all of its options are known; the teacher is not there
    assert f"model {tmp_path / 'none'}: no such folder" in done.err


def test_commands_work_in_an_empty_folder(forked: Cli, forks: Forks, tmp_path: Path) -> None:
    done = forked("embed", "some sentence", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "model: mini, the bundled model; no compatible run in runs/\n"
    found = json.loads(done.stdout)
    assert (found["model"], found["dim"]) == ("mini", 256)
    trained = forks.start("train-mtl", "--freeze", "backbone", "--json", cwd=tmp_path)
    assert trained.wait() == 0, trained.err
    assert json.loads(trained.out)["metrics"]["validation"]["topic"]["accuracy"] > 0.8
    assert json.loads((tmp_path / "runs" / "mtl" / "run.json").read_text())["parent"]["path"] == "mini"
    evaluated = forks.start("eval", "--confusion", "--json", cwd=tmp_path)
    assert evaluated.wait() == 0, evaluated.err
    assert json.loads(evaluated.out)["tasks"]["topic"]["accuracy"] > 0.8
    asked = forks.start("predict", "--model", "mini", "a text", cwd=tmp_path)
    assert (asked.wait(), asked.out) == (2, "")
    assert "has no heads to predict with; train heads with 'mtlkit train-mtl --init mini'" in asked.err
