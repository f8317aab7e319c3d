from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mtlkit.data.formats.unsupported import conversion
from mtlkit.data.sources.readers import read
from mtlkit.errors import DataError


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("my data.xlsx", "python -c"),
        ("a.ods", "pip install odfpy"),
        ("a.zip", "unzip"),
        ("a.tar.gz", "tar xf"),
        ("a.pkl", "never opened"),
        ("a.sqlite", "sqlite3"),
        ("a.avro", "fastavro a.avro > a.jsonl"),
        ("a.yaml", "yq -o=json"),
    ],
)
def test_a_format_that_is_not_read_comes_with_the_command_that_converts(tmp_path: Path, name: str, way: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(DataError, match=way) as error:
        list(read(tmp_path / name))
    assert "\n" not in str(error.value)


def test_the_command_is_one_that_a_shell_and_python_take() -> None:
    command = conversion("it's a table.xlsx", ".xlsx").partition("convert it: ")[2].rpartition(" (pip")[0]
    _, _, code = shlex.split(command)
    compile(code, "command", "exec")
    assert "it's a table.csv" in code
