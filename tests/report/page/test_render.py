from __future__ import annotations

import pytest

from mtlkit.report.page.render import markdown_cell, markdown_code


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a|b", r"a\|b"),
        ("<script>\n x", r"\<script\> x"),
        ("`c` *d* [e](f) $g$", r"\`c\` \*d\* \[e\](f) \$g\$"),
        ("&lt;", r"\&lt;"),
        ("see http://a.b", r"see http\://a.b"),
    ],
)
def test_a_cell_has_no_markup(text: str, cell: str) -> None:
    assert markdown_cell(text) == cell


def test_nobody_is_mentioned() -> None:
    assert "@user" not in markdown_cell("thanks @user")


def test_a_command_with_backticks_stays_in_its_block() -> None:
    assert markdown_code("mtlkit ```x```").startswith("````sh\n")
