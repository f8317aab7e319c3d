from __future__ import annotations

from pathlib import Path

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.inference.load_model import load
from mtlkit.model.digest import digest_of
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
