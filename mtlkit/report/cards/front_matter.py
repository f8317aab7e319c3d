"""The YAML front matter of a model card, as the Hugging Face hub reads it, made with its own library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.grammar.spec import split_source
from mtlkit.data.sources.hub_source import HUB_ID as DATA_ID
from mtlkit.data.sources.hub_source import SHORT_NAMES
from mtlkit.errors import shorten
from mtlkit.report.cards.facts import CardFacts, pipeline_of
from mtlkit.report.cards.figures import TEST, Figure, figures
from mtlkit.report.cards.names import public_source
from mtlkit.report.text import printable
from mtlkit.tasks.base import kind_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TAG = "mtlkit"


def front_matter(facts: CardFacts) -> str:
    """The front matter with its dashes. Raises ValueError if metadata of the user does not fit."""
    from huggingface_hub import ModelCardData  # imported here, as only cards need it

    measured = list(figures(facts))
    tested = [one for one in measured if one.split == TEST] or measured
    several = ("multi-task",) if len(facts.description.tasks) > 1 else ()
    values: dict[str, Any] = {
        "language": facts.languages or None,
        "license": facts.license,
        "library_name": facts.format.loader,
        "pipeline_tag": facts.format.pipeline or pipeline_of(facts.description),
        "base_model": facts.base_model,
        "datasets": list(dict.fromkeys(hub_data(facts))) or None,
        "metrics": list(dict.fromkeys(one.metric.hub_id for one in tested)) or None,
        "tags": list(dict.fromkeys([*facts.format.tags, TAG, *several])),
        "model_name": facts.title if tested else None,
        "eval_results": [_result(facts, one) for one in tested] or None,
    }
    data = ModelCardData(**{**values, **facts.metadata})
    return f"---\n{data.to_yaml()}\n---\n"


def _result(facts: CardFacts, one: Figure) -> EvalResult:
    from huggingface_hub import EvalResult

    apart = facts.test_sources.get(one.task) if one.split == TEST else None
    name = data_name([apart] if apart else sources(facts).get(one.task, [])) or one.task or "texts"
    kinds = {task.name: kind_of(task.kind).hub_task for task in facts.description.tasks}
    data_id = None if apart else next(iter(_hub_ids(facts, one.task)), None)
    return EvalResult(
        task_type=kinds.get(one.task, pipeline_of(facts.description)),
        task_name=one.task or None,
        dataset_type=data_id or re.sub(r"[^\w.-]+", "-", name.partition(".")[0]).strip("-.") or "data",
        dataset_name=name,
        dataset_split=one.split,
        metric_type=one.metric.hub_id,
        metric_name=one.metric.title if one.interval is None else f"{one.metric.title}, 95 % interval {_ends(one)}",
        metric_value=round(one.value, 4),
    )


def _ends(one: Figure) -> str:
    assert one.interval is not None
    return " to ".join(f"{end:.4f}" for end in one.interval)


def sources(facts: CardFacts) -> dict[str, list[str]]:
    """The data of each task; under "" that of a base."""
    data = facts.record.data
    texts = data.get("sources")
    base = {"": [str(source) for source in texts]} if isinstance(texts, list) else {}
    return base | {name: [source] for name, source in facts.record.sources.items()}


def data_name(named: Sequence[str]) -> str:
    """Data as a card names it: the addresses without their keys."""
    return shorten(printable(", ".join(public_source(split_source(source)[0]) for source in named)), 120)


def hub_data(facts: CardFacts) -> Iterator[str]:
    """The hub ids of data sets that the model was trained on."""
    for task in sources(facts):
        yield from _hub_ids(facts, task)


def _hub_ids(facts: CardFacts, task: str) -> Iterator[str]:
    known = {record.source: record for record in facts.description.sources.values()}
    for source in sources(facts).get(task, []):
        address = split_source(source)[0]
        if is_hub_data(address, facts.description.sources.get(task) or known.get(source)):
            yield SHORT_NAMES.get(address, address)
        elif address.startswith("hf://datasets/"):
            yield "/".join(address.split("/")[3:5]).partition("@")[0]


def is_hub_data(address: str, record: SourceRecord | None) -> bool:
    """Whether a source that looks like an id of the hub was one: files on this machine were recorded by their names."""
    if address in SHORT_NAMES:
        return record is None or not record.files
    return "/" in address and DATA_ID.fullmatch(address) is not None and record is not None and not record.files
