"""Which prompt is in force, and which one a training leaves behind."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.vector_settings import VectorSettings

PROMPTS = {"query": "query: ", "none": "nothing: ", "empty": ""}
MODEL = VectorSettings(PROMPTS, "query")


@pytest.mark.parametrize(
    ("settings", "asked", "wanted"),
    [
        (MODEL, None, "query: "),
        (MODEL, "query", "query: "),
        (MODEL, "", ""),
        (MODEL, "none", "nothing: "),
        (VectorSettings({"query": "query: "}, "query"), "none", ""),
        (MODEL, "title: ", "title: "),
        (VectorSettings(PROMPTS), None, ""),
        (VectorSettings(), "query", "query"),
    ],
)
def test_a_name_comes_before_a_text(settings: VectorSettings, asked: str | None, wanted: str) -> None:
    assert settings.prompt(asked) == wanted


@pytest.mark.parametrize(
    ("asked", "default", "prompts"),
    [
        (None, "query", PROMPTS),
        ("empty", None, PROMPTS),
        ("", None, PROMPTS),
        ("none", "none", PROMPTS),
        ("query: ", "query", PROMPTS),
        ("new: ", "default", {**PROMPTS, "default": "new: "}),
    ],
)
def test_the_default_that_a_training_leaves_behind(asked: str | None, default: str | None, prompts: dict[str, str]) -> None:
    left = MODEL.with_default(asked)
    assert (left.default_prompt, left.prompts) == (default, prompts)
    assert left.prompt() == MODEL.prompt(asked)


def test_a_second_text_gets_a_name_of_its_own() -> None:
    twice = MODEL.with_default("one: ").with_default("two: ")
    assert twice.prompt() == "two: "
    assert twice.prompts["default"] == "one: "


@pytest.mark.parametrize("values", [{"default_prompt": "missing"}, {"truncate_dim": 0}])
def test_settings_that_contradict_themselves(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"missing|truncate_dim 0"):
        VectorSettings(**values)
