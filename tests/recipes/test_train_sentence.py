from __future__ import annotations

from pathlib import Path

import pytest

import mtlkit
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import read_description
from mtlkit.model.digest import digest_of
from mtlkit.recipes.export import choose_export, export
from mtlkit.recipes.train_sentence import stream, train_sentence
from mtlkit.runs.record import verify
from mtlkit.training.events import Note


def test_it_ends_with_validation_accuracy_and_the_head_saved(runs: Path) -> None:
    record = verify(runs / "sentence")
    assert record.stage == "sentence"
    assert record.parent == {"path": str(runs / "pretrain"), "digest": digest_of(runs / "pretrain")}
    assert record.metrics["validation"]["kind"]["accuracy"] > 0.6
    model = load(runs / "sentence")
    assert model.tasks == ("kind",)
    assert model.predict(["The cat sleeps near the barn."])[0]["kind"]["label"] == "animal"


def test_it_starts_from_a_base_alone(data: Path, runs: Path, tmp_path: Path) -> None:
    finished = train_sentence(TrainSentenceOptions(task=f"kind={data / 'kind'}", runs=runs, out=tmp_path / "run", epochs=1))
    assert (verify(finished.run).parent or {})["path"] == str(runs / "pretrain")  # although runs of later stages are newer
    assert finished.next_command == f"mtlkit train-mtl --init {tmp_path / 'run'}"


def test_without_a_base_it_starts_from_the_model_inside_the_package(tmp_path: Path) -> None:
    first = next(stream(TrainSentenceOptions(task="kind=not-there.csv", runs=tmp_path)))
    assert first == Note(f"starting from mini, the bundled model; no compatible run in {tmp_path}/")


def test_the_share_of_token_embeddings_is_trained_kept_and_changed_by_export(data: Path, runs: Path, tmp_path: Path) -> None:
    task, out, start = f"kind={data / 'kind'}", tmp_path / "mixed", str(runs / "pretrain")
    options = TrainSentenceOptions(task=task, init=start, out=out, epochs=1, embedding_share=0.25, objective="labels")
    train_sentence(options)
    assert share_of(out) == 0.25
    train_sentence(TrainSentenceOptions(task=task, init=str(out), out=tmp_path / "again", epochs=1))
    assert share_of(tmp_path / "again") == 0.25
    exported = export(ExportOptions(model=str(out), out=tmp_path / "plain", format="compact", embedding_share=0.0))
    assert share_of(exported.out) == 0
    plain, mixed = (mtlkit.load(folder).embed(["The cat sleeps."]) for folder in (exported.out, out))
    assert abs(plain - mixed).max() > 1e-3
    with pytest.raises(UsageError, match="again has heads, which were trained on its vectors as they are"):
        choose_export(ExportOptions(model=str(tmp_path / "again"), embedding_share=0.5))
    with pytest.raises(
        UsageError, match="pretrain pools nothing; train a sentence encoder with train-sentence --embedding-share"
    ):
        choose_export(ExportOptions(model=start, format="compact", embedding_share=0.5))


def share_of(run: Path) -> float:
    return read_description(run).architecture.embedding_share
