"""The digest of a folder covers the files that a model is loaded from, and nothing that lies beside them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from mtlkit.model.digest import digest_of, is_digest_of, model_files
from mtlkit.runs.record import file_digest


@pytest.fixture
def folder(peer: Path, tmp_path: Path) -> Path:
    """Links to the files of a model, as a snapshot of the hub has them."""
    place = tmp_path / "model"
    place.mkdir()
    for path in peer.iterdir():
        (place / path.name).symlink_to(path)
    return place


def old_digest(folder: Path) -> str:
    """As version 0.1 formed it: over every JSON and safetensors file, however deep."""
    files = sorted(path for kind in ("safetensors", "json") for path in folder.rglob(f"*.{kind}"))
    lines = [f"{path.relative_to(folder)} {file_digest(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_other_files_leave_the_digest_as_it_is(folder: Path) -> None:
    before = digest_of(folder)
    (folder / "broken.json").symlink_to("gone")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "old.safetensors"}}')
    (folder / "vectors.safetensors").write_bytes(b"12345678")
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    assert digest_of(folder) == before


def test_a_changed_file_of_the_model_changes_the_digest(folder: Path) -> None:
    seen = {digest_of(folder)}
    assert {path.name for path in model_files(folder)} >= {"config.json", "model.safetensors", "tokenizer.json"}
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).write_bytes(content + b" ")
        seen.add(digest_of(folder))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16}')
    seen.add(digest_of(folder))
    assert len(seen) == 6


def test_the_modules_of_sentence_transformers_are_part_of_it(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    types = {"": "Transformer", "1_Pooling": "Pooling"}
    listing = ", ".join(f'{{"path": "{path}", "type": "sentence_transformers.models.{kind}"}}' for path, kind in types.items())
    (folder / "modules.json").write_text(f"[{listing}]")
    before = digest_of(folder)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    assert digest_of(folder) != before


def test_a_digest_of_an_older_version_is_recognised_while_the_folder_is_unchanged(folder: Path) -> None:
    (folder / "extra").mkdir()
    (folder / "extra" / "notes.json").write_text("{}")
    recorded = old_digest(folder)
    assert recorded != digest_of(folder)
    assert is_digest_of(folder, recorded)
    assert is_digest_of(folder, digest_of(folder))
    (folder / "extra" / "notes.json").write_text("[]")
    assert not is_digest_of(folder, recorded)
    os.mkfifo(folder / "extra" / "pipe.json")
    assert not is_digest_of(folder, recorded)
