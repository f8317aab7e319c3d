"""The README's commands are commands that there are."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from support import COMMANDS

README = Path(__file__).parents[1] / "README.md"


def typed_commands() -> list[list[str]]:
    """Every `mtlkit ...` of the README's shell blocks, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&") if part.strip().startswith("mtlkit")]
    return [shlex.split(part)[1:] for part in parts]


def test_the_readme_shows_every_command() -> None:
    assert {words[0] for words in typed_commands()} == set(COMMANDS)


@pytest.mark.parametrize("words", typed_commands(), ids=" ".join)
def test_every_option_in_the_readme_exists(words: list[str]) -> None:
    known = {f"--{field.name.replace('_', '-')}" for field in fields(COMMANDS[words[0]])} | {"--json", "--config", "--help"}
    assert {word for word in words[1:] if word.startswith("--")} <= known
