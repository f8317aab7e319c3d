"""Pages in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def watched_page(browser: Any, path: Path, width: int, scheme: str) -> tuple[Any, list[str], list[str]]:
    """A file in a window of a width and a colour scheme; what its console says, and the addresses that it asks for."""
    view = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    said: list[str] = []
    asked: list[str] = []
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.on("request", lambda request: asked.append(request.url))
    view.goto(path.resolve().as_uri())
    return view, said, asked
