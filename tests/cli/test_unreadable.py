"""Files of models that cannot be read, and numbers that are no answer: one line each, from the command line."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from rights import as_any_user
from safetensors.torch import load_file, save_file

from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.exporting.formats.base import format_of
from mtlkit.runs.record import file_digest

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture
def model(mtl: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mtl, tmp_path / "model"))


def seal(run: Path) -> None:
    """Writes the digests of the files as they are now, as one would who wants a changed file to be loaded."""
    record = json.loads((run / "run.json").read_text())
    record["files"] = {name: file_digest(run / name) for name in record["files"]}
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize("name", ["config.json", "run.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder"])
def test_a_file_of_a_model_that_cannot_be_read_is_one_line(typed: Typed, model: Path, name: str, kind: str) -> None:
    path = model / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "gone")
    answer = typed("embed", "a text", "--model", model)
    reason = {"pipe": "a named pipe", "device": "a device", "link": "a broken link to gone", "folder": "a folder"}[kind]
    if name == "run.json" and kind != "device" and kind != "pipe":
        reason = name  # without a record it may be anything
    assert (answer.code, answer.out) == (4, "")
    line = answer.err.splitlines()[-1]
    assert line.startswith("mtlkit: ")
    assert reason in line
    assert name in line


@pytest.fixture
def private(model: Path, tmp_path: Path) -> Iterator[Path]:
    """A run inside a folder without permission to enter."""
    place = tmp_path / "private"
    shutil.copytree(model, place / "run")
    place.chmod(0o000)
    yield place
    place.chmod(0o755)  # so that it can be removed


TASK = ("--task", "t=sample:topic?limit=9", "--epochs", 1)


@pytest.mark.skipif(sys.platform != "linux", reason="root gives up its rights as Linux does it")
@pytest.mark.parametrize(
    "command",
    [
        *((*command, "--model", place) for place in ("private", "private/run") for command in (("embed", "a"), ("eval",))),
        ("predict", "a", "--model", "private"),
        ("export", "private", "out"),
        ("info", "private"),
        ("curves", "private/run"),
        ("train-mtl", "--init", "private", *TASK, "--out", "out"),
        ("train-mtl", "--resume", "private"),
        ("embed", "a", "--runs", "private"),
        ("embed", "a", "--model", "model", "--output", "private/v.npy"),
        ("export", "model", "private/out"),
        ("curves", "model", "-o", "private/c.svg"),
        ("train-mtl", "--init", "model", *TASK, "--out", "private/out"),
        ("embed", "--model", "model", "--input", "private/texts.txt"),
        ("pretrain", "private/texts.txt", "--out", "out"),
        ("check-data", "--task", "t=private/rows.csv"),
    ],
    ids=lambda command: " ".join(map(str, command)).replace("/", ":"),
)
def test_a_folder_that_may_not_be_entered_is_one_line(  # fault 46
    typed: Typed, private: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[object, ...]
) -> None:
    monkeypatch.chdir(private.parent)
    with as_any_user():
        answer = typed(*command)
    line = answer.err.splitlines()[-1]
    assert answer.code in (2, 3, 4), line
    assert line.startswith("mtlkit: ")
    assert "permission" in line.lower()
    assert "private" in line


@pytest.mark.parametrize("option", ["--config", "--card"])
def test_an_option_that_names_no_file_is_one_line(typed: Typed, mtl: Path, tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in ((tmp_path / "pipe", "a named pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        answer = typed("export", mtl, tmp_path / "out", option, path)
        assert answer.code == 2
        assert reason in answer.err
        assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("command", [("embed", "a text"), ("predict", "a text"), ("eval",)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_give_no_answer(typed: Typed, model: Path, command: tuple[str, ...], value: float) -> None:
    weights = load_file(model / "model.safetensors")
    weights["backbone.blocks.0.expand.bias"][3] = value
    save_file(weights, model / "model.safetensors")
    seal(model)
    answer = typed(*command, "--model", model, "--json")
    assert (answer.code, answer.out) == (4, "")
    assert "weight 'backbone.blocks.0.expand.bias' has 1 number that is NaN or infinite" in answer.err


def test_a_vector_that_is_not_finite_is_no_answer(typed: Typed, model: Path) -> None:
    """Every weight is finite, but the products of some are not."""
    weights = load_file(model / "model.safetensors")
    weights["backbone.blocks.0.expand.weight"] = torch.full_like(weights["backbone.blocks.0.expand.weight"], 3e38)
    weights["backbone.blocks.0.contract.weight"] = torch.full_like(weights["backbone.blocks.0.contract.weight"], -3e38)
    save_file(weights, model / "model.safetensors")
    seal(model)
    answer = typed("embed", "a text", "another", "--model", model, "--json")
    assert (answer.code, answer.out) == (4, "")
    assert "of text 1 is not finite" in answer.err


def test_other_files_in_a_pretrained_folder_do_not_stop_a_training_or_its_resumption(
    typed: Typed, mtl: Path, data: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "hf", tmp_path / "run"
    weights = load_weights(mtl)
    folder.mkdir()
    format_of("sentence-transformers").write(folder, weights)
    weights.encoder.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "broken.json").symlink_to("gone")
    os.mkfifo(folder / "pipe.json")
    task = ("--task", f"kind={data / 'kind'}", "--freeze", "backbone", "--keep-state", "--epochs", 1)
    assert typed("train-mtl", "--init", folder, *task, "--out", out).code == 0
    vectors = typed("embed", "a text", "--model", folder, "--output", tmp_path / "v.safetensors")
    assert vectors.code == 0
    shutil.copy(tmp_path / "v.safetensors", folder / "v.safetensors")
    answer = typed("train-mtl", "--resume", out, "--extend", 1)
    assert answer.code == 0, answer.err
