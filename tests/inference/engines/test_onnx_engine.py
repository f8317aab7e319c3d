"""Graphs that do not match what an export writes are refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.errors import IntegrityError, NotFiniteError
from mtlkit.inference.engines.base import VECTORS
from mtlkit.inference.engines.onnx_engine import OnnxEngine
from mtlkit.model.heads.tag_sequences import log_marginals

onnx: Any = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LEARNED = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
ENCODED = Encoded(np.array([0, 1, 2, 0, 3], np.uint16), np.array([0, 3, 5]))


def engine(path: Path, *, axis: int = 1, rows: int = 8, scale: float = 1) -> OnnxEngine:
    """The mean over `axis` of embeddings of `rows` tokens."""
    helper, kinds = onnx.helper, onnx.TensorProto
    table = onnx.numpy_helper.from_array((np.arange(rows * 4).reshape(rows, 4) * scale).astype(np.float32), "table")
    given = [helper.make_tensor_value_info(name, kinds.INT64, ["N", "L"]) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("ReduceMean", ["states"], ["vector"], axes=[axis], keepdims=0),
    ]
    graph = helper.make_graph(nodes, "g", given, [helper.make_tensor_value_info("vector", kinds.FLOAT, ["N", 4])], [table])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return OnnxEngine(path)


def tagging(path: Path) -> OnnxEngine:
    """A graph that gives the embedding of each token as the scores of 4 tags, and learned transitions."""
    helper, kinds = onnx.helper, onnx.TensorProto
    table = onnx.numpy_helper.from_array(np.arange(32).reshape(8, 4).astype(np.float32) / 9, "table")
    learned = onnx.numpy_helper.from_array(LEARNED, "learned")
    given = [helper.make_tensor_value_info(name, kinds.INT64, ["N", "L"]) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["head:pos"]),
        helper.make_node("Identity", ["head:pos"], ["head:chained"]),
        helper.make_node("Identity", ["learned"], ["transitions:chained"]),
        helper.make_node("ReduceMean", ["head:pos"], ["vector"], axes=[1], keepdims=0),
    ]
    shapes = {"vector": ["N", 4], "head:pos": ["N", "L", 4], "head:chained": ["N", "L", 4], "transitions:chained": [5, 5]}
    results = [helper.make_tensor_value_info(name, kinds.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "g", given, results, [table, learned])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return OnnxEngine(path)


def test_words_are_read_at_their_first_tokens_in_windows(tmp_path: Path) -> None:
    """Two windows of one text and one of another; the vector of the first text is that of a third window. All are padded."""
    ids = np.array([0, 3, 1, 0, 4, 5, 1, 0, 6, 1, 0, 2, 1], np.uint16)
    first, begins = np.array([1, 4, 5, 8]), np.array([True, False, False, True])
    words = EncodedWords(
        ids, np.array([0, 3, 7, 10, 13]), 0, 0, first, np.array([0, 1, 3, 4, 4]), np.array([3, 2]), begins=begins
    )
    outputs = tagging(tmp_path / "a.onnx").outputs(words, ["pos", "chained", VECTORS])
    table = (np.arange(32).reshape(8, 4) / 9).astype(np.float32)
    np.testing.assert_allclose(outputs["pos"], table[ids[first]], rtol=1e-6)
    np.testing.assert_allclose(outputs["chained"], log_marginals(table[ids[first]], begins, LEARNED), rtol=1e-5)
    np.testing.assert_allclose(outputs[VECTORS], [table[[0, 2, 1, 0]].mean(0), table[[0, 6, 1, 0]].mean(0)], rtol=1e-5)


def test_a_sound_graph_answers(tmp_path: Path) -> None:
    np.testing.assert_allclose(engine(tmp_path / "a.onnx").vectors(ENCODED)[0], [4, 5, 6, 7])


def test_an_output_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"a\.onnx: output 'head:topic', .* missing"):
        engine(tmp_path / "a.onnx").outputs(ENCODED, ["topic"])


def test_a_graph_that_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"a\.onnx: onnxruntime cannot run") as caught:
        engine(tmp_path / "a.onnx", rows=2).vectors(ENCODED)
    assert "\n" not in str(caught.value)


def test_a_vector_that_is_not_finite_is_refused_with_its_text(tmp_path: Path) -> None:
    large = engine(tmp_path / "a.onnx", rows=2, scale=1.2e37)
    with pytest.raises(NotFiniteError, match="the vector of text 2 is not finite"):
        large.vectors(Encoded(np.array([0, 0, 1, 1, 1, 1, 1, 1, 1, 1], np.uint16), np.array([0, 2, 10])))


def test_an_output_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"a\.onnx: output 'vector' has shape \(\d, 4\) for 2 texts"):
        engine(tmp_path / "a.onnx", axis=0).vectors(ENCODED)
