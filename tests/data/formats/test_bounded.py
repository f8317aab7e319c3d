"""Files of pyarrow that claim more bytes than they have."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pyarrow
import pytest

from mtlkit.data.sources.readers import read
from mtlkit.errors import DataError


@pytest.mark.parametrize("at", [4, 100])  # the length of the schema, and one in the middle of it
def test_a_length_beyond_the_file_takes_no_memory(tmp_path: Path, at: int) -> None:  # fault 49
    path = tmp_path / "a.arrow"
    table = pyarrow.table({"text": ["a cat", "a saw"], "label": ["x", "y"]})
    with pyarrow.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)
    assert len(list(read(path))) == 2
    content = bytearray(path.read_bytes())
    content[at : at + 4] = (2**31 - 100).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"a\.arrow: not a readable Arrow file"):
            list(read(path))
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()


def test_a_state_file_nested_too_deeply_is_none(tmp_path: Path) -> None:
    from mtlkit.data.sources import open_source
    from mtlkit.data.sources.grammar.spec import parse_source

    (tmp_path / "train.csv").write_text("text,label\na cat,x\n")
    (tmp_path / "state.json").write_text("[" * 100_000)
    source = open_source(*parse_source(str(tmp_path)))
    assert source.splits() == ["train"]
