"""Nothing that is not finite is given as an answer: the text is named instead."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import IntegrityError, NotFiniteError, UsageError
from mtlkit.evaluation.metrics import check_finite
from mtlkit.evaluation.task_metrics import score
from mtlkit.inference.compute import Compute
from mtlkit.inference.engines.calibration import activation_ranges
from mtlkit.inference.engines.int8 import quantise
from mtlkit.inference.engines.onnx_weights import check_weights
from mtlkit.inference.engines.task_encoders import TaskEncoders
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import normalize_rows
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.embed import embed
from mtlkit.recipes.inputs import texts as texts_of_recipes
from mtlkit.recipes.predict import predict

TEXTS = ["The cat sleeps.", "A saw", "zebra"]
BAD = 2


@pytest.fixture
def spoilt(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> MultiTaskModel:
    """A model that outputs NaN for the text with the token `zebra`."""
    own = set(text_encoder.encode(["zebra"]).ids) - set(text_encoder.encode(TEXTS[:BAD]).ids)
    with torch.no_grad():
        tiny_model.backbone.tokens.weight[[int(token) for token in own]] = float("nan")
    return tiny_model


@pytest.mark.parametrize("fast", [True, False])
def test_an_engine_names_the_text(spoilt: MultiTaskModel, text_encoder: TextEncoder, compute: Compute, fast: bool) -> None:
    engine = TorchEngine(spoilt, compute, None if fast else TaskEncoders(spoilt))
    encoded = text_encoder.encode(TEXTS)
    for ask in (lambda: engine.vectors(encoded), lambda: engine.outputs(encoded, ["topic"])):
        with pytest.raises(NotFiniteError, match="the vector of text 3 is not finite") as caught:
            ask()
        assert (caught.value.row, caught.value.exit_code) == (BAD, 4)
    assert np.isfinite(engine.vectors(text_encoder.encode(TEXTS[:BAD]))).all()


def test_int8_names_the_text(spoilt: MultiTaskModel, text_encoder: TextEncoder, compute: Compute) -> None:
    sound = deepcopy(spoilt.backbone)
    with torch.no_grad():
        sound.tokens.weight.nan_to_num_()
    quantised = quantise(spoilt.backbone, activation_ranges(sound, text_encoder, "spoilt"))
    engine = TorchEngine(spoilt, compute, TaskEncoders(quantised), "int8")
    for ask in (engine.vectors, lambda encoded: engine.outputs(encoded, ["topic"])):
        with pytest.raises(NotFiniteError, match="the vector of text 3 is not finite"):
            ask(text_encoder.encode(TEXTS))
    assert np.isfinite(engine.vectors(text_encoder.encode(TEXTS[:BAD]))).all()


@pytest.mark.parametrize("reached", [1e30, np.inf, np.nan])
def test_values_too_large_for_int8_are_refused(tiny_model: MultiTaskModel, text_encoder: TextEncoder, reached: float) -> None:
    ranges = [dict(each) for each in activation_ranges(tiny_model.backbone, text_encoder, "too large")]
    ranges[1]["contract"] = torch.full_like(ranges[1]["contract"], reached)
    with pytest.raises(UsageError, match=r"--precision int8: .* use --precision fp32"):
        quantise(tiny_model.backbone, ranges)


def test_a_head_is_named(tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute) -> None:
    with torch.no_grad():
        tiny_model.head("stars").layers[1].weight.fill_(3e38)
        tiny_model.backbone.norm.weight.fill_(1e5)
    engine = TorchEngine(tiny_model, compute)
    encoded = text_encoder.encode(TEXTS)
    with pytest.raises(NotFiniteError, match="the output of 'stars' of text 1 is not finite"):
        engine.outputs(encoded, ["topic", "stars"])


def test_texts_are_counted_over_all_parts(
    spoilt: MultiTaskModel, text_encoder: TextEncoder, compute: Compute, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = load(runs / "mtl")
    loaded = LoadedModel(sound.path, sound.checkpoint, None, text_encoder, TorchEngine(spoilt, compute))
    monkeypatch.setattr(loaded, "specs", {"topic": TaskSpec("topic", "classification", ("animal", "tool"))})
    monkeypatch.setattr(texts_of_recipes.parts, "__defaults__", (2,))
    with pytest.raises(NotFiniteError, match="the vector of text 3 is"):
        list(embed(EmbedOptions(texts=TEXTS), loaded, None))  # type: ignore[arg-type]
    with pytest.raises(NotFiniteError, match="the vector of text 3 is"):
        list(predict(PredictOptions(texts=TEXTS), loaded, None))  # type: ignore[arg-type]


def test_rows_of_any_shape_are_checked() -> None:
    large = np.full((2, 2), 3e38, np.float32)  # their sum is infinite, and they are not
    assert check_finite(large, "vector") is large
    assert len(check_finite(np.empty((0, 3), np.float32), "vector")) == 0
    with pytest.raises(NotFiniteError, match="the vector of text 2 is not finite"):
        check_finite(np.array([[1, 2], [np.inf, -np.inf]]), "vector")


def test_no_score_comes_of_outputs_that_are_not_finite() -> None:
    spec = TaskSpec("topic", "classification", ("a", "b"))
    with pytest.raises(NotFiniteError, match="the output of 'topic' of text 2 is not finite"):
        score(spec, np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([0, 1]))


def test_large_vectors_get_length_1() -> None:
    vectors = np.array([[3e38, 3e38], [3.0, 4.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(normalize_rows(vectors), [[0.5**0.5, 0.5**0.5], [0.6, 0.8], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("raw", [True, False])
def test_a_graph_with_a_weight_that_is_not_finite_is_refused(tmp_path: Path, value: float, raw: bool) -> None:
    onnx: Any = pytest.importorskip("onnx")
    numbers = np.array([1.0, value, 2.0], np.float32)
    tensors = [onnx.numpy_helper.from_array(np.arange(3), "shape")]
    for name, values in (("good", np.ones(3, np.float32)), ("bad", numbers)):
        tensors.append(onnx.helper.make_tensor(name, 1, [3], values.tobytes() if raw else values, raw=raw))
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors)), str(path))
    with pytest.raises(IntegrityError, match=r"model\.onnx: weight 'bad' contains NaN or infinity"):
        check_weights(path)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors[:-1])), str(path))
    check_weights(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(IntegrityError, match="not a readable ONNX graph"):
        check_weights(path)


def test_json_never_holds_a_word_that_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    from mtlkit.cli.console import print_json, print_line

    for show in (print_json, print_line):
        show({"loss": float("nan"), "scores": [1.5, float("inf"), (float("-inf"),)], "é": None})
        assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
            "loss": None,
            "scores": [1.5, None, [None]],
            "é": None,
        }
