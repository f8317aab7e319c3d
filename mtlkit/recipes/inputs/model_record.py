"""How the record of a run names another model: the one that it started from, or whose heads it took."""

from __future__ import annotations

from pathlib import Path

from mtlkit.errors import MtlkitError
from mtlkit.inference.find_model import ModelRef
from mtlkit.model.digest import digest_of
from mtlkit.recipes.run_info.files import any_record
from mtlkit.recipes.run_info.lineage import find_parent
from mtlkit.report.cards.names import cached_hub_id

HUB = "hub"  # the key of a hub id


def model_record(model: ModelRef) -> dict[str, str]:
    """The path and digest of a model, and the hub id of it or of the model that it descends from, if there is one."""
    record = {"path": str(model), "digest": digest_of(model.path)}
    return record | ({HUB: hub_id} if (hub_id := hub_origin(model.path)) else {})


def hub_origin(folder: Path) -> str | None:
    """The hub id of a model, or of the nearest ancestor that came from the hub; None if there is none, or it is not known."""
    seen: set[Path] = set()
    while folder.resolve() not in seen:
        seen.add(folder.resolve())
        if hub_id := cached_hub_id(str(folder.absolute())):
            return hub_id
        try:
            parent = any_record(folder).parent or {}
        except MtlkitError:
            return None
        if hub_id := parent.get(HUB) or cached_hub_id(str(parent.get("path", ""))):
            return hub_id
        place, _ = find_parent(str(parent.get("path", "")), str(parent.get("digest", "")), folder)
        if place is None:
            return None
        folder = place
    return None
