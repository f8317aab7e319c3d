"""How the record of a run names another model: the one that it started from, or whose heads it took."""

from __future__ import annotations

from mtlkit.inference.find_model import ModelRef
from mtlkit.model.digest import digest_of


def model_record(model: ModelRef) -> dict[str, str]:
    """The path and digest of a model."""
    return {"path": str(model), "digest": digest_of(model.path)}
