"""`mtlkit serve` before it serves: wrong options, and what is missing."""

from __future__ import annotations

import importlib.util
import re
import socket
from typing import Any

import pytest


def test_a_port_in_use_is_named(typed: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = typed("serve", "mini", "--port", port)
    assert answer.code == 2
    assert f"127.0.0.1:{port}" in answer.err
    assert "--port" in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "256.1.1.1"), "--host 256.1.1.1"),
        (("--api-key", " "), "--api-key is empty"),
        (("--api-key", "ключ"), "--api-key .* characters"),
        (("--dim", "9999"), "256 dimensions"),
        (("--port", "70000"), "65535"),
        (("--timeout", "nan"), "--timeout"),
        (("--device", "gpu"), "--device"),
    ],
)
def test_a_wrong_option_is_named(typed: Any, arguments: tuple[str, ...], message: str) -> None:
    answer = typed("serve", "mini", *arguments)
    assert answer.code == 2
    assert re.search(message, answer.err), answer.err


def test_a_model_that_is_not_there(typed: Any) -> None:
    answer = typed("serve", "missing")
    assert answer.code == 2
    assert "missing" in answer.err


def test_without_the_extra(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("mtlkit.recipes.serve.find_spec", lambda name: None if name == "fastapi" else real(name))
    answer = typed("serve", "mini")
    assert answer.code == 2
    assert "pip install 'mtlkit[serve]'" in answer.err
