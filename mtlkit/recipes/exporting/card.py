"""The model card of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.hub_ids import parse_license
from mtlkit.config.small_files import read_text
from mtlkit.errors import UsageError, first_line
from mtlkit.evaluation.figures import DETAILS
from mtlkit.inference.find_model import ModelRef
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.exporting.formats.base import format_of
from mtlkit.recipes.inputs.card_facts import parameters_of
from mtlkit.recipes.inputs.model_record import HUB
from mtlkit.recipes.inputs.open_model import open_model
from mtlkit.report.cards.card import model_card
from mtlkit.report.cards.facts import CardFacts
from mtlkit.report.cards.figures import TEST
from mtlkit.report.cards.names import public_path
from mtlkit.runs.record import RunRecord

LEFT_OUT = "\nThe {} of the run is not part of this export: the format has no place for it.\n"


@dataclass(frozen=True)
class CardText:
    """What a user adds to a card: Markdown, and metadata for the front matter."""

    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


def card_text(path: Path | None) -> CardText:
    """The file of `--card`. Raises UsageError if it cannot be read, or if the hub would not accept its metadata."""
    if path is None:
        return CardText()
    from huggingface_hub import ModelCard

    try:
        content = read_text(path)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--card {path} cannot be read ({error}); give a file of Markdown in UTF-8") from None
    try:
        card = ModelCard(content)
        metadata: dict[str, Any] = card.data.to_dict() if content.lstrip("\ufeff").startswith("---") else {}  # type: ignore[no-untyped-call]
    except Exception as error:  # of any YAML parser
        raise UsageError(f"--card {path}: its metadata between --- and --- is no YAML ({first_line(error)}); fix it") from None
    if isinstance(stated := metadata.get("license"), str):
        try:
            parse_license(stated)
        except UsageError as error:
            raise UsageError(f"--card {path}: {str(error).removeprefix('--')}") from None
    return CardText(card.text.strip() + "\n", metadata)


def test_figures(options: ExportOptions, model: ModelRef) -> dict[str, dict[str, Any]]:
    """The metrics of each head on the test rows of its data, with 95 % intervals, as `mtlkit eval` gives them. Raises UsageError,
    DataError."""
    asked = EvalOptions(model=str(model.path), runs=options.runs)
    loaded, _ = open_model(asked)
    if not loaded.tasks or loaded.record is None:
        missing = f"{model} was not trained by mtlkit" if loaded.tasks else loaded.without_heads
        raise UsageError(f"--test scores heads on the test rows of their data, and {missing}; remove it")
    tasks = evaluate(asked, loaded).tasks
    tested = {name: task for name, task in tasks.items() if task.split == TEST}
    if not tested:
        raise UsageError(f"--test: the data of {model} has no test split; remove it, and the card has validation figures")
    return {
        name: {"split": task.split, **{key: value for key, value in task.metrics.items() if key not in DETAILS}}
        for name, task in tested.items()
    }


test_figures.__test__ = False  # type: ignore[attr-defined]  # no test


def export_card(
    options: ExportOptions,
    record: RunRecord,
    weights: LoadedWeights,
    card: CardText,
    out: Path,
    left_out: tuple[str, ...],
    difference: float | None,
) -> str:
    """README.md of an export. Raises UsageError if metadata of the user does not fit the rest."""
    exporter = format_of(options.format)
    facts = CardFacts(
        record,
        weights.checkpoint,
        parameters_of(weights.model),
        options.push or public_path(out.as_posix()),
        exporter.use(weights),
        on_hub=options.push is not None,
        verb="exported",
        base_model=(record.parent or {}).get(HUB),
        trained_by=weights.record,
        details=exporter.details(weights) + "".join(LEFT_OUT.format(part) for part in left_out),
        text=card.text,
        metadata=card.metadata,
        format=exporter.card_facts(),
        difference=difference,
    )
    try:
        return model_card(facts)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--card {options.card}: its metadata does not fit the hub ({first_line(error)}); fix it") from None
