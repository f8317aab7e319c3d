"""Files that are no tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.tokenization.files import load_tokenizer
from mtlkit.errors import IntegrityError


@pytest.mark.parametrize("content", ["", "{}", "<!DOCTYPE html>"])
def test_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(IntegrityError, match=r"tokenizer\.json: (not a tokenizer|an HTML page)"):
        load_tokenizer(path)
