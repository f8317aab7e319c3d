"""Renders a page with its template. Jinja escapes everything that comes from data."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

from mtlkit.report.page.content import Page

BREAK = "\N{ZERO WIDTH SPACE}"
FORMATS = {".html": "page.html.j2", ".md": "page.md.j2"}


def rendered(page: Page, suffix: str) -> str:
    """The page as HTML or Markdown."""
    escape = suffix == ".html"
    environment = Environment(
        loader=FunctionLoader(_source), autoescape=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": markdown_cell, "code": markdown_code}
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    script, style = _source("page.js"), _source("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(FORMATS[suffix]).render(page=page, script=script, style=style, script_digest=digest)


def markdown_cell(text: object) -> str:
    """A value in a cell of a Markdown table, as plain text: no markup, no links, and nobody is mentioned."""
    plain = " ".join(str(text).split())
    for sign in "\\`*_{}[]<>#|~&$":
        plain = plain.replace(sign, f"\\{sign}")
    return plain.replace("://", "\\://").replace("www.", "www\\.").replace("@", f"@{BREAK}")


def markdown_code(text: str) -> str:
    """A block of code, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}sh\n{text}\n{fence}"


def _source(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
