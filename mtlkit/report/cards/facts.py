"""What a model card is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.registries.adapters import SHARED
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.names import public_path
from mtlkit.runs.record import RunRecord
from mtlkit.tasks.base import kind_of

TITLES = {"base": "A base", "sentence": "A sentence encoder", "mtl": "A sentence encoder with task heads"}
PLACE = "this/folder"  # in templates: what loads the model


@dataclass(frozen=True)
class FormatFacts:
    """A format of models, for hubs: the library that loads it, what a page of the hub tries it with (None: what the heads are
    for), tags; whether mtlkit evaluates it as it evaluates a run."""

    loader: str = "mtlkit"
    pipeline: str | None = None
    tags: tuple[str, ...] = ()
    is_run: bool = True


@dataclass(frozen=True)
class CardFacts:
    """A run or an export.

    name        what loads it: its folder, or with `on_hub` its hub id
    base_model  the hub id of the model that it descends from, if there is one
    trained_by  the record of the run that was exported; None for a run itself
    use         how to use it, in Markdown with PLACE for its name; `details` more of this, for the end of the card
    text        Markdown of the user, with `metadata` of their own for the front matter
    difference  the largest difference of an export from its model
    """

    record: RunRecord
    description: ModelDescription
    parameters: int
    name: str
    use: str
    on_hub: bool = False
    verb: str = "trained"
    base_model: str | None = None
    trained_by: RunRecord | None = None
    details: str = ""
    text: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    format: FormatFacts = FormatFacts()
    difference: float | None = None

    @property
    def title(self) -> str:
        """The last name of the model; of an export in its run, with that of the run."""
        *above, last = PurePosixPath(self.name).parts or (self.name,)
        return f"{above[-1]} ({last})" if above and str(last).startswith(str(self.record.options.get("format"))) else last

    @property
    def license(self) -> str | None:
        stated = self.metadata.get("license") or self.record.options.get("license")
        return stated if isinstance(stated, str) else None

    @property
    def languages(self) -> list[str]:
        stated = self.metadata.get("language") or self.record.options.get("language")
        codes = [stated] if isinstance(stated, str) else stated
        return [code for code in codes if isinstance(code, str)] if isinstance(codes, list) else []

    @property
    def test_sources(self) -> dict[str, str]:
        """The test rows of tasks that were given to the training apart from its data, as `--test NAME=SOURCE`."""
        return (self.trained_by or self.record).test_sources

    @property
    def evaluated_as(self) -> str:
        """The model that `mtlkit eval` measures: this one, or that which was exported."""
        parent = str((self.record.parent or {}).get("path", ""))
        return self.name if self.format.is_run or not parent else public_path(parent)


def adapter_title(task: str) -> str:
    """Whose adapter it is: that of a task, or of all under SHARED."""
    return "all tasks:" if task == SHARED else f"{task}:"


def kind_title(task: TaskSpec) -> str:
    """The kind of a task, and whether its head reads pairs of texts or, for words, the scheme of its tags."""
    if task.tags is not None:
        return f"{task.kind}, {task.tags} tags" if task.transitions is None else f"{task.kind}, {task.tags} tags, CRF"
    reads = {None: "", "vectors": ", pairs", "joint": ", pairs in one sequence", "either": ", single texts or pairs"}
    return f"{task.kind}{reads[task.pair]}"


def pipeline_of(description: ModelDescription) -> str:
    """The task of the hub that a model is for."""
    if description.stage == "base":
        return "text-generation" if description.architecture.attention == "causal" else "fill-mask"
    kinds = [kind_of(task.kind).hub_task for task in description.tasks]
    return max(kinds, key=kinds.count) if kinds else "sentence-similarity"
