from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtlkit import progress
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.digest import digest_of
from mtlkit.progress import Working, listen
from mtlkit.recipes.training import teacher as module
from mtlkit.recipes.training.teacher import Teacher, open_teacher, principal_axes, teacher_tokens, turned

TEXTS = ["The cat sleeps.", "", "A saw lies broken on the bench.", "The dog sleeps near the barn.", "Ελλάς 🦦"]


@pytest.fixture
def teacher(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Teacher:
    """A run of the tests, with a cache that nothing is in."""
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "cache"))
    return open_teacher(TrainSentenceOptions(teacher=str(runs / "sentence"), teacher_precision="fp32"))


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts a model was given, call by call."""
    counts: list[int] = []
    embed = LoadedModel.embed
    monkeypatch.setattr(
        LoadedModel, "embed", lambda model, texts, **more: counts.append(len(texts)) or embed(model, texts, **more)
    )
    return counts


def test_teacher_describes_itself(teacher: Teacher, runs: Path) -> None:
    assert teacher.record == {"path": str(runs / "sentence"), "digest": digest_of(runs / "sentence"), "precision": "fp32"}
    with pytest.raises(UsageError, match="--objective distill needs a --teacher, such as --teacher "):
        open_teacher(TrainSentenceOptions())


def test_vectors_are_those_of_embed_and_worked_out_once(
    teacher: Teacher, embedded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART_TEXTS", 2)
    expected = teacher.model.embed(TEXTS, normalize=True)
    embedded.clear()
    first = teacher.vectors(TEXTS)
    assert embedded == [2, 2, 1]
    assert (first.shape, first.dtype) == ((5, teacher.model.dim), np.float16)
    np.testing.assert_allclose(first, expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(first.astype(np.float32), axis=1), 1, atol=2e-3)
    assert np.array_equal(teacher.vectors(TEXTS), first)
    assert embedded == [2, 2, 1]  # nothing was worked out again
    assert np.array_equal(teacher.vectors(TEXTS[2:]), first[2:])  # parts of other lists are found, too
    assert embedded == [2, 2, 1]


def damaged(data: bytes, vectors: module.Vectors, damage: str) -> bytes:
    """A cache file of these vectors with something wrong in it."""
    at = data.index(vectors.tobytes())
    match damage:
        case "bit":
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        case "nan":
            return data[:at] + np.full_like(vectors, np.nan).tobytes() + data[at + vectors.nbytes :]
        case "zero":
            return data[:at] + bytes(vectors.nbytes)
        case "cut":
            return data[:-9]
    return b""


@pytest.mark.parametrize("damage", ["bit", "nan", "zero", "cut", "empty"])
def test_a_damaged_part_is_named_and_made_again(
    damage: str, teacher: Teacher, embedded: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    first = teacher.vectors(TEXTS)
    path = teacher.entry(TEXTS).path
    path.write_bytes(damaged(path.read_bytes(), first, damage))
    assert np.array_equal(teacher.vectors(TEXTS), first)
    assert embedded == [5, 5]
    (warning,) = caplog.messages
    assert warning.startswith((f"{path} is ", f"{path} contains NaN or infinity"))
    assert np.array_equal(teacher.vectors(TEXTS), first)
    assert embedded == [5, 5]


@pytest.mark.parametrize("shape", [(4, 32), (5, 31), (160,)], ids=str)
def test_vectors_of_another_shape_are_not_used(shape: tuple[int, ...], teacher: Teacher, embedded: list[int]) -> None:
    first = teacher.vectors(TEXTS)
    teacher.entry(TEXTS).write({"vectors": np.zeros(shape, np.float16)})
    assert np.array_equal(teacher.vectors(TEXTS), first)
    assert embedded == [5, 5]


def test_vectors_of_another_teacher_under_the_same_name_are_not_used(teacher: Teacher, embedded: list[int]) -> None:
    first = teacher.vectors(TEXTS)
    other = Teacher(teacher.model, "other", "fp32").entry(TEXTS)
    replace(other, path=teacher.entry(TEXTS).path).write({"vectors": np.zeros_like(first)})
    assert np.array_equal(teacher.vectors(TEXTS), first)
    assert embedded == [5, 5]


def test_another_teacher_precision_prompt_or_text_has_a_place_of_its_own(teacher: Teacher) -> None:
    prompted = Teacher(load(teacher.model.path, prompt="query: "), teacher.digest, "fp32")
    others = [Teacher(teacher.model, "other", "fp32"), Teacher(teacher.model, teacher.digest, "int8"), prompted]
    files = [teacher.entry(TEXTS), teacher.entry(TEXTS[1:]), *(one.entry(TEXTS) for one in others)]
    assert len({file.path for file in files}) == len({file.key for file in files}) == 5


def test_it_counts_the_texts_of_all_parts(teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_TEXTS", 2)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    heard: list[Working | None] = []
    before = listen(heard.append)
    for _ in range(2):  # the second time, all parts are on disk
        teacher.vectors(TEXTS)
        done = [working.done for working in heard if working]
        assert {0, 2, 4, 5} <= set(done) <= set(range(6))
        assert done == sorted(done)
        heard.clear()
    listen(before)


def some_vectors() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Of length 1, in 8 directions of very unequal size."""
    made = (
        np.random.default_rng(0).normal(size=(200, 8))
        * np.array([1, 9, 1, 3, 0.1, 5, 0.1, 2])
        @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_turning_along_the_principal_axes_keeps_cosines_and_puts_the_largest_first() -> None:
    vectors = some_vectors()
    axes = principal_axes(vectors, 8)
    np.testing.assert_allclose(axes.T @ axes, np.eye(8), atol=1e-5)
    found = turned(vectors, axes).astype(np.float32)
    np.testing.assert_allclose(found @ found.T, vectors @ vectors.T, atol=3e-3)
    energy = (found**2).sum(0)
    assert energy.tolist() == sorted(energy.tolist(), reverse=True)
    largest = np.linalg.svd(vectors, compute_uv=False)[:3]
    np.testing.assert_allclose(np.sqrt(energy[:3]), largest, rtol=1e-3)


def test_a_cut_keeps_the_first_axes_and_a_wider_student_gets_zeros() -> None:
    vectors = some_vectors()
    axes = principal_axes(vectors, 8)
    np.testing.assert_array_equal(principal_axes(vectors, 3), axes[:, :3])
    wide = principal_axes(vectors, 12)
    np.testing.assert_array_equal(wide[:, :8], axes)
    assert wide.shape == (8, 12)
    assert not wide[:, 8:].any()
    assert turned(vectors, wide).shape == (200, 12)


def test_axes_come_from_all_parts_of_many_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.concatenate([np.tile([[1.0, 0.0]], (100, 1)), np.tile([[0.0, 1.0]], (300, 1))]).astype(np.float32)
    monkeypatch.setattr(module, "SAMPLE", 40)
    np.testing.assert_allclose(principal_axes(vectors, 2), [[0, 1], [1, 0]], atol=1e-6)


def test_tokens_are_embedded_as_what_they_spell(teacher: Teacher) -> None:
    encoder = teacher.model.encoder
    vectors = teacher_tokens(teacher, encoder)
    assert vectors.shape == (encoder.tokenizer.get_vocab_size(), teacher.model.dim)
    words = {token: number for token, number in encoder.tokenizer.get_vocab().items() if token in ("Ġsleeps", "<bos>", "Ġ")}
    assert len(words) == 3
    for token, text in (("Ġsleeps", "sleeps"), ("<bos>", ""), ("Ġ", "")):
        np.testing.assert_allclose(vectors[words[token]], teacher.model.embed([text], normalize=True)[0], atol=1e-3)
