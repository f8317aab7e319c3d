"""The next command after a training, ready to type."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from mtlkit.config.common import TrainingOptions
from mtlkit.config.shell import command_text
from mtlkit.data.sources import find_split, open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.errors import MtlkitError

DEFAULT_RUNS = Path("runs")


def next_command(
    usual: str, out: Path, folder: str, options: TrainingOptions, sources: Iterable[str] = (), *, held_out: bool = True
) -> str:
    """`usual` with the options it needs to find the run at `out` and to read its data.

    `folder` is the default name of the run. Unless all `sources` have a test split, `eval` uses the validation split, and if
    that was not `held_out` in the training, the command is `predict`, of pairs where all sources have pairs.
    """
    words = shlex.split(usual)
    evaluates = words[1] == "eval"
    model: list[str] = []
    if out != DEFAULT_RUNS / folder:
        model = ["--model" if evaluates else "--init", f"./{out}" if str(out).startswith("-") else str(out)]
    words += model
    sources = list(sources)
    if evaluates and not all(map(_has_test, sources)):
        if not held_out:
            pairs = bool(sources) and all(parse_source(source)[1].pair for source in sources)
            return predict_command(model, pairs=pairs)
        words += ["--split", "validation"]
    if evaluates and options.encoding != "utf-8":
        words += ["--encoding", options.encoding]
    if evaluates and options.on_bad_row == "skip":
        words += ["--on-bad-row", "skip"]
    return command_text(words)


def predict_command(model: Sequence[str], *, pairs: bool) -> str:
    """`predict` of a text, or of a pair of texts, with the options that name the `model`."""
    return command_text(["mtlkit", "predict", *model, *(["--pair", "a text", "another text"] if pairs else ["a text"])])


def _has_test(source: str) -> bool:
    try:
        address, query = parse_source(source)
        opened = open_source(address, query)
        test = find_split(opened, "test")
    except MtlkitError:  # moved or offline: eval reports it
        return True
    return test is not None and test != find_split(opened, query.split)
