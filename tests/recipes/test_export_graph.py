"""An exported graph, and the engine that runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from exports import KINDS, TEXTS, Export, needs_onnx

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.inference import backends
from mtlkit.inference.load_model import load
from mtlkit.inference.scope.file import SCOPE
from mtlkit.model.digest import digest_of
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.export import export
from mtlkit.recipes.exporting import verify as checking
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.runs.record import read_record

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix


@needs_onnx
@pytest.mark.parametrize(
    "kind", [kind if kind == "bidirectional" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_onnxruntime_gives_vectors_and_outputs_of_the_run(kind: str, exported: Export, sources: dict[str, Path]) -> None:
    done = exported(kind, "onnx")
    assert done.difference is not None
    assert done.difference <= checking.TOLERANCE
    ours, theirs = load(sources[kind]), load(done.out, backend="onnx")
    texts = [*TEXTS, " ".join(TEXTS * 40)]
    np.testing.assert_allclose(theirs.embed(texts), ours.embed(texts), atol=1e-5)
    np.testing.assert_allclose(np.concatenate([theirs.embed([text]) for text in texts]), ours.embed(texts), atol=1e-5)
    outputs = theirs.engine.outputs(theirs.encode(texts), theirs.tasks) if theirs.tasks else {}
    for task, wanted in ours.engine.outputs(ours.encode(texts), ours.tasks).items():
        np.testing.assert_allclose(outputs[task], wanted / ours.specs[task].temperature, atol=1e-5, rtol=1e-5)
    record = read_record(done.out)
    assert record.parent == {"path": str(sources[kind]), "digest": digest_of(sources[kind])}
    assert record.stage == read_record(sources[kind]).stage
    assert set(record.files) - {SCOPE} == {"README.md", "config.json", "model.onnx", "tokenizer.json"}
    assert (SCOPE in record.files) == bool(ours.scopes)
    for task in ours.scopes:
        scores = [[row[task]["score"] for row in model.predict(texts, task, reject="auto")] for model in (ours, theirs)]
        np.testing.assert_allclose(*scores, atol=1e-2)


@needs_onnx
@pytest.mark.slow
def test_export_is_written_into_its_run(sources: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sources["bidirectional"], run)
    assert export(ExportOptions(model=str(run), format="onnx")).out == run / "onnx"
    np.testing.assert_allclose(load(run, backend="onnx").embed(TEXTS), load(run).embed(TEXTS), atol=1e-5)
    assert str(run / "onnx") not in (run / "onnx" / "model.onnx").read_bytes().decode("latin-1")


@needs_onnx
def test_an_export_inside_a_run_is_found_while_it_is_of_its_weights(
    exported: Export, sources: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(sources["bidirectional"], run)
    with pytest.raises(UsageError, match=r"no ONNX export .*'mtlkit export .* --format onnx'"):
        load(run, backend="onnx")
    out = exported("bidirectional", "onnx").out
    shutil.copytree(out, run / "onnx")
    assert type(load(run, backend="auto").engine).__name__ == "OnnxEngine"
    np.testing.assert_allclose(load(run, backend="onnx").embed(TEXTS), load(run).embed(TEXTS), atol=1e-5)
    assert str(out) not in (run / "onnx" / "model.onnx").read_bytes().decode("latin-1")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "seed": 7}))
    with pytest.raises(UsageError, match="no ONNX export"):
        load(run, backend="onnx")
    assert type(load(run, backend="auto").engine).__name__ == "TorchEngine"


@needs_onnx
def test_an_export_has_no_weights_to_go_on_with(exported: Export, data: Path, tmp_path: Path) -> None:
    out = exported("bidirectional", "onnx").out
    with pytest.raises(UsageError, match="ONNX export without weights"):
        load(out, backend="torch")
    assert type(load(out).engine).__name__ == "OnnxEngine"
    with pytest.raises(UsageError, match="ONNX export without weights"):
        export(ExportOptions(model=str(out), out=tmp_path / "again"))
    with pytest.raises(UsageError, match="ONNX export without weights"):
        train_mtl(TrainMtlOptions(task=[f"kind={data / 'kind'}"], init=str(out), out=tmp_path / "run"))


@needs_onnx
def test_a_graph_is_evaluated_by_its_heads_alone(exported: Export, sources: dict[str, Path], data: Path) -> None:
    options = EvalOptions(task=[f"kind={data / 'kind'}"])
    ours, theirs = (
        evaluate(options, model)
        for model in (load(sources["bidirectional"]), load(exported("bidirectional", "onnx").out, backend="onnx"))
    )
    assert theirs.tasks["kind"].metrics["accuracy"] == ours.tasks["kind"].metrics["accuracy"]


@needs_onnx
@pytest.mark.slow
def test_a_graph_without_heads_is_not_evaluated(exported: Export) -> None:
    with pytest.raises(UsageError, match="has no heads, and perplexity needs weights; name the run itself"):
        evaluate(EvalOptions(), load(exported("causal", "onnx").out, backend="onnx"))


@needs_onnx
def test_graph_without_onnxruntime_names_the_package_to_install(
    exported: Export, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backends.find_spec
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "onnxruntime" else real(name))
    out = exported("bidirectional", "onnx").out
    with pytest.raises(UsageError, match=r"needs onnxruntime; install it with: pip install 'mtlkit\[onnx\]'"):
        load(out, backend="auto")
    assert type(load(sources["bidirectional"], backend="auto").engine).__name__ == "TorchEngine"
