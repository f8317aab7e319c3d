from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from mtlkit.cli import console, phase
from mtlkit.cli.output_progress import follow, resume_command
from mtlkit.errors import DataError
from mtlkit.recipes.outputs.job import OutputProgress


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["embed", "--input", "a b.txt", "-o", "v.npy"], "mtlkit embed --resume --input 'a b.txt' -o v.npy"),
        (["embed", "--resume", "-o", "v.npy", "--", "-a"], "mtlkit embed --resume -o v.npy -- -a"),
        (["embed", "-o", "v.npy", "--overwrite", "a"], "mtlkit embed --resume -o v.npy a"),
    ],
)
def test_the_command_that_resumes(arguments: list[str], text: str) -> None:
    assert resume_command(arguments) == text


def steps(count: int) -> Iterator[OutputProgress]:
    yield from (OutputProgress("computed", 4 * number, 4 * count, 4) for number in range(1, count + 1))
    yield from (OutputProgress("written", 4 * number, 4 * count, 4) for number in range(1, count + 1))


@pytest.fixture(autouse=True)
def fresh_console() -> Iterator[None]:
    console.stderr.cache_clear()
    yield
    console.stderr.cache_clear()


def test_piped_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert follow(steps(50), "vectors", "embedding") == 200
    assert capsys.readouterr().err == "4 vectors reused from an interrupted run\n"
    for name in ("LEAST_WAIT", "MOST_WAIT"):
        monkeypatch.setattr(phase, name, -1.0)
    follow(steps(2), "vectors", "embedding")
    lines = capsys.readouterr().err.splitlines()
    assert {line.split("  ")[0] for line in lines[:-1]} >= {"embedding: 8 of 8 texts", "writing: 8 of 8 texts"}


def test_progress_line_is_removed_from_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)
    follow(steps(3), "vectors", "embedding")
    said = capsys.readouterr().err
    assert "embedding" in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1


def test_every_early_end_prints_the_resume_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["mtlkit", "embed", "-", "-o", "v.npy"])

    def broken(count: int) -> Iterator[OutputProgress]:
        yield from (OutputProgress("computed", 4 * number, None, 0) for number in range(1, count + 1))
        raise DataError("v.npy: No space left on device")

    with pytest.raises(DataError):
        follow(broken(3), "vectors", "embedding")
    assert capsys.readouterr().err == "12 vectors are kept; resume with: mtlkit embed --resume - -o v.npy\n"
    with pytest.raises(DataError):
        follow(broken(0), "vectors", "embedding")
    assert capsys.readouterr().err == ""
