"""mtlkit: from raw text to a small sentence encoder with several task heads."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlkit.api import check_data as check_data
    from mtlkit.api import curves as curves
    from mtlkit.api import embed as embed
    from mtlkit.api import embed_to_file as embed_to_file
    from mtlkit.api import evaluate as evaluate
    from mtlkit.api import export as export
    from mtlkit.api import heads as heads
    from mtlkit.api import info as info
    from mtlkit.api import join as join
    from mtlkit.api import list_runs as list_runs
    from mtlkit.api import mine as mine
    from mtlkit.api import predict as predict
    from mtlkit.api import predict_to_file as predict_to_file
    from mtlkit.api import pretrain as pretrain
    from mtlkit.api import serve as serve
    from mtlkit.api import train_mtl as train_mtl
    from mtlkit.api import train_sentence as train_sentence
    from mtlkit.api import write_report as write_report
    from mtlkit.inference.load_model import load as load
    from mtlkit.inference.loaded_model import LoadedModel as LoadedModel

__version__ = "0.1.0"
__all__ = [
    "LoadedModel",
    "check_data",
    "curves",
    "embed",
    "embed_to_file",
    "evaluate",
    "export",
    "heads",
    "info",
    "join",
    "list_runs",
    "load",
    "mine",
    "predict",
    "predict_to_file",
    "pretrain",
    "serve",
    "train_mtl",
    "train_sentence",
    "write_report",
]


MODULES = {"LoadedModel": "mtlkit.inference.loaded_model", "load": "mtlkit.inference.load_model"}  # of others than mtlkit.api


def __getattr__(name: str) -> Any:
    """Imports on first use: `import mtlkit` loads neither torch nor the command line."""
    if name not in __all__:
        raise AttributeError(f"module 'mtlkit' has no attribute {name!r}")
    module = MODULES.get(name, "mtlkit.api")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
