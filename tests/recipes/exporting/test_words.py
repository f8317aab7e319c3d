"""Heads that label words in exports: the code of the card, the reader of the folder, and the graph predict like the model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from exports import needs_onnx

import mtlkit
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.checkpoint import save_model
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.silence import silence
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.export import export
from mtlkit.recipes.exporting.job import Exported
from mtlkit.runs.record import TOKENIZER, RunRecord
from mtlkit.runs.staging import finish

TAGS = ("O", "B-animal", "I-animal", "B-tool", "I-tool")
CALIBRATED = Calibration("temperature", 1.7, rows=9)
TEXTS = [SENTENCES[0], "  A drill, Éclairs don't 日本", "", " ".join(SENTENCES)]


@pytest.fixture(scope="module")
def run(text_encoder: TextEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which all heads label words, with weights that tell tags apart."""
    folder = tmp_path_factory.mktemp("words") / "staged"
    folder.mkdir()
    torch.manual_seed(0)
    architecture = Architecture(text_encoder.tokenizer.get_vocab_size(), 2, 32, 2, 32, "bidirectional")
    spans = TaskSpec("things", "tokens", TAGS, tags="bio", calibration=CALIBRATED)
    chained = replace(spans, name="chained", transitions="learned")
    model = MultiTaskModel(Encoder(architecture), [spans, chained, TaskSpec("pos", "tokens", ("A", "B"), "mlp:8", tags="plain")])
    for head in model.heads.values():
        for weight in head.parameters():
            torch.nn.init.normal_(weight, std=0.7)
    save_model(model, folder, "mtl", text_encoder.encoding)
    (folder / TOKENIZER).write_text(text_encoder.tokenizer.to_str())
    finish(folder, folder.with_name("run"), RunRecord("mtl", "mtlkit train-mtl", {}, 0, {}, {}))
    return folder.with_name("run")


@pytest.fixture(scope="module")
def library(run: Path) -> Exported:
    pytest.importorskip("sentence_transformers")
    return export(ExportOptions(model=str(run), out=run.parent / "library"))


def check_same(folder: Path, run: Path, **options: Any) -> None:
    """Checks that a folder predicts what the run does for TEXTS: the same spans and tags, probabilities within 1e-4."""
    both = [mtlkit.load(run).predict(TEXTS), mtlkit.load(folder, **options).predict(TEXTS)]
    ours, theirs = (
        [(task, entry) for answer in answers for task, own in answer.items() for entries in own.values() for entry in entries]
        for answers in both
    )
    probabilities = [[entry.pop("probability") for _, entry in entries] for entries in (ours, theirs)]
    assert ours == theirs
    np.testing.assert_allclose(*probabilities, atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of other libraries
def test_the_code_in_the_card_labels_words(run: Path, library: Exported) -> None:
    assert library.difference is not None
    assert library.difference <= 1e-5
    wanted = mtlkit.load(run).predict(TEXTS)
    card = (library.out / "README.md").read_text()
    code = "".join(re.findall(r"```python\n(.*?)```", card, re.DOTALL)[1:])
    assert "outputs = apply_heads" not in card  # no head reads texts
    names: dict[str, Any] = {}
    with silence():
        exec(code.replace(f'"{library.out.name}"', f'"{library.out}"').replace("some sentence", TEXTS[0]), names)
    for text, own in list(zip(TEXTS, wanted, strict=True))[:3]:
        words, labels = names["label_words"](str(library.out), names["model"], text)
        tags, probabilities = labels["pos"]
        assert tags == [word["label"] for word in own["pos"]["tags"]]
        assert words == [(word["start"], word["end"]) for word in own["pos"]["tags"]]
        for task in ("things", "chained"):
            tags, probabilities = labels[task]
            spans = [(words[place][0], tag[2:]) for place, tag in enumerate(tags) if tag.startswith("B-")]
            assert spans == [(span["start"], span["label"]) for span in own[task]["spans"]]
            assert probabilities.shape == (len(words), len(TAGS))
            single = [span for span in own[task]["spans"] if (span["start"], span["end"]) in words]
            for span in single:
                row = words.index((span["start"], span["end"]))
                assert float(probabilities[row, TAGS.index(tags[row])]) == pytest.approx(span["probability"], abs=2e-4)
    words, _ = names["label_words"](str(library.out), names["model"], TEXTS[3])
    assert 0 < len(words) < len(wanted[3]["pos"]["tags"])  # cut, not in windows


def test_our_own_reader_reads_heads_of_words_again(run: Path, library: Exported) -> None:
    check_same(library.out, run)


@pytest.mark.slow
@needs_onnx
def test_the_graph_labels_words(run: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(run), out=tmp_path / "onnx", format="onnx"))
    assert done.difference is not None
    assert done.difference <= 1e-5
    check_same(done.out, run, backend="onnx")
    card = (done.out / "README.md").read_text()
    assert "`transitions:NAME`" in card
    graph = mtlkit.load(done.out, backend="onnx")
    np.testing.assert_allclose(graph.embed(TEXTS), mtlkit.load(run).embed(TEXTS), atol=1e-5)


def test_calibration_of_learned_transitions_stays_with_the_head(run: Path, library: Exported) -> None:
    specs = {name: mtlkit.load(folder).specs for name, folder in (("run", run), ("library", library.out))}
    assert {task: spec.temperature for task, spec in specs["library"].items()} == {"things": 1.0, "chained": 1.7, "pos": 1.0}
