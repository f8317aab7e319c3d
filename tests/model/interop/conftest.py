"""Folders of other tools to read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peers import write_peer

Make = Callable[[str], tuple[Path, Any]]


@pytest.fixture
def make_peer(tmp_path: Path, passages: list[str]) -> Make:
    """`make_peer("bert")`: a folder, and the model of transformers that is in it."""

    def make(kind: str) -> tuple[Path, Any]:
        folder = tmp_path / kind
        return folder, write_peer(kind, folder, passages)

    return make
