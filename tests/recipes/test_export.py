"""An export predicts what the run does: in sentence-transformers, onnxruntime, and our own reader."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import KINDS, TEXTS, Export, encode

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.model.digest import digest_of
from mtlkit.model.interop import silence
from mtlkit.recipes import export as recipe
from mtlkit.recipes.export import choose_export, export
from mtlkit.recipes.exporting import verify as checking
from mtlkit.recipes.exporting.formats.base import format_of

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix


@pytest.mark.parametrize("kind", KINDS)
def test_sentence_transformers_gives_the_vectors_of_the_run(kind: str, exported: Export, sources: dict[str, Path]) -> None:
    done = exported(kind, "sentence-transformers")
    assert done.difference is not None
    assert done.difference <= checking.TOLERANCE
    wanted = load(sources[kind]).embed(TEXTS)
    np.testing.assert_allclose(encode(done.out, TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([encode(done.out, [text]) for text in TEXTS[:2]]), wanted[:2], atol=1e-5)


def test_texts_are_cut_at_the_same_end_there(exported: Export, sources: dict[str, Path]) -> None:
    done = exported("bert", "sentence-transformers")
    long = " ".join(f"{TEXTS[0]} {TEXTS[2]}" for _ in range(30))
    assert load(sources["bert"]).encode([long]).truncated
    np.testing.assert_allclose(encode(done.out, [long]), load(sources["bert"]).embed([long]), atol=1e-5)
    np.testing.assert_allclose(load(done.out).embed([long]), load(sources["bert"]).embed([long]), atol=1e-5)
    assert "truncated at the end" not in (done.out / "README.md").read_text()
    assert "truncated at the end" in (exported("bidirectional", "sentence-transformers").out / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_reader_reads_it_again(kind: str, exported: Export, sources: dict[str, Path]) -> None:
    again, run = load(exported(kind, "sentence-transformers").out), load(sources[kind])
    tolerance = 1e-6 if kind == "weighted" else 0.0  # the logarithms of weights are taken twice
    np.testing.assert_allclose(again.embed(TEXTS), run.embed(TEXTS), atol=tolerance, rtol=0)
    assert again.specs == run.specs
    outputs, wanted = (model.engine.outputs(model.encode(TEXTS), model.tasks) if model.tasks else {} for model in (again, run))
    for task in run.tasks:
        calibrated = wanted[task] / run.specs[task].temperature
        np.testing.assert_allclose(outputs[task], calibrated, atol=max(tolerance, 1e-6), rtol=1e-5)
        assert again.specs[task].temperature == 1.0  # folded into the layers


def test_a_tokenizer_that_folds_case_and_adds_a_space_is_described_to_transformers(exported: Export) -> None:
    """Its version 4 takes the space from tokenizer_config.json, and none where that is silent."""
    told = {
        kind: json.loads((exported(kind, "sentence-transformers").out / "tokenizer_config.json").read_text())["add_prefix_space"]
        for kind in KINDS
    }
    assert told == {"causal": False, "bidirectional": False, "bert": False, "weighted": True}
    out = exported("weighted", "sentence-transformers").out
    vectors = encode(out, ["The cat", "THE CAT", " the cat", "the dog"])
    assert np.array_equal(vectors[0], vectors[1])
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.allclose(vectors[0], vectors[3], atol=1e-3)


def test_damaged_heads_are_named(exported: Export, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported("bidirectional", "sentence-transformers").out, out)
    (out / "heads.safetensors").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match=r"heads\.safetensors: missing, or not the heads of heads\.json"):
        load(out)
    (out / "heads.json").write_text('{"tasks": [{"name": "kind"}]}')
    with pytest.raises(IntegrityError, match=r"heads\.json: damaged"):
        load(out)


@pytest.mark.parametrize("kind", ["bidirectional", "bert"])
def test_the_code_in_the_card_applies_the_heads(
    kind: str, exported: Export, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = exported(kind, "sentence-transformers")
    code = re.findall(r"```python\n(.*?)```", (done.out / "README.md").read_text(), re.DOTALL)
    assert len(code) == 2
    for block in code:
        names: dict[str, Any] = {}
        with silence.silence():
            exec(block.replace(f'"{done.out.name}"', f'"{done.out}"').replace("some sentence", TEXTS[0]), names)
    model = load(sources[kind])
    wanted = model.engine.outputs(model.encode(TEXTS[:1]), model.tasks)
    assert set(names["outputs"]) == set(done.tasks) == {"kind", "state"}
    for task, outputs in names["outputs"].items():
        np.testing.assert_allclose(outputs.numpy(), wanted[task] / model.specs[task].temperature, atol=1e-5, rtol=1e-5)
    described = {task["name"]: task["labels"] for task in json.loads((done.out / "heads.json").read_text())["tasks"]}
    assert described == {name: list(spec.labels) for name, spec in model.specs.items()}


def test_only_an_earlier_export_is_replaced(sources: dict[str, Path], exported: Export, tmp_path: Path) -> None:
    run = str(sources["bidirectional"])
    out = tmp_path / "out"
    shutil.copytree(exported("bidirectional", "sentence-transformers").out, out)
    with pytest.raises(UsageError, match="is not empty; replace it with --overwrite"):
        choose_export(ExportOptions(model=run, out=out))
    assert choose_export(ExportOptions(model=run, out=out, overwrite=True)).out == out
    for name in ("sentence-transformers", "onnx"):
        with pytest.raises(UsageError, match=r"DIR .* is (the same as )?RUN"):
            choose_export(ExportOptions(model=run, out=Path(run), format=name, overwrite=True))  # type: ignore[arg-type]


def test_nothing_is_written_into_the_folder_of_others(peer: Path) -> None:
    before = digest_of(peer)
    with pytest.raises(UsageError, match=r"bert is not one of your runs.*; name a folder .* as DIR"):
        export(ExportOptions(model=str(peer)))
    assert digest_of(peer) == before


def test_export_of_a_foreign_model_equals_the_original(peer: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(peer), out=tmp_path / "out"))
    np.testing.assert_allclose(encode(done.out, TEXTS), load(peer).embed(TEXTS), atol=1e-5)
    assert not (done.out / "heads.json").exists()


def test_an_export_that_differs_is_not_kept(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Any:
        outputs = checking.our_outputs(*arguments[1:])
        outputs["head:state"][1] += 0.25
        return outputs

    monkeypatch.setattr(format_of("sentence-transformers"), "outputs", wrong)
    with pytest.raises(IntegrityError, match=r"the export differs from the model by .*e-0. at 'head:state'; nothing was written"):
        export(ExportOptions(model=str(sources["bidirectional"]), out=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_broken_sentence_transformers_is_not_reported_as_a_broken_export(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UsageError, match="sentence-transformers, which checks the export, cannot be imported"):
        export(ExportOptions(model=str(sources["bidirectional"]), out=tmp_path / "out"))


def test_a_number_that_is_none_differs() -> None:
    ours = {"vector": np.ones((2, 3), np.float32)}
    with pytest.raises(IntegrityError, match="differs from the model by nan at 'vector'"):
        checking.largest_difference(ours, {"vector": np.full((2, 3), np.nan, np.float32)})


def test_missing_package_is_reported_before_any_work(sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"--format onnx needs onnx; install it with: pip install 'mtlkit\[onnx\]'"):
        export(ExportOptions(model="no/such/run", format="onnx"))


def test_without_sentence_transformers_the_export_is_not_checked(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda _: None)
    done = export(ExportOptions(model=str(sources["bidirectional"]), out=tmp_path / "out"))
    assert done.difference is None
    np.testing.assert_allclose(encode(done.out, TEXTS), load(sources["bidirectional"]).embed(TEXTS), atol=1e-5)
