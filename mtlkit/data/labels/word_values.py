"""Reads the words of a text, their tags, and labelled spans from the values of a row.

All functions raise ValueError that describes an invalid value and says what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from mtlkit.data.labels.values import shown, text_value
from mtlkit.data.labels.written import parse_written

START_NAMES = ("start", "start_offset", "begin", "start_char")
END_NAMES = ("end", "end_offset", "stop", "end_char")
LABEL_NAMES = ("label", "type", "tag", "entity", "entity_group", "category", "entity_type")
SHAPE = 'spans are written as {"start": 0, "end": 5, "label": "PER"} or [0, 5, "PER"]'


class LabelledSpan(NamedTuple):
    """A span of characters of a text, `end` exclusive."""

    start: int
    end: int
    label: str


def words_value(value: Any) -> list[str]:
    """The words of a text."""
    items = _list(value, "words")
    if items and all(type(item) is str for item in items) and all(map(str.strip, items)):  # by far the most
        return items
    words = []
    for number, item in enumerate(items, 1):
        word = text_value(item)
        if word is None or not word or word.isspace():
            raise ValueError(f"no word at position {number} of {shown(value)}; remove it, with its tag")
        words.append(word)
    if not words:
        raise ValueError("no words")
    return words


def tags_value(value: Any, names: Sequence[str]) -> tuple[str, ...]:
    """The tags of words. `names` are those of tags that are written as numbers."""
    if isinstance(value, Mapping) and all(mark in (0, 1) for mark in value.values()):
        named = list(value)  # a list of 0 and 1 was read as marks of its classes
        return tuple(named[mark] for mark in value.values())
    items = _list(value, "tags")
    tags = tuple(item if type(item) is str and not names else _tag(item, names) for item in items)
    if any(not tag or tag.isspace() for tag in tags):
        raise ValueError(f"an empty tag in {shown(value)}; use O for words outside of spans")
    return tags


def _tag(item: Any, names: Sequence[str]) -> str:
    number = item if isinstance(item, int) and not isinstance(item, bool) else None
    if number is None and names and isinstance(item, str) and item.isdigit() and item not in names:
        number = int(item)
    if number is None:
        if not isinstance(item, str):
            raise ValueError(f"{shown(item)} instead of a tag; tags are names, or numbers with names=O,B-PER,...")
        return item
    if not names:
        raise ValueError(f"the number {number} instead of a tag; name the tags in the order of their numbers: names=O,B-PER,...")
    if not 0 <= number < len(names):
        raise ValueError(f"the tag {number}, but names= names {len(names)} tags, from 0 to {len(names) - 1}")
    return names[number]


def spans_value(value: Any, text: str, names: Sequence[str]) -> list[LabelledSpan]:
    """The spans of a text in their order, without those that are repeated."""
    if isinstance(value, Mapping):  # an object of lists, as `datasets` stores a list of objects
        lists = {key: items for key, items in value.items() if isinstance(items, (list, tuple))}
        length = len(next(iter(lists.values()), ()))
        items: list[Any] = [
            {key: values[index] if index < len(values) else None for key, values in lists.items()} for index in range(length)
        ]
    else:
        items = _list(value, "spans")
    spans = sorted({_span(item, text, names) for item in items})
    for before, after in pairwise(spans):
        if after.start < before.end:
            first, second = (f"{span.start} to {span.end} ({span.label})" for span in (before, after))
            raise ValueError(f"overlapping spans, {first} and {second}; a word has one tag: keep one of them")
    return spans


def _span(item: Any, text: str, names: Sequence[str]) -> LabelledSpan:
    if isinstance(item, Mapping):
        start, end, label = (_field(item, keys) for keys in (START_NAMES, END_NAMES, LABEL_NAMES))
    elif isinstance(item, (list, tuple)) and len(item) >= 3:
        start, end, label = item[:3]
    else:
        raise ValueError(f"{shown(item)} instead of a span; {SHAPE}")
    start, end = _offset(start, item), _offset(end, item)
    if label is None or label == "":
        raise ValueError(f"a span without a label, {shown(item)}; {SHAPE}")
    if not 0 <= start < end <= len(text):
        where = "is empty" if start == end else f"is not within the text of {len(text):,} characters"
        raise ValueError(f"the span {start} to {end}, which {where}; offsets count characters, from 0, and the end is exclusive")
    if not text[start:end].strip():
        raise ValueError(f"the span {start} to {end} ({label}), which is blank in the text")
    return LabelledSpan(start, end, _tag(label, names))


def _field(item: Mapping[Any, Any], keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if key in item), None)


def _offset(value: Any, item: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError(f"{shown(item)} instead of a span; {SHAPE}")
    return int(value)


def _list(value: Any, what: str) -> list[Any]:
    """The items of a list, which may be written as text, as pandas does in csv."""
    if isinstance(value, str):
        value = parse_written(value) or value
    if isinstance(value, (list, tuple)):
        return list(value)
    if type(value).__name__ == "ndarray":
        return list(value.tolist())
    raise ValueError(f"no {what}" if value is None else f"{shown(value)} instead of a list of {what}")
