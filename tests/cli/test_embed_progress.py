from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from mtlkit.cli import console
from mtlkit.cli import embed_progress as embedding
from mtlkit.cli.embed_progress import follow, line, resume_command
from mtlkit.errors import DataError
from mtlkit.recipes.embed import EmbedProgress


@pytest.mark.parametrize(
    ("step", "seconds", "text"),
    [
        (EmbedProgress("embedded", 12288, 1_000_000, 0), 24.0, "12,288 of 1,000,000 vectors  512 texts/s  32:09 left"),
        (EmbedProgress("embedded", 4096, None, 0), 4.0, "4,096 vectors  1,024 texts/s"),
        (EmbedProgress("embedded", 4096, 8192, 4096), 1.0, "4,096 of 8,192 vectors  0 texts/s"),  # all of them there already
        (EmbedProgress("embedded", 6000, 8000, 4000), 2.0, "6,000 of 8,000 vectors  1,000 texts/s  0:02 left"),
        (EmbedProgress("written", 4096, 8192, 0), 9.0, "4,096 of 8,192 vectors written"),
    ],
)
def test_a_line_of_progress(step: EmbedProgress, seconds: float, text: str) -> None:
    assert line(step, seconds) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["embed", "--input", "a b.txt", "-o", "v.npy"], "mtlkit embed --resume --input 'a b.txt' -o v.npy"),
        (["embed", "--resume", "-o", "v.npy", "--", "-a"], "mtlkit embed --resume -o v.npy -- -a"),
        (["embed", "-o", "v.npy", "--overwrite", "a"], "mtlkit embed --resume -o v.npy a"),
    ],
)
def test_the_command_that_goes_on(arguments: list[str], text: str) -> None:
    assert resume_command(arguments) == text


def steps(count: int) -> Iterator[EmbedProgress]:
    yield from (EmbedProgress("embedded", 4 * number, 4 * count, 4) for number in range(1, count + 1))
    yield from (EmbedProgress("written", 4 * number, 4 * count, 4) for number in range(1, count + 1))


@pytest.fixture(autouse=True)
def fresh_console() -> Iterator[None]:
    console.stderr.cache_clear()
    yield
    console.stderr.cache_clear()


def test_piped_progress_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(steps(50)) == 200
    assert capsys.readouterr().err == "4 vectors were there already\n"
    monkeypatch.setattr(embedding, "PLAIN_SECONDS", -1.0)
    follow(steps(2))
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_a_terminal_has_a_line_that_goes_away(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    follow(steps(3))
    said = capsys.readouterr().err
    assert "12 of 12 vectors" in said
    assert "\x1b" in said


def test_any_other_end_says_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mtlkit", "embed", "-", "-o", "v.npy"])

    def broken(count: int) -> Iterator[EmbedProgress]:
        yield from (EmbedProgress("embedded", 4 * number, None, 0) for number in range(1, count + 1))
        raise DataError("v.npy: No space left on device")

    with pytest.raises(DataError):
        follow(broken(3))
    assert capsys.readouterr().err == "12 vectors are kept; go on with: mtlkit embed --resume - -o v.npy\n"
    with pytest.raises(DataError):
        follow(broken(0))
    assert capsys.readouterr().err == ""
