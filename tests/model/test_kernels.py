"""Private operators of torch: they work here, public ones replace each that does not, and one module alone calls them."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import mtlkit
from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.inference.engines.fast import pack
from mtlkit.inference.engines.int8 import calibrate, quantise
from mtlkit.model import kernels
from mtlkit.model.encoder import Encoder
from mtlkit.model.fast_path import FastPath, check_close
from mtlkit.model.language import next_token_loss

PATHS = [kernels.PRODUCT, kernels.BACKWARD, kernels.SOFTMAX, kernels.PACKED, kernels.HALF, kernels.BYTES]
OPERATORS = {
    "mkldnn._linear_pointwise": [kernels.PRODUCT, kernels.PACKED, kernels.HALF],
    "mkldnn._linear_pointwise.binary": [kernels.PACKED, kernels.HALF],
    "mkldnn._reorder_linear_weight": [kernels.PACKED, kernels.HALF],
    "aten.gelu_backward": [kernels.BACKWARD],
    "aten.silu_backward": [kernels.BACKWARD],
    "aten._softmax_backward_data": [kernels.SOFTMAX],
    "onednn.qlinear_prepack": [kernels.BYTES],
    "onednn.qlinear_pointwise": [kernels.BYTES],
    "onednn.qlinear_pointwise.binary": [kernels.BYTES],
}
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")


def missing(operator: Callable[..., Tensor], *arguments: Any, **named: Any) -> Tensor:
    raise AttributeError("no such operator")


def raising(operator: Callable[..., Tensor], *arguments: Any, **named: Any) -> Tensor:
    raise RuntimeError("could not create a primitive")


def other_signature(operator: Callable[..., Tensor], *arguments: Any, **named: Any) -> Tensor:
    return operator(*arguments, surely_not_an_argument=1, **named)


def wrong(operator: Callable[..., Tensor], *arguments: Any, **named: Any) -> Tensor:
    """Answers for rows in the opposite order."""
    first, *others = arguments
    return operator(first.flip(0), *others, **named)


FAULTS = [missing, raising, other_signature, wrong]


class Proxy:
    """Stands for a namespace of operators, or an operator, with one of its attributes replaced."""

    def __init__(self, original: Any, name: str, replacement: Any) -> None:
        self.original, self.name, self.replacement = original, name, replacement

    def __getattr__(self, name: str) -> Any:
        return self.replacement if name == self.name else getattr(self.original, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.original(*arguments, **named)


class Broken:
    """An operator that fails when called; its overloads stay."""

    def __init__(self, original: Any, fault: Callable[..., Tensor]) -> None:
        self.original, self.fault = original, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __call__(self, *arguments: Any, **named: Any) -> Tensor:
        return self.fault(self.original, *arguments, **named)


@pytest.fixture(autouse=True)
def untested(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    for path in PATHS:
        monkeypatch.setattr(path, "_works", None)


def spoil(monkeypatch: pytest.MonkeyPatch, name: str, fault: Callable[..., Tensor]) -> None:
    namespace, operator, *overload = name.split(".")
    original = getattr(torch.ops, namespace)
    packet = getattr(original, operator)
    broken = Proxy(packet, overload[0], Broken(getattr(packet, overload[0]), fault)) if overload else Broken(packet, fault)
    monkeypatch.setattr(torch.ops, namespace, Proxy(original, operator, broken))


def encoder_of(activation: str) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder(Architecture(40, 2, 32, 4, 16, dropout=0.0, activation=activation)).eval()  # type: ignore[arg-type]
        for weight in encoder.parameters():
            torch.nn.init.normal_(weight, std=0.2)
    return encoder


def batches() -> Iterator[Batch]:
    lengths = [3, 7, 7, 12]
    for shift in range(4):
        yield Batch.flat((np.arange(sum(lengths)) * 7 + shift) % 40, lengths, np.arange(len(lengths)))


def embedded(activation: str = "gelu_tanh", dtype: torch.dtype = torch.float32) -> Tensor:
    fast = pack(encoder_of(activation), dtype=dtype)
    with torch.inference_mode():
        return torch.cat([fast.encode(batch) for batch in batches()])


def embedded_in_int8() -> Tensor:
    encoder = encoder_of("gelu")
    fast = quantise(encoder, calibrate(encoder, batches()))
    with torch.inference_mode():
        return torch.cat([fast.encode(batch) for batch in batches()])


def trained() -> Tensor:
    """All weights after a few steps of pretraining, which has a kernel for its output layer besides those of the blocks."""
    encoder = encoder_of("gelu")
    optimizer = torch.optim.SGD(encoder.parameters(), 0.1)
    for batch in batches():
        next_token_loss(encoder, batch, batch.ids.roll(-1)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return torch.cat([weight.detach().flatten() for weight in encoder.parameters()])


@pytest.fixture(scope="module")
def expected() -> tuple[Tensor, Tensor, Tensor]:
    return embedded(), trained(), embedded_in_int8()


def check_all(expected: tuple[Tensor, Tensor, Tensor]) -> None:
    check_close(embedded(), expected[0], 1e-5)
    check_close(trained(), expected[1], 1e-5)
    assert float(torch.cosine_similarity(embedded(dtype=torch.bfloat16), expected[0]).min()) > 0.999
    result = embedded_in_int8()
    assert float(torch.cosine_similarity(result, expected[2]).min()) > 0.9999
    check_close(result, expected[2], 0.02)


@needs_onednn
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_operator_of_this_torch_passes_its_test(path: FastPath, caplog: pytest.LogCaptureFixture) -> None:
    assert path.works()
    assert caplog.messages == []


@needs_onednn
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPERATORS)
def test_missing_operator_falls_back_with_one_warning(
    name: str,
    fault: Callable[..., Tensor],
    expected: tuple[Tensor, Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spoil(monkeypatch, name, fault)
    check_all(expected)
    embedded()
    broken = OPERATORS[name]
    assert [path for path in PATHS if not path.works()] == broken
    assert len(caplog.messages) == len(broken)
    for path in broken:
        (message,) = [message for message in caplog.messages if message.startswith(path.name)]
        assert path.slower in message
        assert torch.__version__ in message


def test_without_onednn_only_what_is_asked_for_warns(
    expected: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    check_all(expected)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["bf16" in warning for warning in warnings] == [True, False]
    assert ["int8" in warning for warning in warnings] == [False, True]
    assert all("no oneDNN" in warning for warning in warnings)


@pytest.mark.parametrize("activation", ["gelu", "relu", "silu"])
def test_every_activation_has_its_public_form(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = embedded(activation)
    monkeypatch.setattr(kernels.PACKED, "_works", False)
    check_close(embedded(activation), fast, 1e-5)


@needs_onednn
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_a_test_leaves_no_trace_and_minds_no_setting(path: FastPath, caplog: pytest.LogCaptureFixture) -> None:
    state = torch.get_rng_state()
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            assert path.works()
            assert torch.is_inference_mode_enabled()
            assert torch.is_autocast_enabled("cpu")
    finally:
        torch.set_default_dtype(dtype)
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert caplog.messages == []


def test_a_graph_that_is_traced_neither_tests_nor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as tracing:
        tracing.setattr(torch.compiler, "is_compiling", lambda: True)
        assert not kernels.PRODUCT.works()
    assert kernels.PRODUCT.works() == torch.backends.mkldnn.is_available()


def private_names(source: str) -> list[str]:
    """Names of torch in a module's source that are outside its public API."""
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
            aliases |= {item.asname: item.name for item in node.names if item.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{item.name}" for item in node.names}
            aliases |= {item.asname or item.name: f"{node.module}.{item.name}" for item in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(full_name(node, aliases))
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("getattr", "hasattr")
            and isinstance(node.args[1], ast.Constant)
        ):
            names.add(f"{full_name(node.args[0], aliases)}.{node.args[1].value}")
    return sorted(name for name in names if is_private(name))


def full_name(node: ast.AST, aliases: dict[str, str]) -> str:
    """The dotted name of a chain of attributes, "" for one that does not begin with a name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)]) if isinstance(node, ast.Name) else ""


def is_private(name: str) -> bool:
    first, *others = name.split(".")
    return first == "torch" and any(part == "ops" or (part.startswith("_") and not part.startswith("__")) for part in others)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\nx = torch.ops.mkldnn._linear_pointwise",
        "import torch._C as c",
        "from torch import _C",
        "from torch import ops as operators\noperators.aten.mm",
        "from torch._dynamo import config",
        "from torch import nn\nnn.functional._verify_batch_size",
        "import torch\ngetattr(torch.cpu, '_is_vnni_supported')",
    ],
)
def test_private_names_are_found(source: str) -> None:
    assert private_names(source)


def test_no_other_module_uses_private_names_of_torch() -> None:
    package = Path(mtlkit.__file__).parent
    sources = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}
    assert [path for path, source in sources.items() if "torch" in source and private_names(source)] == ["model/kernels.py"]
    assert (
        private_names("import torch\nfrom torch import nn\ntorch.nn.Linear.__init__, nn.functional.gelu, torch.__version__") == []
    )
