"""Shell completion for values of options. It must be quick: torch is never imported here."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import typer

from mtlkit.config.architecture import Stage
from mtlkit.config.option import Completes, Declaration
from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.config.registries.methods import ordered
from mtlkit.errors import MtlkitError

STAGES: tuple[Stage, ...] = ("mtl", "sentence", "base")
VARIABLE = "_MTLKIT_COMPLETE"
BREAKS = {":", "=", ":="}  # characters at which bash splits a word
SAMPLES = ("topic=sample:topic", "sentiment=sample:sentiment")

Complete = Callable[[typer.Context, str], list[str]]


def completer(declared: Declaration, choices: tuple[str, ...] = ()) -> Complete | None:
    """The completion function that Typer calls for an option, which may have `choices` by its annotation; None if the shell
    completes files by itself."""
    offered = choices or declared.complete if declared.choices is None else tuple(declared.choices)
    if declared.methods is not None and offered is None:
        offered = tuple(method.fixed_part for method in ordered(declared.methods))
    if offered is None or offered == "file":
        return None

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        if isinstance(offered, tuple):
            return [choice for choice in offered if choice.startswith(incomplete)]
        with suppress(MtlkitError, OSError):  # a broken run is no reason for noise at the prompt
            named = (declared.metavar or "").startswith("NAME")
            return [value for value in KINDS[offered](incomplete, typed_options(ctx), named) if value.startswith(incomplete)]
        return []

    return complete


def typed_options(ctx: typer.Context) -> dict[str, Any]:
    """The options on the command line so far, without defaults."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {name: ctx.params[name] for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}


def runs(_incomplete: str, options: Mapping[str, Any], _named: bool) -> Iterator[str]:
    """Folders of runs, finished or not, and the bundled model."""
    from mtlkit.runs.record import CHECKPOINTS, RECORD

    folder = Path(options.get("runs") or "runs")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and ((path / RECORD).is_file() or (path / CHECKPOINTS).is_dir()):
            yield str(path)
    yield "mini"


def starts(incomplete: str, options: Mapping[str, Any], named: bool) -> Iterator[str]:
    yield from runs(incomplete, options, named)
    yield "scratch"


def heads(_incomplete: str, options: Mapping[str, Any], _named: bool = False) -> Iterator[str]:
    """The tasks of the selected model, and those to be trained."""
    from mtlkit.inference.find_model import find_model
    from mtlkit.model.description import is_foreign, read_checkpoint

    model = options.get("model") or options.get("init") or options.get("run")
    known = list(dict.fromkeys(task.partition("=")[0] for task in _several(options.get("task")) if "=" in task))
    if model != "scratch" and (model is None or model == "mini" or Path(model).is_dir()):
        path = find_model(model, Path(options.get("runs") or "runs"), STAGES).path
        if not is_foreign(path):
            known += [task.name for task in read_checkpoint(path).tasks if task.name not in known]
    yield from known


def heads_of_runs(incomplete: str, options: Mapping[str, Any], named: bool) -> Iterator[str]:
    """RUN: for each run, then its heads."""
    run, colon, _ = incomplete.rpartition(":")
    if colon:
        yield from (f"{run}:{task}" for task in heads("", {"model": run}))
        return
    yield from (f"{name}:" for name in runs(incomplete, options, named))


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def parts(incomplete: str, options: Mapping[str, Any], _named: bool) -> Iterator[str]:
    """Targets of --freeze, after the last comma and a '-' that thaws."""
    done, comma, item = incomplete.rpartition(",")
    before = done + comma + ("-" if item.startswith("-") else "")
    yield before + "none"
    for target in ordered(FREEZE_TARGETS):
        values = KINDS[target.complete](incomplete, options, False) if target.complete else ("",)
        yield from (before + target.fixed_part + value for value in values)


def watched(incomplete: str, options: Mapping[str, Any], named: bool) -> Iterator[str]:
    yield from sources(incomplete, options, named) if "=" in incomplete else heads(incomplete, options)


def sources(incomplete: str, options: Mapping[str, Any], named: bool) -> Iterator[str]:
    """Samples, tasks of the model, files and folders."""
    name, equals, address = incomplete.rpartition("=") if named else ("", "", incomplete)
    if named and not equals:
        yield from SAMPLES
        yield from (f"{task}=" for task in heads(incomplete, options))
        return
    for path in ("sample:topic", "sample:sentiment", *files(address)):
        yield name + equals + path


def files(beginning: str) -> Iterator[str]:
    """Files and folders whose path has this beginning."""
    folder, name = os.path.split(beginning)
    for path in sorted(Path(folder or ".").iterdir()):
        if path.name.startswith(name) and (name.startswith(".") or not path.name.startswith(".")):
            yield os.path.join(folder, path.name) + ("/" if path.is_dir() else "")


KINDS: dict[Completes, Callable[[str, Mapping[str, Any], bool], Iterable[str]]] = {
    "run": runs,
    "init": starts,
    "task": heads,
    "watched": watched,
    "part": parts,
    "source": sources,
    "head": heads_of_runs,
}


def in_bash(run: Callable[[], object]) -> None:
    """Completes for bash, which splits a word such as `head:topic` at the colon and replaces only the last part: joins the parts
    of the word for `run`, and removes the earlier ones from its answers."""
    words, index = os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD") or 0)
    joined, current = joined_words(words[: index + 1])
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(joined), str(len(joined) - 1)
    before = current[: max(current.rfind(":"), current.rfind("=")) + 1]
    answers = io.StringIO()
    try:
        with redirect_stdout(answers):
            run()
    finally:
        for line in answers.getvalue().splitlines():
            if shown := line.removeprefix(before):
                print(shown)


def joined_words(words: list[str]) -> tuple[list[str], str]:
    """The words as typed, and the last of them."""
    joined: list[str] = []
    glue = False
    for word in words:
        if joined and (word in BREAKS or glue):
            joined[-1] += word
        else:
            joined.append(word)
        glue = word in BREAKS
    return joined, joined[-1] if joined else ""
