"""A source, a model family and an export format that are added at run time work from the command line, and are listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import SENTENCES, TRAINED
from safetensors.torch import load_file, save_file
from typer import Typer
from typer.testing import CliRunner

from mtlkit.cli.export import register
from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources import SOURCES, Source, SourceType
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import BadRow, Row
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.recipes.exporting.formats.base import ExportFormat
from mtlkit.runs.record import RECORD, WEIGHTS

if TYPE_CHECKING:
    from .conftest import Typed


def flags(**options: Any) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


@dataclass(frozen=True)
class CountSource(Source):
    """Texts with numbers, even or odd."""

    name: str
    count: int

    def splits(self) -> list[str]:
        return ["train", "test"]

    def rows(self, split: str, encoding: str | None) -> Iterator[Row | BadRow]:
        for number in range(self.count):
            yield {"text": f"{split} number {number}", "label": "odd" if number % 2 else "even"}


class CountType(SourceType):
    name = "count"
    form = "count:N"
    help = "So many numbers."
    rank = 5

    def matches(self, address: str) -> bool:
        return address.startswith("count:")

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return CountSource(address, int(address.removeprefix("count:")))


def test_an_added_source(runs: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "count", CountType())
    wrong = typed("check-data", "--task", "parity=cuont:40")
    assert (wrong.code, "count:N" in wrong.err) == (3, True)
    checked = typed("check-data", "--task", "parity=count:40?limit=30", "--model", runs / "mtl")
    assert (checked.code, "even" in checked.out) == (0, True), checked.err
    out = tmp_path / "run"
    trained = typed("train-mtl", "--task", "parity=count:40", *flags(**TRAINED | {"epochs": 1}, init=runs / "mtl", out=out))
    assert trained.code == 0, trained.err
    evaluated = typed("eval", "--model", out, "--json")
    assert (evaluated.code, json.loads(evaluated.out)["tasks"]["parity"]["n"]) == (0, 40)
    predicted = typed("predict", "--model", out, "--task", "parity", "--input", "count:3")
    assert [json.loads(line)["text"] for line in predicted.out.splitlines()] == [f"train number {place}" for place in range(3)]
    assert len(typed("embed", "--model", out, "--input", "count:3").out.splitlines()) == 3


def test_an_added_family(tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    from peers import write_peer

    folder = tmp_path / "sparrow"
    write_peer("bert", folder, SENTENCES)
    vectors = typed("embed", "A bird sang.", "--model", folder).out
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "sparrow", "wings": config.pop("num_attention_heads")}
    (folder / "config.json").write_text(json.dumps(config))
    weights = load_file(folder / "model.safetensors")
    renamed = {name.replace("encoder.layer", "body.block"): weight for name, weight in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    unknown = typed("embed", "A bird sang.", "--model", folder)
    assert (unknown.code, "roberta" in unknown.err, "sparrow," in unknown.err) == (4, True, False)

    bert = FAMILIES["bert"]
    keys = {**bert.keys, "heads": "wings"}
    defaults = {**{key: value for key, value in bert.defaults.items() if key != "num_attention_heads"}, "wings": 12}
    sparrow = replace(bert, name="sparrow", model_class="SparrowModel", block="body.block.{}", keys=keys, defaults=defaults)
    monkeypatch.setitem(FAMILIES, "sparrow", sparrow)
    read = typed("embed", "A bird sang.", "--model", folder)
    assert (read.code, read.out) == (0, vectors)
    assert "not known" not in read.err
    config["model_type"] = "sparow"
    (folder / "config.json").write_text(json.dumps(config))
    assert "sparrow" in typed("embed", "A bird sang.", "--model", folder).err


class PlainFormat(ExportFormat):
    """A run without anything beside the model."""

    name = "plain"
    help = "A run and nothing else."
    checked_by = "mtlkit"
    record = RECORD
    marks = (RECORD, WEIGHTS)
    tolerance = 1e-4

    def write(self, folder: Path, weights: Any) -> None:
        from mtlkit.model.checkpoint import save_model

        save_model(weights.model, folder, weights.checkpoint.stage, weights.checkpoint.encoding)

    def outputs(self, folder: Path, weights: Any, texts: Sequence[str]) -> Any:
        from mtlkit.recipes.exporting.verify import compact_outputs

        return compact_outputs(folder, weights, texts)

    def use(self, weights: Any) -> str:
        return "Use it as any run.\n"

    def next_command(self, out: Path) -> str:
        return f"mtlkit info {out}"


def test_an_added_export_format(runs: Path, tmp_path: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = typed("export", runs / "mtl", tmp_path / "out", "--format", "plain")
    assert (unknown.code, "sentence-transformers" in unknown.err) == (2, True)
    monkeypatch.setitem(EXPORT_FORMATS, "plain", PlainFormat())
    fresh = Typer()
    register(fresh, "Use")  # as when the command line starts
    assert "|plain|" in CliRunner().invoke(fresh, ["--help"], env={"COLUMNS": "200"}).output
    assert "mean 'plain'" in typed("export", runs / "mtl", tmp_path / "out", "--format", "plian").err
    exported = typed("export", runs / "mtl", tmp_path / "out", "--format", "plain")
    assert exported.code == 0, exported.err
    assert f"mtlkit info {tmp_path / 'out'}" in exported.err
    assert "Use it as any run." in (tmp_path / "out" / "README.md").read_text()
    assert "plain export" in typed("info", tmp_path / "out").out
    assert typed("predict", "The cat sleeps.", "--model", tmp_path / "out").code == 0
