"""Which model of the hub a run descends from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from peers import write_peer

import mtlkit
from mtlkit.recipes.inputs.model_record import hub_origin
from mtlkit.runs.record import read_record

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix


def test_the_origin_on_the_hub_is_recorded_and_found_for_old_runs(data: Path, tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "models--someone--tiny-bert" / "snapshots" / "0123"
    write_peer("bert", cached, ["The cat sleeps near the river."] * 20)
    out = tmp_path / "run"
    mtlkit.train_mtl(
        task=[f"kind={data / 'kind'}"],
        init=str(cached),
        out=out,
        freeze=["backbone"],
        license="mit",
        language=["en"],
        prototypes=0,
    )
    record = read_record(out)
    assert (record.parent or {})["hub"] == "someone/tiny-bert"
    assert (record.options["license"], record.options["language"]) == ("mit", ["en"])
    card = ModelCard.load(out / "README.md")
    assert (card.data.base_model, card.data.license, card.data.language) == ("someone/tiny-bert", "mit", ["en"])
    assert str(tmp_path) not in card.content
    exported = mtlkit.export(model=str(out), out=tmp_path / "export", format="compact", test=True)
    card = ModelCard.load(exported.out / "README.md")
    results = card.data.eval_results
    assert results is not None
    assert (card.data.base_model, results[0].dataset_split) == ("someone/tiny-bert", "test")

    old = tmp_path / "old"  # as of earlier versions, which did not record it, and of a run that descends from such a one
    shutil.copytree(out, old)
    values = json.loads((old / "run.json").read_text())
    del values["parent"]["hub"]
    (old / "run.json").write_text(json.dumps(values))
    child = tmp_path / "child"
    shutil.copytree(old, child)
    values["parent"] = {"path": str(old), "digest": "0"}
    (child / "run.json").write_text(json.dumps(values))
    assert [hub_origin(folder) for folder in (cached, out, old, child)] == ["someone/tiny-bert"] * 4
    shutil.rmtree(old)
    assert hub_origin(child) is None
