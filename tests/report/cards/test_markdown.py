"""Text in a card is shown literally: checked by a Markdown parser with tables."""

from __future__ import annotations

import re
from html import unescape

import pytest
from markdown_it import MarkdownIt

from mtlkit.report.cards.markdown import MOST, block, code, listed, table, text

HOSTILE = [
    "a|b",
    r"a\|b",
    "<script>alert(1)</script>",
    "&lt;b&gt; &amp;",
    "`tick` ``two``",
    "*bold* _under_ __init__ snake_case ~~gone~~",
    "[link](javascript:alert(1)) ![picture](x)",
    "http://example.org www.example.org :smile: @someone #1",
    "$x^2$ --- # title",
    "Ελληνικά 日本語 🦦 é…",
]


def cells(markdown: str) -> list[str]:
    """The HTML of the cells of a table."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    return re.findall(r"<td>(.*?)</td>", html, re.DOTALL)


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_one_cell_of_plain_text(label: str) -> None:
    found = cells(table(["label", "next"], [[text(label), "after"]]))
    assert len(found) == 2
    assert "<" not in found[0]
    assert unescape(found[0]) == label
    assert found[1] == "after"


def test_lines_and_control_characters_are_replaced() -> None:
    assert text("two\n\nlines\tand \x1b[31m") == "two lines and \N{REPLACEMENT CHARACTER}&#91;31m"
    assert len(text("x" * 500)) == 60


def test_many_labels_are_counted() -> None:
    shown = listed([str(number) for number in range(1000)])
    assert shown.startswith("0, 1, 2, ")
    assert shown.endswith(f"{MOST - 1}, ... (1,000 in all)")
    assert listed([]) == "-"
    assert listed([""]) == "(empty)"


@pytest.mark.parametrize("value", ["plain", "`", "a `b` c", "```", ""])
def test_code_holds_backticks(value: str) -> None:
    html = MarkdownIt("commonmark").render(code(value))
    assert unescape(re.findall(r"<code>(.*?)</code>", html, re.DOTALL)[0]).strip() == value


def test_a_block_is_not_closed_by_what_it_holds() -> None:
    content = "echo ```\n````\n<script>"
    html = MarkdownIt("commonmark").render(block(content, "sh"))
    assert html == f'<pre><code class="language-sh">{content.replace("<", "&lt;").replace(">", "&gt;")}\n</code></pre>\n'
