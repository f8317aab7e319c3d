"""The graph itself; what it computes is tested where it is run."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.errors import UsageError
from mtlkit.inference.encoding import outputs_of_head
from mtlkit.model.encoder import Encoder
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.interop.onnx_graph import write_graph, write_pair_graph
from mtlkit.model.interop.silence import silence
from mtlkit.model.multitask import MultiTaskModel


def test_weights_that_one_file_cannot_hold_are_refused_before_any_work(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = MultiTaskModel(Encoder(Architecture(250_000, 1, 4096, 8, 64)))
    with pytest.raises(UsageError, match=r"4\.6 GB of weights do not fit into one ONNX file; its limit is 2 GB"):
        write_graph(model, tmp_path / "model.onnx", ["vector"])


def test_silence_swallows_words_and_lets_errors_pass(capsys: pytest.CaptureFixture[str]) -> None:
    def loud() -> None:
        sys.stdout.write("printed")
        sys.stderr.write("printed")
        warnings.warn("warned", stacklevel=1)
        logging.getLogger("torch").warning("logged")
        raise ValueError("meant for the caller")

    with pytest.raises(ValueError, match="meant for the caller"), silence():
        loud()
    assert capsys.readouterr() == ("", "")
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", stacklevel=1)
    assert logging.getLogger("torch").isEnabledFor(logging.WARNING)


@pytest.mark.slow
def test_the_graph_of_heads_for_pairs_gives_what_the_heads_give(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    tiny_model.add_task(TaskSpec("nli", "classification", ("no", "yes"), "mlp:8", pair="vectors"))
    write_pair_graph(tiny_model.eval(), tmp_path / "pairs.onnx", ["vector", "head:nli"])
    vectors = torch.randn(5, tiny_model.vector_dim)
    pairs = np.array([[0, 1, 2], [3, 3, 4]])
    session = onnxruntime.InferenceSession(tmp_path / "pairs.onnx", providers=["CPUExecutionProvider"])
    inputs, outputs = session.run(None, {"first": vectors[pairs[0]].numpy(), "second": vectors[pairs[1]].numpy()})
    np.testing.assert_allclose(inputs, head_inputs(vectors, pairs).numpy(), atol=1e-6)
    np.testing.assert_allclose(outputs, outputs_of_head(tiny_model, "nli", head_inputs(vectors, pairs)), atol=1e-5)
