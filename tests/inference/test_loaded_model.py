from __future__ import annotations

import io
import json
import pickle
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mtlkit
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.find_model import find_model, mini_folder
from mtlkit.inference.load_model import load
from mtlkit.runs.record import file_digest

TEXTS = ["The cat sleeps near the river.", "", " ", "A saw", "The cat sleeps near the river.", "word " * 500, "猫🪚\x00"]


def test_vectors_are_float32_one_a_text(runs: Path) -> None:
    model = mtlkit.load(runs / "mtl")
    assert isinstance(model, mtlkit.LoadedModel)
    vectors = model.embed(TEXTS)
    assert (vectors.dtype, vectors.shape, model.dim) == (np.float32, (7, 32), 32)
    assert np.isfinite(vectors).all()  # fault 28
    np.testing.assert_allclose(vectors[0], vectors[4], atol=1e-5)
    assert np.abs(vectors[0] - vectors[3]).max() > 0.01


def test_no_texts_give_no_rows(runs: Path) -> None:
    model = load(str(runs / "mtl"))
    vectors = model.embed([])
    assert (vectors.dtype, vectors.shape) == (np.float32, (0, 32))
    assert model.embed([], normalize=True).shape == (0, 32)
    assert model.predict([]) == []
    model.specs = {name: replace(spec, pair="vectors") for name, spec in model.specs.items()}
    assert model.predict([]) == []
    with pytest.raises(UsageError, match="no head 'topic'"):
        model.predict([], "topic")
    with pytest.raises(UsageError, match="tuples of two strings"):
        model.predict(["a text"])


@pytest.mark.parametrize("batch_tokens", [8, 40, 8192])
def test_a_vector_is_the_same_alone_and_in_any_batch(runs: Path, batch_tokens: int) -> None:  # fault 28
    model = load(runs / "mtl")
    alone = np.concatenate([model.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(model.embed(TEXTS, batch_tokens=batch_tokens), alone, atol=1e-5)
    np.testing.assert_allclose(model.embed(TEXTS[::-1], batch_tokens=batch_tokens)[::-1], alone, atol=1e-5)


BLANK = st.text(alphabet=" \t\n\r\u00a0\u2003\u200b\ufeff\x00", max_size=6)


@given(
    texts=st.lists(st.one_of(BLANK, st.text(max_size=60)), min_size=2, max_size=12), batch_tokens=st.sampled_from([8, 30, 8192])
)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_has_a_finite_vector_alone_and_the_same_in_a_batch(  # fault 28
    runs: Path, texts: list[str], batch_tokens: int
) -> None:
    model = loaded(runs / "mtl")
    together = model.embed(texts, batch_tokens=batch_tokens)
    assert np.isfinite(together).all()
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(model.embed([text])[0], vector, atol=1e-5)
    assert np.isfinite(model.embed([""], normalize=True)).all()


@cache
def loaded(path: Path) -> mtlkit.LoadedModel:
    return load(path)


def test_normalized_vectors_have_length_one(runs: Path) -> None:
    model = load(runs / "mtl")
    np.testing.assert_allclose(np.linalg.norm(model.embed(TEXTS, normalize=True), axis=1), 1.0, atol=1e-5)


def test_string_is_not_split_into_letters(runs: Path) -> None:
    model = load(runs / "mtl")
    with pytest.raises(TypeError, match="a list of strings"):
        model.embed("some sentence")
    with pytest.raises(TypeError, match="a list of strings"):
        model.predict("some sentence")
    for wrong in (1, None, b"bytes"):
        with pytest.raises(TypeError, match=r"texts\[1\] is .* a list of strings"):
            model.embed(["some sentence", wrong])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "gpu"}, "device: 'gpu' is not one of auto, cpu, cuda, mps"),
        ({"precision": "bf61"}, "precision: .*did you mean 'bf16'"),
        ({"backend": "tensorflow"}, "backend: .* is not one of"),
    ],
)
def test_a_choice_that_there_is_not_is_refused_by_name(given: dict[str, Any], words: str, runs: Path) -> None:
    with pytest.raises(UsageError, match=words):
        load(runs / "mtl", **given)


def test_predictions_of_every_kind_of_head(odd_run: Path) -> None:
    model = load(odd_run)
    assert model.tasks == ("kind", "state", "stars", "tags")
    animal, tool = model.predict(["The horse sleeps near the hill.", "A saw lies broken on the shelf."])
    assert list(animal) == ["kind", "state", "stars", "tags"]
    assert list(animal["stars"]) == ["value"]
    assert animal["stars"]["value"] > 3 > tool["stars"]["value"]
    assert list(animal["tags"]) == ["labels", "probabilities"]
    assert list(animal["tags"]["probabilities"]) == ["[/]", "animal", "far"]
    assert animal["tags"]["labels"] == [label for label, value in animal["tags"]["probabilities"].items() if value > 0.5]
    assert "animal" in animal["tags"]["labels"]
    assert "animal" not in tool["tags"]["labels"]
    assert animal["kind"]["label"] in ("animal", "tool")


def test_predictions_of_one_task_are_those_of_all(odd_run: Path) -> None:
    model = load(odd_run)
    both, one = model.predict(TEXTS), model.predict(TEXTS, task="stars")
    assert [list(answer) for answer in one] == [["stars"]] * len(TEXTS)
    assert [answer["stars"] for answer in one] == [answer["stars"] for answer in both]


def test_several_tasks_can_be_named_in_any_order(odd_run: Path) -> None:
    model = load(odd_run)
    every, some = model.predict(TEXTS), model.predict(TEXTS, task=["stars", "kind"])
    assert [list(answer) for answer in some] == [["stars", "kind"]] * len(TEXTS)
    assert [dict(answer) for answer in some] == [{name: answer[name] for name in ("stars", "kind")} for answer in every]
    with pytest.raises(UsageError, match=r"has no head 'knid'"):
        model.predict(TEXTS, task=["stars", "knid"])


def test_predictions_that_cannot_be_made_are_refused(runs: Path) -> None:
    with pytest.raises(UsageError, match=r"has no head 'knid'; it has kind, state; did you mean 'kind'\?"):
        load(runs / "mtl").predict(["a"], task="knid")
    with pytest.raises(UsageError, match="has no heads to predict with"):
        load(runs / "pretrain").predict(["a"])


def test_loading_initialises_no_weights(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = load(runs / "mtl").embed(TEXTS)

    def fill(*arguments: object) -> None:
        raise AssertionError("random weights that nobody needs")

    for name in ("_no_grad_normal_", "_no_grad_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, fill, raising=False)
    np.testing.assert_array_equal(load(runs / "mtl").embed(TEXTS), wanted)


def test_a_base_embeds(runs: Path) -> None:
    assert load(runs / "pretrain").embed(["a", "b"]).shape == (2, 32)


def test_a_device_that_is_not_there_is_refused(runs: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match="--device cuda is not available on this machine; available: cpu"):
        load(runs / "mtl", device="cuda")


def test_the_newest_run_of_the_first_stage_is_found(runs: Path) -> None:
    found = find_model(None, runs, ("mtl", "sentence", "base"))
    assert (found.path, found.reason) == (runs / "mtl", f"the newest compatible run in {runs}/")
    assert find_model(None, runs, ("base",)).path == runs / "pretrain"
    assert find_model(str(runs / "sentence"), runs, ("base",)).reason == "as specified"


def test_without_a_run_that_fits_the_model_inside_the_package_is_taken(runs: Path, tmp_path: Path) -> None:
    found = find_model(None, tmp_path, ("mtl",))
    assert (str(found), found.path) == ("mini", mini_folder())
    assert found.reason == f"the bundled model; no compatible run in {tmp_path}/"
    asked = find_model("mini", runs, ("mtl",))
    assert (str(asked), asked.path, asked.reason) == ("mini", mini_folder(), "the bundled model")


def test_an_unknown_path_lists_the_runs_there_are(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"model .*mlt: no such folder; runs: .*mtl, .*pretrain, .*sentence; did you mean '.*mtl'\?"
    ):
        find_model(str(runs / "mlt"), runs, ("mtl",))
    with pytest.raises(UsageError, match=r"no such folder$"):
        find_model(str(tmp_path / "mtl"), tmp_path, ("mtl",))


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def pickled(path: Path, how: str) -> bytes:
    if how == "pickle":
        return pickle.dumps(Canary(path))
    buffer = io.BytesIO()
    torch.save(Canary(path), buffer, _use_new_zipfile_serialization=how == "zip")
    return buffer.getvalue()


HTML = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


@pytest.mark.parametrize("how", ["pickle", "zip", "legacy"])
def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, runs: Path, how: str) -> None:  # fault 32
    canary = tmp_path / "canary"
    content = pickled(canary, how)
    file = tmp_path / "model.pt"
    file.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.pt: a pickle.*safetensors") as caught:
        find_model(str(file), runs, ("mtl",))
    assert caught.value.exit_code == 4
    run = tmp_path / "run"
    shutil.copytree(runs / "mtl", run)
    (run / "model.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load(run)
    record = json.loads((run / "run.json").read_text())  # someone who also mends the digest gets no further
    record["files"]["model.safetensors"] = file_digest(run / "model.safetensors")
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load(run)
    assert not canary.exists()


def test_a_folder_of_another_tool_is_refused(tmp_path: Path) -> None:  # fault 32
    canary = tmp_path / "canary"
    (tmp_path / "pytorch_model.bin").write_bytes(pickled(canary, "zip"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"not an mtlkit run \(run\.json is missing\)"):
        load(tmp_path)
    assert not canary.exists()


@pytest.mark.parametrize(("content", "said"), [(HTML, "an HTML page"), (POINTER, "a git-LFS pointer.*git lfs pull")])
def test_pages_and_pointers_are_recognised(runs: Path, tmp_path: Path, content: bytes, said: str) -> None:  # fault 33
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"model\.safetensors: {said}"):
        find_model(str(file), runs, ("mtl",))
    for name in ("model.safetensors", "config.json", "tokenizer.json", "run.json"):
        run = tmp_path / name.split(".")[0]
        shutil.copytree(runs / "mtl", run)
        (run / name).write_bytes(content)
        with pytest.raises(IntegrityError, match=rf"{name}: .*{said}"):
            load(run)


def test_a_file_of_a_run_is_not_the_run(runs: Path) -> None:
    with pytest.raises(IntegrityError, match=r"model\.safetensors: a file, .*folder of a model"):
        find_model(str(runs / "mtl" / "model.safetensors"), runs, ("mtl",))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "metrics.jsonl"])
def test_a_flipped_bit_in_any_file_is_found(runs: Path, tmp_path: Path, name: str) -> None:  # fault 4
    run = tmp_path / "run"
    shutil.copytree(runs / "mtl", run)
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"{name}: damaged .*[0-9a-f]{{64}}.*[0-9a-f]{{64}}"):
        load(run)


def test_an_edited_or_missing_card_does_not_matter(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "mtl", tmp_path / "run")
    card = tmp_path / "run" / "README.md"
    card.write_text(card.read_text() + "\nMore about it.\n")
    load(tmp_path / "run")
    card.unlink()
    assert load(tmp_path / "run").tasks == load(runs / "mtl").tasks


def test_a_run_can_be_moved_and_loaded_from_anywhere(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(runs / "mtl", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    moved = load("elsewhere")
    np.testing.assert_array_equal(moved.embed(TEXTS), load(runs / "mtl").embed(TEXTS))
