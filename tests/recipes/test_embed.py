from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from safetensors.numpy import load_file

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.recipes import embed as recipe
from mtlkit.recipes.inputs import texts as texts_of_inputs
from mtlkit.recipes.inputs.open_model import open_model
from mtlkit.recipes.outputs.job import OutputProgress

NOTHING = io.StringIO()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)


@pytest.fixture
def texts() -> list[str]:
    return [f"The cat number {number}" + " sleeps" * (number * 7 % 5) for number in range(11)]


@pytest.fixture
def source(tmp_path: Path, texts: list[str]) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def test_a_file_of_several_parts_keeps_its_order(small_parts: None, runs: Path, source: Path, texts: list[str]) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), input=source)
    loaded, found = open_model(options)
    assert found.reason == "as specified"
    done = list(recipe.embed(options, loaded, NOTHING))
    assert [len(part.texts) for part in done] == [4, 4, 3]
    assert [text for part in done for text in part.texts] == texts
    np.testing.assert_allclose(np.concatenate([part.vectors for part in done]), loaded.embed(texts), atol=1e-5)


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".safetensors"])
def test_a_file_is_written_part_by_part(small_parts: None, runs: Path, source: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=out)
    loaded, _ = open_model(options)
    steps = recipe.embed_to_output(options, loaded, NOTHING)
    assert next(steps) == OutputProgress("computed", 4, None, 0)
    assert not out.exists()  # no file until it is complete
    later = [*((step.stage, step.texts) for step in steps)]
    assert later == [("computed", 8), ("computed", 11), ("written", 4), ("written", 8), ("written", 11)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", out.name]
    if suffix == ".npy":
        np.testing.assert_allclose(np.load(out), loaded.embed(source.read_text().splitlines()), atol=1e-5)


def test_a_fault_in_a_later_part_keeps_those_before(small_parts: None, runs: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.npy"
    source.write_text('{"text": "a"}\n' * 5 + "broken\n")
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=out)
    loaded, _ = open_model(options)
    with pytest.raises(DataError, match=r"in\.jsonl:6: invalid JSON"):
        list(recipe.embed_to_output(options, loaded, NOTHING))
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.npy.parts", "in.jsonl"]
    source.write_text('{"text": "a"}\n' * 6)
    steps = list(recipe.embed_to_output(replace(options, resume=True), loaded, NOTHING))
    assert steps[-1] == OutputProgress("written", 6, 6, 4)
    assert np.load(out).shape == (6, 32)


def test_a_fault_in_the_first_part_leaves_nothing(small_parts: None, runs: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("broken\n")
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=tmp_path / "out.npy")
    loaded, _ = open_model(options)
    with pytest.raises(DataError, match=r"in\.jsonl:1: invalid JSON"):
        list(recipe.embed_to_output(options, loaded, NOTHING))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_early_end_leaves_no_thread(small_parts: None, runs: Path, source: Path) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), input=source)
    loaded, _ = open_model(options)
    stream = recipe.embed(options, loaded, NOTHING)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_fault_of_the_model_ends_the_thread(
    small_parts: None, runs: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), input=source)
    loaded, _ = open_model(options)
    monkeypatch.setattr(loaded.engine, "vectors", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(recipe.embed(options, loaded, NOTHING))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"resume": True}, "--resume needs an --output"),
        ({"resume": True, "overwrite": True, "output": Path("a.npy")}, "use one of them"),
    ],
)
def test_resume_needs_a_checkpoint(runs: Path, more: dict[str, Any], said: str) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), texts=["a"], **more)
    loaded, _ = open_model(options)
    with pytest.raises(UsageError, match=said):
        list((recipe.embed_to_output if options.output else recipe.embed)(options, loaded, NOTHING))


def test_a_place_to_write_to_is_needed(runs: Path, tmp_path: Path) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), texts=["a"])
    loaded, _ = open_model(options)
    with pytest.raises(UsageError, match="no --output"):
        list(recipe.embed_to_output(options, loaded, NOTHING))


def test_similarities_are_the_cosines_of_every_pair(small_parts: None, runs: Path, source: Path, texts: list[str]) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), input=source, dim=5)
    loaded, _ = open_model(options)
    found = recipe.similarities(options, loaded, NOTHING)
    assert found.texts == texts
    vectors = loaded.embed(texts)[:, :5].astype(np.float64)
    wanted = [[one @ other / np.sqrt((one @ one) * (other @ other)) for other in vectors] for one in vectors]
    np.testing.assert_allclose(found.values, wanted, atol=1e-5)


def test_too_many_texts_to_compare_are_refused_on_the_way(
    small_parts: None, runs: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "MOST_COMPARED", 6)
    options = EmbedOptions(model=str(runs / "mtl"), input=source)
    loaded, _ = open_model(options)
    with pytest.raises(UsageError, match="compares 6 texts at most; embed them with --output"):
        recipe.similarities(options, loaded, NOTHING)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet", ".jsonl"])
@pytest.mark.parametrize("normalize", [False, True])
def test_vectors_are_cut_and_only_then_scaled(
    small_parts: None, runs: Path, source: Path, tmp_path: Path, texts: list[str], suffix: str, normalize: bool
) -> None:
    options = EmbedOptions(model=str(runs / "mtl"), input=source, output=tmp_path / f"out{suffix}", dim=7, normalize=normalize)
    loaded, _ = open_model(options)
    whole = replace(options, dim=None, normalize=False, output=None)
    wanted = np.concatenate([part.vectors for part in recipe.embed(whole, loaded, NOTHING)])[:, :7]
    if normalize:
        wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    got = [part.vectors for part in recipe.embed(replace(options, output=None), loaded, NOTHING)]
    assert all(part.flags["C_CONTIGUOUS"] for part in got)
    np.testing.assert_array_equal(np.concatenate(got), wanted)
    list(recipe.embed_to_output(options, loaded, NOTHING))
    assert options.output is not None
    np.testing.assert_array_equal(written(options.output), wanted)


def written(path: Path) -> Any:
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".safetensors":
        return load_file(path)["vectors"]
    if path.suffix == ".parquet":
        return np.array(parquet.read_table(path).column("vector").to_pylist(), np.float32)
    return np.array([json.loads(line)["vector"] for line in path.read_text().splitlines()], np.float32)
