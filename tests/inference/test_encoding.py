from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.evaluation.task_metrics import main_metric, score
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, encode_hidden_states, evaluate, outputs_of_head, run_batches
from mtlkit.model.multitask import MultiTaskModel

TEXTS = ["The otter lies near the old road by the oak.", "", "cat", "A drill lies broken on the bench.", "dog", "  "] * 3


@pytest.mark.parametrize("batch_tokens", [1, 20, 10_000])
def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(
    batch_tokens: int, tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute
) -> None:
    encoded = text_encoder.encode(TEXTS)
    with torch.no_grad():
        expected = torch.cat([tiny_model.encode(encoded.batch([row])) for row in range(len(TEXTS))])
    vectors = encode_all(tiny_model, encoded, compute, batch_tokens)
    torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=0)
    assert not vectors.requires_grad


@pytest.mark.parametrize("batch_tokens", [1, 20, 10_000])
def test_states_come_in_the_order_of_the_tokens_whatever_the_batches(
    batch_tokens: int, tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute
) -> None:
    encoded = text_encoder.encode(TEXTS)
    with torch.no_grad():
        expected = torch.cat([tiny_model.states(encoded.batch([row]), 1) for row in range(len(TEXTS))])
    states = encode_hidden_states(tiny_model, encoded, compute, 1, batch_tokens)
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)
    assert not states.requires_grad


def test_no_text_gives_no_vector(tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute) -> None:
    assert encode_all(tiny_model, text_encoder.encode([]), compute).shape == (0, 32)


def test_bfloat16_gives_float32_vectors_near_the_exact_ones(
    tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute
) -> None:
    encoded = text_encoder.encode(TEXTS)
    rough = encode_all(tiny_model, encoded, Compute(compute.device, "bf16"))
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, encode_all(tiny_model, encoded, compute), atol=0.05, rtol=0)


@pytest.mark.parametrize("name", ["topic", "tags", "stars"])
def test_evaluation_gives_the_loss_and_the_metrics_of_the_outputs(
    name: str, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], compute: Compute
) -> None:
    validation = tasks[name].validation
    vectors = encode_all(tiny_model, validation.encoded, compute)
    outputs = outputs_of_head(tiny_model, name, vectors)
    assert outputs.shape == (len(validation), tiny_model.tasks[name].outputs)
    found = evaluate(tiny_model, name, validation, vectors)
    loss = tiny_model.head(name).loss(torch.from_numpy(outputs), torch.from_numpy(validation.labels))
    assert found.pop("loss") == pytest.approx(float(loss))
    assert found == score(tiny_model.tasks[name], outputs, validation.labels)
    assert np.isfinite(found[main_metric(tiny_model.tasks[name])])


def test_threads_share_out_the_batches(tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute) -> None:
    encoded = text_encoder.encode(TEXTS)
    alone = encode_all(tiny_model, encoded, compute, 20)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        shared = encode_all(tiny_model, encoded, compute, 20)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(shared, alone, atol=1e-5, rtol=0)
    assert not shared.requires_grad


def test_error_in_a_thread_is_raised() -> None:
    def work(rows: np.ndarray) -> None:
        if rows[0] == 2:
            raise ValueError("batch 2")

    with pytest.raises(ValueError, match="batch 2"):
        run_batches(work, [np.array([number]) for number in range(5)], 2)
