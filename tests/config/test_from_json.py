from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.from_json import build, parse_json, parse_object
from mtlkit.errors import UsageError


@dataclass(frozen=True)
class Thing:
    size: int
    share: float = 0.5
    kind: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    width: int | None = None
    on: bool = False
    files: dict[str, str] = field(default_factory=dict)
    rest: dict[str, Any] | None = None


def test_values_of_every_kind_arrive() -> None:
    value = {
        "size": 3,
        "share": 1,
        "kind": "b",
        "names": ["x", "y"],
        "width": 4,
        "on": True,
        "files": {"a": "b"},
        "rest": {"c": 1},
    }
    assert build(Thing, value) == Thing(3, 1.0, "b", ("x", "y"), 4, True, {"a": "b"}, {"c": 1})
    assert build(Thing, {"size": 3, "width": None}) == Thing(3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "JSON object, not an array"),
        ({}, "field 'size' is missing"),
        ({"size": 3, "seize": 4}, "unknown field 'seize'"),
        ({"size": "3"}, "field 'size': .* not \"3\""),
        ({"size": 3.0}, "'size': .* not 3.0"),
        ({"size": True}, "'size': .* not true"),
        ({"size": 3, "share": float("nan")}, "'share': .* not NaN"),
        ({"size": 3, "share": 10**400}, r"'share': .* not 1000.*\.\.\."),
        ({"size": 3, "kind": "c"}, "'kind': expected one of .* not \"c\""),
        ({"size": 3, "kind": ["a"]}, r"'kind': .* not \[.a.\]"),
        ({"size": 3, "names": "x"}, "'names': expected an array, not \"x\""),
        ({"size": 3, "names": ["x", 1]}, "'names': expected a string, not 1"),
        ({"size": 3, "on": 1}, "'on': expected true or false, not 1"),
        ({"size": 3, "files": ["a"]}, r"'files': expected an object, not \[.a.\]"),
        ({"size": 3, "files": {"a": 1}}, r"'files\.a': .* not 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_field(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(Thing, value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe\x00", "nul"])
def test_invalid_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_only_an_object_is_accepted() -> None:
    assert parse_object('{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="JSON object, not an array"):
        parse_object("[]")


@pytest.mark.parametrize(
    "change",
    [{"name": "../../x"}, {"name": "a.b"}, {"head": "mlp"}, {"head": f"mlp:{10**12}"}, {"labels": ["a", "a"]}, {"labels": []}],
)
def test_a_task_that_cannot_be_is_refused(change: dict[str, Any]) -> None:  # fault 31: a name out of a file is no path either
    value = {"name": "topic", "kind": "classification", "labels": ["a", "b"]}
    assert TaskSpec.from_json(value).labels == ("a", "b")
    with pytest.raises((ValueError, UsageError)):
        TaskSpec.from_json({**value, **change})
