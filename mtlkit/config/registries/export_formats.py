"""The formats of `export --format` by name. They are defined in `mtlkit/recipes/exporting/formats/`, one module each."""

from __future__ import annotations

from typing import Any

from mtlkit.config.registries.registry import Registry

EXPORT_FORMATS: Registry[Any] = Registry("export format", "mtlkit.recipes.exporting.formats")
