from __future__ import annotations

import io
from pathlib import Path

import pytest

from mtlkit.config.inference import TextOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.recipes.inputs.texts import count_by_reading, parts, stream_texts

NOTHING = io.StringIO()


def test_arguments_are_texts() -> None:
    assert list(stream_texts(TextOptions(texts=["a", "-", ""]), NOTHING)) == ["a", "-", ""]


def test_a_lone_dash_reads_standard_input() -> None:
    assert list(stream_texts(TextOptions(texts=["-"]), io.StringIO("a\n\n b \nlast"))) == ["a", "", " b ", "last"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_file_and_standard_input_give_equal_texts(tmp_path: Path, ending: str) -> None:
    content = ending.join(["hello", "", " w\u00f6rld ", "last"]).encode() + ending.encode()
    (tmp_path / "a.txt").write_bytes(content)
    from_file = list(stream_texts(TextOptions(input=tmp_path / "a.txt"), NOTHING))
    for options in (TextOptions(texts=["-"]), TextOptions(input=Path("-"))):
        pipe = io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="\n")
        assert list(stream_texts(options, pipe)) == from_file == ["hello", "", " w\u00f6rld ", "last"]


def test_an_input_is_a_source_with_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("great movie;1\nbad;0\n")
    with pytest.raises(DataError, match=r"a\.csv:1: the first row looks like data"):
        list(stream_texts(TextOptions(input=path), NOTHING))
    options = TextOptions(input=Path(f"{path}:header=no,text=1"))
    assert list(stream_texts(options, NOTHING)) == ["great movie", "bad"]
    (tmp_path / "b.jsonl").write_text('{"meta": {"text": "nested"}}')
    assert list(stream_texts(TextOptions(input=tmp_path / "b.jsonl", column="meta.text"), NOTHING)) == ["nested"]
    assert list(stream_texts(TextOptions(input=tmp_path / "[b]*.jsonl", column="meta.text"), NOTHING)) == ["nested"]


def test_a_lone_column_that_looks_like_several_is_refused(tmp_path: Path) -> None:  # fault 54
    (tmp_path / "a.csv").write_text("text;label\nHello; you;x\nb;y\n")
    with pytest.raises(DataError, match="specify delimiter=semicolon or delimiter=comma"):
        list(stream_texts(TextOptions(input=tmp_path / "a.csv"), NOTHING))


def test_standard_input_is_read_as_it_is_needed() -> None:
    class Endless(io.StringIO):
        taken = 0

        def __next__(self) -> str:
            self.taken += 1
            return f"line {self.taken}\n"

    source = Endless()
    stream = parts(stream_texts(TextOptions(texts=["-"]), source), 3)
    assert next(stream) == ["line 1", "line 2", "line 3"]
    assert source.taken == 3
    assert next(stream) == ["line 4", "line 5", "line 6"]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (7, [3, 3, 1])])
def test_parts_keep_the_order(count: int, sizes: list[int]) -> None:
    found = list(parts(iter(map(str, range(count))), 3))
    assert [len(part) for part in found] == sizes
    assert [text for part in found for text in part] == list(map(str, range(count)))


@pytest.mark.parametrize(
    ("options", "said"),
    [(TextOptions(), "no texts; give some"), (TextOptions(texts=["a"], input=Path("x.csv")), "use one of them")],
)
def test_texts_come_from_one_place(options: TextOptions, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        stream_texts(options, NOTHING)


def test_a_row_without_text_is_an_error_that_names_it(tmp_path: Path) -> None:  # fault 20
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n{"text": null}\n')
    stream = stream_texts(TextOptions(input=path), NOTHING)
    assert next(stream) == "a"
    with pytest.raises(DataError, match=r"in\.jsonl:2: no text in column 'text'"):
        next(stream)


@pytest.mark.parametrize(("name", "content"), [("a.csv", ""), ("a.csv", "text\n"), ("a.txt", ""), ("a.jsonl", "\n")])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str, content: str) -> None:  # fault 24
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="no rows"):
        list(stream_texts(TextOptions(input=tmp_path / name), NOTHING))


def test_words_that_other_tools_take_for_nothing_are_texts(tmp_path: Path) -> None:  # fault 21
    (tmp_path / "a.csv").write_text("text\nNA\nNone\nnull\nnan\n01\n")
    assert list(stream_texts(TextOptions(input=tmp_path / "a.csv"), NOTHING)) == ["NA", "None", "null", "nan", "01"]


def test_texts_of_a_file_are_counted_by_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text('text\n"one\ntext"\ntwo\n')
    assert count_by_reading(TextOptions(input=path)) == 2
    assert count_by_reading(TextOptions(texts=["a"])) is None
    assert count_by_reading(TextOptions(input=Path("-"))) is None
    path.write_text("text,more\na,b\nc,d,e\n")  # reported where it is predicted
    assert count_by_reading(TextOptions(input=path, column="text")) is None
