"""What the model card of a run says, from its folder and its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtlkit.model.description import read_checkpoint
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.inputs.model_record import HUB
from mtlkit.report.cards.card import model_card
from mtlkit.report.cards.facts import CardFacts
from mtlkit.report.cards.names import public_path
from mtlkit.report.cards.use import mtlkit_use
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import CARD, PACKAGES, RunRecord

TERMS = ("license", "language")  # options that describe a model, and are those of what is made from it without training


def write_card(folder: Path, out: Path, record: RunRecord, model: MultiTaskModel, *, verb: str = "trained") -> None:
    """Writes the card of a run that is in the staged `folder`, complete but for card and record. Raises OSError."""
    description = read_checkpoint(folder)
    record = replace(record, finished=datetime.now(timezone.utc).isoformat(), versions={name: version(name) for name in PACKAGES})
    base = (record.parent or {}).get(HUB)
    use = mtlkit_use(description)
    facts = CardFacts(record, description, parameters_of(model), public_path(out.as_posix()), use, verb=verb, base_model=base)
    disk.write(folder / CARD, model_card(facts).encode(errors="backslashreplace"))


def parameters_of(model: MultiTaskModel) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def with_terms(record: RunRecord, source: RunRecord | None) -> RunRecord:
    """The record of what was made from a run: license and language are those of the run, unless its own options have some."""
    kept: dict[str, Any] = {name: source.options.get(name) for name in TERMS} if source else {}
    own = {name: value for name in TERMS if (value := record.options.get(name) or kept.get(name))}
    return replace(record, options={**record.options, **own})
