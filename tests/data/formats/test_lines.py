from __future__ import annotations

from pathlib import Path

from mtlkit.data.sources.readers import describe, read
from mtlkit.data.sources.rows import BadRow


def test_lines_of_fasttext_have_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("__label__x hello you\n\n__label__y\tb __label__ c\nno label\n__label__x __label__y two\n")
    first, second, *bad = read(path)
    assert [first, second] == [{"text": "hello you", "label": ["x"]}, {"text": "b __label__ c", "label": ["y"]}]
    assert isinstance(bad[0], BadRow)
    assert bad[1] == {"text": "two", "label": ["x", "y"]}
    assert describe(path)[0].format == "fasttext"


def test_one_label_a_line_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("__label__x hello\n__label__y you\n")
    assert list(read(path)) == [{"text": "hello", "label": "x"}, {"text": "you", "label": "y"}]


def test_other_lines_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("about __label__x\n__label__y you\n")
    assert [row["text"] for row in read(path)] == ["about __label__x", "__label__y you"]  # type: ignore[index]
    assert describe(path)[0].format == "txt"
