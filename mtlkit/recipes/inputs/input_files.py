"""The local files and folders that a command reads, which its output must not overwrite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.commands.evaluate import parse_retrieval
from mtlkit.config.paths import expand
from mtlkit.data.sources import local_paths
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.text_files import address_of
from mtlkit.errors import MtlkitError
from mtlkit.inference.find_model import MINI, ModelRef, mini_folder
from mtlkit.runs.overlap import Input
from mtlkit.runs.record import read_record, record_name

FILES = {"card"}  # options that name a file
MODELS = {"init", "model", "teacher", "run", "against"}  # options that name a model or run
SOURCES = {
    "task",
    "watch",
    "test",
    "sources",
    "source",
    "corpus",
    "sts",
    "text",
    "input",
}  # options that name data, perhaps after NAME=
STANDARD_INPUT = Path("/dev/stdin")


def inputs_of(options: Any, *models: ModelRef | None) -> list[Input]:
    """All local files and folders that options name, and the given `models`, each with its parent."""
    assert is_dataclass(options)
    inputs: list[Input] = []
    for item in fields(options):
        value, flag = getattr(options, item.name), name_of(item)
        if value is None or isinstance(value, bool):  # `--test` of an export names no data
            continue
        if item.name in FILES:
            inputs.append(Input(expand(value), flag))
        elif item.name == "others":
            inputs += [Input(expand(run), flag) for run in value]
        elif item.name in MODELS and value != "scratch":
            inputs.append(Input(mini_folder() if value == MINI else expand(value), flag))
        elif item.name in SOURCES:
            inputs += _sources([str(value)] if isinstance(value, (str, Path)) else value, flag)
        elif item.name == "retrieval":
            inputs += _sources([source for text in value for source in parse_retrieval(text)], flag)
    if getattr(options, "texts", None) == ["-"]:
        inputs.append(Input(STANDARD_INPUT, "standard input"))
    for model in filter(None, models):
        inputs += _model(model)
    return inputs


def name_of(item: Field[Any]) -> str:
    """The name of an option on the command line: `--batch-tokens`, or `RUN` for a positional argument."""
    declared = item.metadata.get("option")
    if declared is not None and declared.positional:
        return str(declared.metavar or item.name.upper())
    return f"--{item.name.replace('_', '-')}"


def _sources(values: Iterable[str], flag: str) -> Iterator[Input]:
    for text in values:
        for source in (text, text.partition("=")[2]):
            with suppress(MtlkitError):
                address = parse_source(address_of(source))[0] if source else ""
                if address == "-":
                    yield Input(STANDARD_INPUT, "standard input")
                else:
                    yield from (Input(expand(path), flag) for path in local_paths(address))


def _model(model: ModelRef) -> Iterator[Input]:
    yield Input(model.path, "the model")
    with suppress(MtlkitError):
        parent = read_record(model.path, record_name(model.path)).parent
        if parent and parent.get("path") not in (None, MINI):
            yield Input(Path(parent["path"]), f"the parent of {model},")
