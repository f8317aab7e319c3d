"""The choice of a device in several processes, with faked GPUs."""

from __future__ import annotations

import pytest
import torch

from mtlkit.errors import UsageError
from mtlkit.inference.compute import choose_compute, slow_precision
from mtlkit.training.distributed.process_group import backend_of


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two GPUs, and the second of three processes; the GPUs that were made current."""
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for name, value in {"RANK": 1, "LOCAL_RANK": 1, "WORLD_SIZE": 3, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    return chosen


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_each_process_has_a_gpu_of_its_own(gpus: list[int], device: str) -> None:
    assert choose_compute(device, "auto").device == torch.device("cuda", 1)  # type: ignore[arg-type]
    assert gpus == [1]
    assert backend_of(device) == "cpu:gloo,cuda:nccl"  # type: ignore[arg-type]


def test_more_processes_than_gpus_are_refused(gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UsageError, match="--nproc-per-node 2"):
        choose_compute("auto", "auto")
    assert choose_compute("cpu", "auto").device.type == "cpu"
    assert backend_of("cpu") == "gloo"


def test_one_process_has_the_first_gpu(gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE")
    assert choose_compute("auto", "auto").device == torch.device("cuda")
    assert not gpus


@pytest.mark.parametrize(
    ("features", "slow"),
    [
        ({"avx512_bf16": False, "amx_bf16": False, "avx2": True}, True),
        ({"avx512_bf16": True, "amx_bf16": False}, False),
        ({"avx512_bf16": False, "amx_bf16": True}, False),
        ({"bf16": True}, False),  # of Arm
        ({}, False),  # not known
    ],
)
def test_bf16_on_a_processor_without_such_products_is_slow(
    features: dict[str, bool], slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    reason = slow_precision(choose_compute("cpu", "bf16"))
    assert (reason is not None and "slower than fp32" in reason) == slow
    assert slow_precision(choose_compute("cpu", "fp32")) is None
