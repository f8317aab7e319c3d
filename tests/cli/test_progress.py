from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console
from rich.text import Text

from mtlkit.cli import phase
from mtlkit.cli.progress import Display
from mtlkit.progress import count, counting

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=False)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, legacy_windows=False, color_system=None)


def test_a_phase_that_lasts_is_named_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phase, "FIRST_LINE", 0.0)
    console, named = plain(), threading.Event()
    with Display(console) as display:
        say = display._say
        monkeypatch.setattr(display, "_say", lambda line: (say(line), named.set()))
        display.busy("loading the model")
        assert named.wait(60)
    assert written(console) == "loading the model ...\n"


def test_a_short_phase_is_not_named_without_a_terminal() -> None:
    console = plain()
    with Display(console) as display:
        display.busy("reading")
        display.busy("encoding", 5, 10)
    assert written(console) == ""
    assert not [
        thread for thread in threading.enumerate() if isinstance(thread, threading.Timer) and not thread.finished.is_set()
    ]


def test_a_terminal_shows_a_phase_at_once_and_keeps_nothing_of_it() -> None:
    console = terminal()
    with Display(console) as display:
        display.busy("encoding")
        assert "encoding" in written(console)
        display.busy("encoding", 2048, 10_000)
        display.refresh()
        assert "encoding: 2,048 of 10,000 texts" in written(console)
        display.show(Text("another thing"))
        display.notice = "stopping soon"
        display.refresh()
        lines = CONTROL.sub("", written(console)).replace("\r", "\n").splitlines()
        assert [line.strip() for line in lines[-2:]] == ["another thing", "stopping soon"]
    last = written(console).rsplit("stopping soon", 1)[1]
    assert "\x1b[2K" in last  # both lines are erased
    assert last.count("\x1b[1A") >= 1
    assert written(console).count("\x1b[?25l") == written(console).count("\x1b[?25h") == 1


def test_reported_work_is_shown_and_what_went_on_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtlkit.progress.EVERY", 0.0)
    console = terminal()
    with Display(console) as display:
        display.busy("preparing")
        with counting("encoding", "encoded", 12_000):
            count("encoded", 400)
            display.refresh()
        display.refresh()
    text = CONTROL.sub("", written(console)).replace("\r", "\n")
    assert "encoding: 400 of 12,000 texts" in text
    assert text.index("preparing") < text.index("encoding") < text.rindex("preparing")


def test_without_a_terminal_a_phase_is_written_with_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEAST_WAIT", "MOST_WAIT"):
        monkeypatch.setattr(phase, name, -1.0)
    console = plain()
    with Display(console), counting("encoding", "encoded", 12_000):
        count("encoded", 400)
    assert "encoding: 400 of 12,000 texts" in written(console)
    count("encoded", 400)  # nobody listens any more
