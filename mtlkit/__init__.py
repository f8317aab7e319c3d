"""mtlkit: from raw text to a small sentence encoder with several task heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlkit.inference.loaded_model import LoadedModel as LoadedModel
    from mtlkit.inference.loaded_model import load as load

__version__ = "0.1.0"
__all__ = ["LoadedModel", "load"]


def __getattr__(name: str) -> Any:
    """`mtlkit.load` without importing torch until it is used."""
    if name in __all__:
        from mtlkit.inference import loaded_model as loading

        return getattr(loading, name)
    raise AttributeError(f"module 'mtlkit' has no attribute {name!r}")
