from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.sources.input_tables import input_tables
from mtlkit.errors import UsageError


def test_a_limit_is_refused_as_every_row_of_an_input_counts(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\na\nb\n")
    assert [table.name for table in input_tables([f"{file}?text=text"])] == [str(file)]
    for text in (f"{file}?limit=1", "sample:topic:limit=20"):
        with pytest.raises(UsageError, match=r"limit is for training and evaluation.*remove it"):
            input_tables([text])
