"""Parses `--test`: the test rows that a training is scored on when it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import parse_tasks
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.find_model import ModelRef
from mtlkit.recipes.training.planning.continual import recorded_sources
from mtlkit.training.plan import Options, TestSource

ALL = "all"  # what `--test` alone means


def parse_tests(
    options: Options, start: ModelRef | None, known: Collection[str], sources: Mapping[str, str]
) -> dict[str, TestSource]:
    """The test rows of each task. `known` are the tasks that the starting model has heads for, and `sources` the data of those
    that are trained or watched. Raises UsageError."""
    if options.test and options.objective != "classify":
        raise UsageError(f"--test scores heads, and --objective {options.objective} trains none; remove it")
    tests: dict[str, TestSource] = {}
    if ALL in options.test:
        tests = {name: TestSource(source) for name, source in sources.items()}
    for name, source in _given([text for text in options.test if text != ALL]):
        if name not in known and name not in sources:
            heads = listed(dict.fromkeys([*sources, *known]))
            near = suggest(name, [*sources, *known], "--test")
            raise UsageError(f"--test {name}: no such task; there are {heads}{near}")
        if name in tests and tests[name].required:
            raise UsageError(f"--test {name} is given twice; remove one of them")
        own = sources.get(name) or recorded_sources(start).get(name, "")
        if not source and not own:
            raise UsageError(f"--test {name}: {start} does not say what it was trained on; give the rows: --test {name}=SOURCE")
        parse_source(source or own)
        tests[name] = TestSource(source or own, named=bool(source), required=True)
    return tests


def _given(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and source of each value; the source is empty for a name alone."""
    for text in texts:
        yield from parse_tasks(text, "--test") if "=" in text else [(text, "")]
