"""Shows labelled spans and words of a text in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from rich.text import Text

from mtlkit.report.text import literal

STYLES = ("bold cyan", "bold magenta", "bold green", "bold yellow", "bold blue", "bold red")


def marked_text(text: str, answer: Mapping[str, Any]) -> Text:
    """A text with the spans of an answer in brackets, each with its label: `[Ada Lovelace PER] lived in [London LOC]`. Words with
    tags that are no spans are followed by theirs: `She/PRON sings/VERB`."""
    entries: Sequence[Mapping[str, Any]] = answer.get("spans", answer.get("tags", ()))
    marked, end = Text(), 0
    for entry in entries:
        start, stop, label = entry["start"], entry["end"], entry["label"]
        marked.append_text(literal(text[end:start]))
        inside, style = text[start:stop], style_of(label)
        if "spans" in answer:
            marked.append_text(literal(f"[{inside} {label}]", style))
        else:
            marked.append_text(literal(inside)).append_text(literal(f"/{label}", style))
        end = stop
    marked.append_text(literal(text[end:]))
    return _in_one_line(marked)


def style_of(label: str) -> str:
    """The style of a label, the same one in every command."""
    return STYLES[crc32(label.encode("utf-8", "surrogatepass")) % len(STYLES)]


def _in_one_line(text: Text) -> Text:
    text.plain = text.plain.replace("\r", " ").replace("\n", " ").replace("\t", " ")
    return text
