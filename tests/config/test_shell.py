from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from mtlkit.config.shell import command_text, quoted

WORDS = [
    "mtlkit",
    "train-mtl",
    "--task",
    "mood=my data.csv?text=a&label=b",
    "",
    "it's",
    'say "x"',
    "a\\",
    "a b\\",
    "\\\\x\\",
    "$HOME",
]


def test_a_posix_shell_reads_the_words_back() -> None:
    assert shlex.split(command_text(WORDS)) == WORDS


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("runs\\mtl", "runs\\mtl"),
        ("C:/data/x.csv", "C:/data/x.csv"),
        ("a text", '"a text"'),
        ("x.csv?text=a&label=b", '"x.csv?text=a&label=b"'),
        ("", '""'),
        ('say "x"', '"say \\"x\\""'),
        ("my runs\\", '"my runs\\\\"'),
    ],
)
def test_windows_gets_double_quotes(monkeypatch: pytest.MonkeyPatch, word: str, shown: str) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert quoted(word) == shown


@pytest.mark.parametrize("word", [word for word in WORDS if " " in word or not word])
def test_windows_quotes_are_those_of_its_own_rules(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert quoted(word) == subprocess.list2cmdline([word])
