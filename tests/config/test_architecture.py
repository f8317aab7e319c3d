from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from mtlkit.config.architecture import TaskSpec, check_task_name, parse_head
from mtlkit.errors import UsageError


@pytest.mark.parametrize("name", ["topic", "a", "type", "a-b_c-9", "x" * 64])
def test_task_names(name: str) -> None:
    assert check_task_name(name) == name


@pytest.mark.parametrize("name", ["../../x", "a/b", "a.b", "", "Topic", "a b", "é", "a\n", "x" * 65, "..", "a\x1b[31m"])
def test_a_task_name_that_could_be_a_path_is_refused(name: str) -> None:  # fault 31
    with pytest.raises(UsageError, match=r"invalid task name .*lower-case letters, digits, '-' and '_'"):
        check_task_name(name)


@pytest.mark.parametrize(
    ("text", "widths"), [("linear", ()), ("mlp:256", (256,)), ("mlp:256,128", (256, 128)), ("mlp: 8, 4", (8, 4))]
)
def test_heads(text: str, widths: tuple[int, ...]) -> None:
    assert parse_head(text) == widths


@pytest.mark.parametrize("text", ["", "mlp", "mlp:", "mlp:0", "mlp:a", "mlp:8,", "mlp:-8", "cnn:8", "linear:8", "mlp:²"])
def test_a_wrong_head_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"invalid --head .*; use 'linear' or 'mlp:256,128'"):
        parse_head(text)


def test_a_task_survives_json() -> None:
    spec = TaskSpec("stars", "regression", (), "mlp:8", 3.5, 0.25)
    assert TaskSpec.from_json(json.loads(json.dumps(asdict(spec)))) == spec
    assert spec.outputs == 1
    assert TaskSpec("t", "multi-label", ("a", "b", "c")).outputs == 3
