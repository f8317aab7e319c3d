"""The question about classes that a head does not know."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from mtlkit.cli import new_classes
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import NewClassesError
from mtlkit.training.events import Event


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "choice"), [("extend\n", "extend"), ("x\nD\n", "drop"), ("\n", "refuse"), ("", "refuse"), ("f", "fresh")]
)
def test_answers_may_be_short(typed: str, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert new_classes.asked() == choice


def stream(options: TrainMtlOptions) -> Iterator[Event]:
    raise NewClassesError(f"asked with {options.new_classes}")
    yield


@pytest.mark.parametrize(
    ("stdin", "given", "seen"),
    [
        (Terminal("extend\n"), "ask", "extend"),
        (Terminal("\n"), "ask", "ask"),
        (io.StringIO("extend\n"), "ask", "ask"),
        (Terminal("extend\n"), "refuse", "refuse"),
    ],
)
def test_only_a_terminal_is_asked(stdin: Any, given: Any, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(type(new_classes.stderr()), "is_terminal", True)
    with pytest.raises(NewClassesError, match=f"asked with {seen}"):
        new_classes.followed_asking(stream, TrainMtlOptions(new_classes=given), as_json=False)
