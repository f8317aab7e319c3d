"""Damaged files of a run are refused by name, and a pickle is never opened."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import mtlkit
from mtlkit.errors import IntegrityError
from mtlkit.model.checkpoint import load_model
from mtlkit.runs.record import file_digest

HTML = "\n<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


def seal(run: Path) -> None:
    """Writes the digests of the files as they are now, as one would who wants a changed file to be loaded."""
    record = json.loads((run / "run.json").read_text())
    record["files"] = {name: file_digest(run / name) for name in record["files"]}
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.safetensors", 0),  # the length of the header
        ("model.safetensors", 40),  # the header
        ("model.safetensors", 0.3),  # weights
        ("model.safetensors", 0.6),
        ("model.safetensors", -1),
        ("config.json", 0.5),
        ("tokenizer.json", 0.5),
    ],
)
def test_a_flipped_bit_is_refused_with_the_file_and_both_digests(run: Path, name: str, place: float) -> None:  # fault 4
    path = run / name
    wanted = file_digest(path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        mtlkit.load(run)
    message = str(caught.value)
    assert str(path) in message
    assert wanted in message
    assert hashlib.sha256(content).hexdigest() in message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("keep", [0, 0.5, -1])
def test_a_truncated_weight_file_is_refused(run: Path, keep: float) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep != -1 else -1])
    with pytest.raises(IntegrityError, match=r"model\.safetensors: damaged \(SHA-256"):
        mtlkit.load(run)
    seal(run)  # so that the digest matches
    with pytest.raises(IntegrityError, match=r"model\.safetensors: not .*safetensors"):
        mtlkit.load(run)


def test_a_missing_weight_file_is_named(run: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"model\.safetensors: missing, .*run\.json"):
        mtlkit.load(run)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: missing"):
        load_model(run)


class Canary:
    """Unpickling it makes a folder, which tells that it sang."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def write_torch(value: object, path: Path) -> None:
    torch.save(value, path)


def write_old_torch(value: object, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def write_pickle(protocol: int) -> Callable[[object, Path], None]:
    return lambda value, path: path.write_bytes(pickle.dumps(value, protocol)) and None  # type: ignore[func-returns-value]


PICKLES = [write_torch, write_old_torch, *map(write_pickle, range(pickle.HIGHEST_PROTOCOL + 1))]


@pytest.mark.parametrize("write", PICKLES)
@pytest.mark.parametrize("sealed", [True, False])
def test_a_pickle_in_place_of_the_weights_is_refused_and_never_opened(  # fault 32
    run: Path, write: Callable[[object, Path], None], sealed: bool, tmp_path: Path
) -> None:
    song = tmp_path / "song"
    write(Canary(song), run / "model.safetensors")
    if sealed:
        seal(run)
    old = (run / "model.safetensors").read_bytes().startswith((b"c", b"("))  # protocols 0 and 1 bear no mark
    with pytest.raises(IntegrityError, match=r"model\.safetensors: " + ("" if old else "a pickle")) as caught:
        mtlkit.load(run)
    assert caught.value.exit_code == 4
    assert not song.exists()
    shutil.copy(run / "model.safetensors", tmp_path / "model.pt")
    with suppress(Exception):
        torch.load(tmp_path / "model.pt", weights_only=False)
    assert song.exists()  # so the canary does sing for a careless reader


@pytest.mark.parametrize("write", PICKLES)
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "run.json"])
def test_a_pickle_in_place_of_another_file_is_refused_and_never_opened(  # fault 32
    run: Path, write: Callable[[object, Path], None], name: str, tmp_path: Path
) -> None:
    song = tmp_path / "song"
    write(Canary(song), run / name)
    if name != "run.json":
        seal(run)
    with pytest.raises(IntegrityError, match=name):
        mtlkit.load(run)
    assert not song.exists()


def test_a_pickle_given_as_the_model_is_refused_and_never_opened(  # fault 32
    forked: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    song, model = tmp_path / "song", tmp_path / "model.pt"
    torch.save(Canary(song), model)
    done = forked("embed", "a text", "--model", model)
    assert done.returncode == 4
    assert done.stdout == ""
    assert "a pickle" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not song.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "run.json"])
@pytest.mark.parametrize(("text", "diagnosis"), [(HTML, "an HTML page"), (POINTER, "a git-LFS pointer.*git lfs pull")])
def test_a_web_page_or_a_pointer_in_place_of_a_file_is_called_by_its_name(  # fault 33
    run: Path, name: str, text: str, diagnosis: str
) -> None:
    (run / name).write_text(text)
    with pytest.raises(IntegrityError, match=f"{name}: {diagnosis}") as caught:
        mtlkit.load(run)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("text", "diagnosis"), [(HTML, "an HTML page"), (POINTER, "a git-LFS pointer.*git lfs pull")])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_web_page_or_a_pointer_is_called_by_its_name_without_a_record_too(  # fault 33
    run: Path, name: str, text: str, diagnosis: str
) -> None:
    (run / name).write_text(text)
    with pytest.raises(IntegrityError, match=f"{name}: {diagnosis}"):
        load_model(run)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("architecture", "layers"), 999_999_999),
        (("architecture", "layers"), 10**30),
        (("architecture", "dim"), 2**31 - 2),
        (("tasks", 0, "head"), "mlp:" + ",".join("1" * 200_000)),
        (("tasks", 0, "head"), "mlp:999999999,999999999"),
        (("encoding", "max_length"), 10**400),
    ],
    ids=["layers", "huge layers", "dim", "head of many layers", "wide head", "length"],
)
def test_a_config_that_asks_for_too_much_is_refused_at_once(run: Path, place: tuple[Any, ...], value: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    inner = config
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError, match=r"config\.json") as caught:
        load_model(run)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ['{"a":' * 100_000, "[" * 1_000_000, '{"format": ' + "9" * 100_000 + "}"], ids=["objects", "lists", "number"]
)
def test_deep_and_huge_json_is_refused(run: Path, text: str) -> None:
    (run / "config.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"config\.json: damaged"):
        load_model(run)
