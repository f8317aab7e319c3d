"""What the tutorial types to a server works."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
from pages import ROOT, blocks

PAGE = ROOT / "docs" / "tutorials" / "serve.md"
SHOWN = "127.0.0.1:8000"
BLOCKS = [block for block in blocks(PAGE) if block.title.startswith("Needs the server")]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_the_tutorial_works_as_typed(server: Any) -> None:
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        text = block.text.replace(SHOWN, f"127.0.0.1:{server.client.port}")
        if block.language == "python":
            pytest.importorskip("openai")
            names: dict[str, Any] = {}
            exec(compile(text, PAGE.name, "exec"), names)
            assert len(names["vectors"]) == 2
            names["client"].close()
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=True, stdout=subprocess.DEVNULL)
