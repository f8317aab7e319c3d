from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support import COMMANDS

from mtlkit.cli.options.help import Entry, Page

if TYPE_CHECKING:
    from cli.conftest import Typed

SCREENS = 125  # lines of two screens, with a little left over


def panels(text: str) -> list[str]:
    """The headings of a page, and other lines after an empty one."""
    lines = text.splitlines()
    return [line for before, line in pairwise(lines) if not before and not line.startswith(" ")]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "--help-all"])
@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_the_terminal(typed: Typed, command: str, option: str, width: int) -> None:
    answer = typed(command, option, width=width)
    assert answer.code == 0
    assert answer.widest <= width
    assert "<bool>" not in answer.out
    if option == "--help" and width == 80:
        assert len(answer.out.splitlines()) <= SCREENS


@pytest.mark.parametrize("command", ["train-mtl", "train-sentence"])
def test_the_common_panel_comes_first(typed: Typed, command: str) -> None:
    text = typed(command, "--help").out
    common = text.split("\nCommon\n")[1].split("\n\n")[0]
    names = [line.split()[0] for line in common.splitlines() if line.startswith("  --")]
    usual = ["--task", "--init", "--out", "--epochs", "--freeze", "--size", "--learning-rate", "--config"]
    assert [name for name in names if name in usual] == usual
    assert panels(text).index("Common") < panels(text).index("Training") < panels(text).index("Machine")


def test_help_all_has_what_help_leaves_out(typed: Typed) -> None:
    short, whole = (typed("train-mtl", option).out for option in ("--help", "--help-all"))
    assert "--label-smoothing" not in short
    assert "--label-smoothing" in whole
    hidden = whole.count("\n  --") - short.count("\n  --")
    assert f"--help-all shows {hidden} more options." in short
    assert "more options" not in whole


def test_commands_are_grouped(typed: Typed) -> None:
    text = typed("--help", width=80).out
    assert panels(text)[-4:] == ["Train", "Use a model", "Inspect data and runs", "Help"]
    train = text.split("\nTrain\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in train.splitlines()] == ["pretrain", "train-sentence", "train-mtl"]


def test_an_option_shows_its_value_and_default(typed: Typed) -> None:
    text = " ".join(typed("train-mtl", "--help-all", width=100).out.split())
    assert "--seed N Random seed. [default: 0]" in text
    assert "--focal X Focal loss gamma; down-weights easy examples (0 = off). [default: 0]" in text
    assert "--overwrite Replace an existing run." in text
    assert "--precision auto|fp32|bf16 " in text


def test_a_page() -> None:
    entries = [Entry("--a-very-long-name-of-an-option VALUE", "word " * 30, "One"), Entry("-b", "Short.", "Two", advanced=True)]
    page = Page("mtlkit x", "A paragraph\nof two lines.\n\nAnother.", entries, ["mtlkit x 'a quoted text' " + "--option 1 " * 9])
    lines = page.draw(60, all_options=False).plain.splitlines()
    assert max(map(len, lines)) <= 60
    assert "A paragraph of two lines." in lines
    joined = " ".join(line.strip().removesuffix("\\").strip() for line in lines)
    assert "mtlkit x 'a quoted text' " + " ".join(["--option 1"] * 9) in joined
    assert "  --a-very-long-name-of-an-option VALUE" in lines
    assert "Two" not in lines
    assert "  -b" in page.draw(60, all_options=True).plain
