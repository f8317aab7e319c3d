"""`export --format compact`: a run like any other, in a quarter of the bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import KINDS, TEXTS, Export

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import LoadedWeights, load_weights
from mtlkit.model.prediction_head import PREDICTION_HEAD
from mtlkit.recipes import export as recipe
from mtlkit.recipes.export import export
from mtlkit.runs.record import WEIGHTS, verify


@pytest.mark.parametrize("kind", KINDS)
def test_a_compact_run_is_nearly_the_model(kind: str, exported: Export, sources: dict[str, Path]) -> None:
    done = exported(kind, "compact")
    assert done.difference is not None
    assert 0 < done.difference < 0.1
    compact, whole = load(done.out), load(sources[kind])
    assert compact.specs == whole.specs
    found, wanted = compact.embed(TEXTS, normalize=True), whole.embed(TEXTS, normalize=True)
    assert (found * wanted).sum(1).min() > 0.999
    assert verify(done.out).parent is not None


def test_it_takes_a_quarter_of_the_bytes(exported: Export, sources: dict[str, Path]) -> None:
    small = (exported("weighted", "compact").out / WEIGHTS).stat().st_size
    assert small < 0.4 * (sources["weighted"] / WEIGHTS).stat().st_size  # this tiny one is half names and norms


def test_what_is_exported_again_stays_the_same(exported: Export, tmp_path: Path) -> None:
    first = exported("weighted", "compact").out
    again = export(ExportOptions(model=str(first), out=tmp_path / "again", format="compact")).out
    np.testing.assert_allclose(load(again).embed(TEXTS), load(first).embed(TEXTS), atol=2e-3)


def test_card_contains_the_given_text(sources: dict[str, Path], tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("Made of public-domain novels.\n")
    done = export(ExportOptions(model=str(sources["weighted"]), out=tmp_path / "out", format="compact", card=note))
    assert "\nMade of public-domain novels.\n" in (done.out / "README.md").read_text()
    with pytest.raises(UsageError, match=r"--card .*none.md cannot be read .*; give a file of Markdown in UTF-8"):
        export(ExportOptions(model=str(sources["weighted"]), out=tmp_path / "other", card=tmp_path / "none.md"))
    assert not (tmp_path / "other").exists()


def test_a_head_of_another_library_is_left_out_even_if_it_is_not_supported(peer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(peer, tmp_path / "bert"))
    config = json.loads((folder / "config.json").read_text())
    untied = {**config, "architectures": ["BertForMaskedLM"], "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(untied))
    done = export(ExportOptions(model=str(folder), out=tmp_path / "compact", format="compact"))
    assert not (done.out / PREDICTION_HEAD).exists()


def test_a_flipped_byte_is_found(exported: Export, tmp_path: Path) -> None:
    folder = export(ExportOptions(model=str(exported("weighted", "compact").out), out=tmp_path / "run", format="compact")).out
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(IntegrityError, match="SHA-256"):
        load(folder)


def test_a_weight_too_large_for_half_precision_is_refused(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enlarged(path: Path, **options: Any) -> LoadedWeights:
        weights = load_weights(path, **options)
        with torch.no_grad():
            weights.model.backbone.norm.weight[0] = 1e5
        return weights

    monkeypatch.setattr(recipe, "load_weights", enlarged)
    with pytest.raises(UsageError, match=r"weight 'backbone\.norm\.weight' reaches 1e\+05, .* export in another format"):
        export(ExportOptions(model=str(sources["weighted"]), out=tmp_path / "out", format="compact"))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
