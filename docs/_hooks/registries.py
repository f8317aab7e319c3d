"""A page that lists what the registries hold, with the line of help that each item has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "reference/names.md"
PACKAGE = Path(__file__).parents[2] / "mtlkit"
DECLARED = re.compile(r"^(\w+): Registry\[", re.MULTILINE)


def registries() -> Iterator[Any]:
    """Every registry that a module of the package declares."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for name in DECLARED.findall(path.read_text(encoding="utf-8")):
            yield resolve_name(f"{module}:{name}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    parts = [
        "# Names",
        "What options accept by name. Each item is defined in one module; see [Contributing](../contributing.md).",
    ]
    parts += [section(one) for one in registries()]
    files.append(File.generated(config, PAGE, content="\n\n".join(parts)))
    return files


def section(registry: Any) -> str:
    """A table of a registry."""
    title = registry.noun
    rows = [f"| `{getattr(item, 'syntax', name)}` | {item.help} |" for name, item in registry.items()]
    return "\n".join([f"## {title[0].upper()}{title[1:]}", "", "| name | |", "|---|---|", *rows])
