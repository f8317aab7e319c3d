"""The commands as Python functions: results, errors, signatures."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import COMMANDS

import mtlkit
from mtlkit.errors import OptionError, UsageError

FUNCTIONS = {name: name.replace("-", "_") for name in COMMANDS} | {
    "eval": "evaluate",
    "runs": "list_runs",
    "report": "write_report",
}


@pytest.fixture(autouse=True)
def prints_nothing(capfd: pytest.CaptureFixture[str]) -> Any:
    """A library writes to neither stream."""
    yield
    assert capfd.readouterr() == ("", "")


def test_importing_the_package_and_asking_for_help_load_no_torch() -> None:
    code = (
        "import sys, inspect, mtlkit; dir(mtlkit); inspect.signature(mtlkit.train_mtl); "
        "sys.exit(bool({'torch', 'typer', 'datasets'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_function_whose_keywords_are_its_options(command: str) -> None:
    function = getattr(mtlkit, FUNCTIONS[command])
    parameters = inspect.signature(function).parameters
    assert list(parameters) == [item.name for item in fields(COMMANDS[command]) if "option" in item.metadata]
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    assert all(f"\n    {name}: " in function.__doc__ for name in parameters)


def test_a_path_may_be_a_string_and_a_list_a_single_string(data: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    finished = mtlkit.train_mtl(task=f"kind={data / 'kind'}", init="mini", freeze="backbone", out=out, epochs=1)
    assert finished.run == tmp_path / "run"
    assert 0 <= finished.metrics["validation"]["kind"]["accuracy"] <= 1
    model = mtlkit.load(out)
    assert model.tasks == ("kind",)
    curves = mtlkit.curves(run=finished.run)
    assert curves.log == finished.run / "metrics.jsonl"
    facts = mtlkit.info(run=finished.run)
    assert facts.problems == ()


def test_embed_returns_vectors_or_similarities() -> None:
    texts = ["The film was dull.", "What a boring movie!", "A man is playing a guitar."]
    vectors = mtlkit.embed(texts=texts, model="mini")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, mtlkit.load("mini").embed(texts), atol=1e-5)
    similar = mtlkit.embed(texts=texts, model="mini", similarity=True)
    assert similar.shape == (3, 3)
    assert similar[0, 1] > similar[0, 2]


def test_embed_to_file_writes_the_vectors_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a cat\na kitten\n")
    output = mtlkit.embed_to_file(input=tmp_path / "texts.txt", output=tmp_path / "vectors.npy", model="mini")
    assert output == tmp_path / "vectors.npy"
    np.testing.assert_allclose(np.load(output), mtlkit.embed(texts=["a cat", "a kitten"], model="mini"), atol=1e-5)
    with pytest.raises(UsageError, match="overwrite"):
        mtlkit.embed_to_file(input=tmp_path / "texts.txt", output=output, model="mini")


def test_results_of_the_other_commands(runs: Path, data: Path, tmp_path: Path) -> None:
    model = str(runs / "mtl")
    (answer,) = mtlkit.predict(texts=["The cat sleeps near the barn."], model=model)
    assert set(answer["tasks"]) == {"kind", "state"}
    assert mtlkit.evaluate(model=model).tasks["kind"].metrics["n"] == 16
    assert [task.name for task in mtlkit.check_data(task=[f"kind={data / 'kind'}"], model=model).tasks] == ["kind"]
    assert (mtlkit.export(model=model, out=tmp_path / "small", format="compact").out / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mtlkit.train_mtl(epoch=3), TypeError, "train_mtl() has no option 'epoch'; did you mean 'epochs'?"),
        (lambda: mtlkit.train_mtl("topic"), TypeError, "keyword arguments only"),
        (lambda: mtlkit.train_mtl(epochs="x"), OptionError, "epochs: 'x' is not a whole number"),
        (lambda: mtlkit.pretrain(learning_rate=-1.0), OptionError, "learning_rate"),
        (lambda: mtlkit.train_sentence(objective="pair"), OptionError, "did you mean 'pairs'?"),
        (lambda: mtlkit.train_mtl(freeze=["backbon"]), UsageError, "did you mean 'backbone'?"),
        (lambda: mtlkit.embed(texts=["a"], output=Path("x.npy")), UsageError, "embed_to_file"),
        (lambda: mtlkit.embed_to_file(texts=["a"]), UsageError, "output"),
        (lambda: mtlkit.info(caches=True), UsageError, "mtlkit info --caches"),
        (lambda: mtlkit.load("nope"), UsageError, "nope: no such folder"),
        (lambda: mtlkit.lode, AttributeError, "no attribute 'lode'"),
    ],
)
def test_a_mistake_is_one_clear_line(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
