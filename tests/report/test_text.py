from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from mtlkit.errors import shorten
from mtlkit.report.text import literal, one_line, printable, wrapped

MARK = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 猫", "plain é 猫"),
        ("[bold]x[/bold] [/]", "[bold]x[/bold] [/]"),
        ("\x1b[31mred\x1b[0m", f"{MARK}[31mred{MARK}[0m"),
        ("\x1b]8;;http://a\x1b\\b", f"{MARK}]8;;http://a{MARK}\\b"),
        ("\x9b31m", f"{MARK}31m"),  # the control sequence introducer in one letter
        ("bell\x07 null\x00 back\x08", f"bell{MARK} null{MARK} back{MARK}"),
        ("over\r", f"over{MARK}"),
        ("abc\u202etxt.exe", f"abc{MARK}txt.exe"),  # turns the direction of reading round
        ("half \ud800", f"half {MARK}"),
        ("tab\tand\nline", "tab\tand\nline"),
    ],
)
def test_control_characters_are_replaced(text: str, shown: str) -> None:  # fault 30
    assert printable(text) == shown


@settings(deadline=None)
@given(st.text())
def test_any_text_is_shown_letter_by_letter(text: str) -> None:  # fault 30
    shown = literal(text).plain
    assert len(shown) == len(text)
    assert not {unicodedata.category(letter) for letter in shown if letter not in "\n\t"} & {"Cc", "Cf", "Cs"}


def test_brackets_are_no_markup_on_a_terminal() -> None:  # fault 30
    console = Console(width=40, force_terminal=True, record=True, file=io.StringIO())
    console.print(literal("[link=http://a]x[/link] [/]"))
    assert console.export_text() == "[link=http://a]x[/link] [/]\n"


def test_one_line() -> None:
    assert one_line(" a\n\n b\tc ").plain == "a b c"


@pytest.mark.parametrize(
    ("text", "short"), [("abc", "abc"), ("a  b\nc", "a b c"), ("abcdefghij", "abcdef…"), ("abcde fghij", "abcde…")]
)
def test_shorten(text: str, short: str) -> None:
    assert shorten(text, 7) == short


@settings(deadline=None)
@given(st.text(), st.integers(2, 50))
def test_what_is_shortened_fits(text: str, width: int) -> None:
    assert len(shorten(text, width)) <= width


def test_lines_break_between_words_and_before_a_command() -> None:
    assert wrapped("short", 10) == ["short"]
    assert wrapped("a sentence of several words", 12) == ["a sentence", "of several", "words"]
    assert wrapped("see /a/very/long/path/to/a/file there", 12) == ["see", "/a/very/long/path/to/a/file", "there"]
    assert wrapped("日本 日本 日本", 9) == ["日本 日本", "日本"]
    command = "mtlkit train-mtl --resume runs/x"
    assert wrapped(f"saved after step 9; resume with: {command}", 40) == ["saved after step 9; resume with:", command]
    assert wrapped(f"resume with: {command}", 80) == [f"resume with: {command}"]
