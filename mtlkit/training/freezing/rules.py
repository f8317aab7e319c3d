"""Parses `--freeze` and `--unfreeze` into rules and validates them before any data is read.

A rule is a pattern over the names of weights. The last active rule that matches a weight decides. Nothing here imports torch,
so the command line can report an invalid option at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

from mtlkit.errors import UsageError, listed, shorten, suggest

TARGETS = {
    "backbone": r"backbone\.",
    "embeddings": r"backbone\.(tokens|positions|embedding_norm|widen)\.",
    "norms": r"backbone\.(.*\.)?\w*norm\.",
    "bias": r"backbone\..*\.bias$",
    "pooling": r"backbone\.(norm\.|token_weights$)",  # the final norm and learned token weights
    "heads": r"heads\.",
}
NUMBER = "([0-9]{1,18})"  # int() rejects thousands of digits with a different error
LAYERS = re.compile(f"layers:{NUMBER}(?:-{NUMBER})?")
UNTIL = re.compile(f"until=(epoch|step):{NUMBER}")
UNFREEZE = re.compile(f"top-down(?::every={NUMBER})?")


@dataclass(frozen=True)
class FreezeEnd:
    """When a rule ends: after a number of epochs or steps."""

    unit: Literal["epoch", "step"]
    number: int

    def reached(self, epochs: int, steps: int) -> bool:
        return (epochs if self.unit == "epoch" else steps) >= self.number

    def __str__(self) -> str:
        return f"{self.unit} {self.number}"


@dataclass(frozen=True)
class FreezeRule:
    """One item of `--freeze`: freezes or thaws the weights whose names start with a match of the pattern."""

    item: str
    pattern: re.Pattern[str]
    frozen: bool
    until: FreezeEnd | None = None


@dataclass(frozen=True)
class FreezeRules:
    """All rules for the weights of a model."""

    rules: tuple[FreezeRule, ...]
    weights: tuple[str, ...]

    def at(self, epochs: int, steps: int) -> frozenset[str]:
        """The weights that are frozen after a number of epochs and steps."""
        held = [rule for rule in self.rules if rule.until is None or not rule.until.reached(epochs, steps)]
        return frozenset(name for name in self.weights if self._frozen(name, held))

    @staticmethod
    def _frozen(name: str, rules: Sequence[FreezeRule]) -> bool:
        return next((rule.frozen for rule in reversed(rules) if rule.pattern.match(name)), False)

    @cached_property
    def states(self) -> tuple[frozenset[str], ...]:
        """The sets of frozen weights during training, in order."""
        ends: dict[str, set[int]] = {"epoch": {0}, "step": {0}}
        for rule in self.rules:
            if rule.until:
                ends[rule.until.unit].add(rule.until.number)
        return tuple(dict.fromkeys(self.at(*point) for point in product(sorted(ends["epoch"]), sorted(ends["step"]))))

    @cached_property
    def always(self) -> frozenset[str]:
        """The weights that are frozen throughout."""
        return frozenset.intersection(*self.states)

    def begins(self, weights: Iterable[str]) -> str:
        """When the first of these weights starts training, such as `epoch 2` or `step 101`; empty if at the start."""
        names = set(weights)
        ends = [rule.until for rule in self.rules if rule.until]
        for until in [None, *sorted(ends, key=lambda one: (one.unit, one.number))]:
            epochs, steps = (until.number if until and until.unit == unit else 0 for unit in ("epoch", "step"))
            if not names <= self.at(epochs, steps):
                return f"{until.unit} {until.number + 1}" if until else ""
        return "never"

    def wholly(self, part: str, weights: Iterable[str]) -> bool:
        """Whether these weights include all weights of the `backbone` or of a `head:NAME`."""
        names = {name for name in self.weights if name.startswith(prefix_of(part))}
        return bool(names) and names <= set(weights)

    def keeps(self, part: str) -> bool:
        """Whether all weights of a part are frozen throughout."""
        return self.wholly(part, self.always)


def prefix_of(part: str) -> str:
    """The prefix of the weight names of the `backbone` or of a `head:NAME`."""
    return f"heads.{part.removeprefix('head:')}." if part.startswith("head:") else f"{part}."


def targets_of(heads: Iterable[str], layers: int = 0) -> list[str]:
    """All targets of `--freeze` in a model with these heads and this many layers."""
    inside = [f"layers:0-{layers - 1}" if layers > 1 else "layers:0"] if layers else []
    parts = ["backbone", "embeddings", *inside, "pooling", "norms", "bias", "heads"]
    return [*parts, *(f"head:{name}" for name in heads), "re:PATTERN"]


def parse_freeze(
    items: Iterable[str], unfreeze: str | None, weights: Sequence[str], heads: Sequence[str], layers: int
) -> FreezeRules:
    """Parses items such as `["backbone", "-layers:3@until=epoch:2,head:topic"]` and `"top-down:every=1"` into rules for a model.

    Raises UsageError for an item that matches nothing.
    """
    names = [part.strip() for item in items for part in _split(item) if part.strip()]
    chosen = [name for name in names if name != "none"]
    if chosen and "none" in names:
        raise UsageError(f"--freeze none and --freeze {chosen[0]} contradict each other; remove one of them")
    known = targets_of(heads, layers)
    rules = tuple(_rule(name, known, weights, layers) for name in chosen)
    return FreezeRules((*_unfreezing(unfreeze, layers), *rules), tuple(weights))


def _split(item: str) -> list[str]:
    """Splits a comma-separated list, except at commas within brackets of a pattern."""
    return re.split(r",(?![^\[({]*[\])}])", item)


def _rule(item: str, known: Sequence[str], weights: Sequence[str], layers: int) -> FreezeRule:
    body, at, end = item.partition("@until")
    target = body.removeprefix("-").strip()
    until = None
    if at:
        found = UNTIL.fullmatch(f"until{end}")
        if not found or not int(found[2]):
            raise UsageError(f"--freeze {shorten(item)}: write its end as @until=epoch:K or @until=step:K, K from 1")
        until = FreezeEnd(found[1], int(found[2]))  # type: ignore[arg-type]
    return FreezeRule(item, _pattern(item, target, known, weights, layers), not body.startswith("-"), until)


def _pattern(item: str, target: str, known: Sequence[str], weights: Sequence[str], layers: int) -> re.Pattern[str]:
    if target.startswith("re:"):
        try:
            pattern = re.compile(f".*(?:{target.removeprefix('re:')})")
        except (re.error, OverflowError, RecursionError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else error
            raise UsageError(f"--freeze {shorten(item)}: not a regular expression ({reason})") from None
        if not any(map(pattern.match, weights)):
            raise UsageError(f"--freeze {shorten(item)}: no weight is called so; their names are such as {listed(weights[:3])}")
        return pattern
    if span := LAYERS.fullmatch(target):
        return re.compile(rf"backbone\.blocks\.({'|'.join(map(str, _layers(item, span, layers)))})\.")
    if target in TARGETS:
        pattern = re.compile(TARGETS[target])
        if target == "pooling" and not any(map(pattern.match, weights)):
            raise UsageError(f"--freeze {item}: the pooling of this model has no parameters; known are none, {listed(known)}")
        return pattern
    if target in known and target.startswith("head:"):
        return re.compile(re.escape(prefix_of(target)))
    raise UsageError(
        f"--freeze {shorten(item)}: no such part; known are none, {listed(known)}{suggest(target, ['none', *known])}"
    )


def _layers(item: str, span: re.Match[str], layers: int) -> range:
    first, last = int(span[1]), int(span[2] or span[1])
    if first > last or last >= layers:
        raise UsageError(
            f"--freeze {shorten(item)}: no such layers; the model has 0 to {layers - 1}, counted from the embeddings up"
        )
    return range(first, last + 1)


def _unfreezing(text: str | None, layers: int) -> Iterator[FreezeRule]:
    """Gradual unfreezing (Howard & Ruder 2018): first only the heads train, then one more block at a time, from the top down."""
    if text is None:
        return
    found = UNFREEZE.fullmatch(text)
    every = int(found[1] or 1) if found else 0
    if not every:
        raise UsageError(f"--unfreeze {shorten(text)}: write top-down, or top-down:every=N with N epochs between two blocks")
    blocks = (rf"backbone\.blocks\.{block}\." for block in reversed(range(layers)))
    patterns = [TARGETS["pooling"], *blocks, TARGETS["embeddings"]]
    for place, pattern in enumerate(patterns):
        yield FreezeRule(f"--unfreeze {text}", re.compile(pattern), True, FreezeEnd("epoch", every * max(1, place)))


def check_freeze(freezing: FreezeRules, tasks: Sequence[str], trained: Iterable[str], fresh: bool) -> None:
    """Rejects rules that leave nothing to train or make no sense.

    `tasks` have data; `trained` are the parts of the starting model with trained weights; `fresh` means that the user requested
    random weights. Raises UsageError.
    """
    heads = [f"head:{name}" for name in tasks]
    if all(map(freezing.keeps, heads)):
        whole = freezing.keeps("backbone")
        which = "everything is frozen" if whole else f"every task's head is frozen ({listed(heads)})"
        raise UsageError(f"{which}, so nothing is left to train; take one of {listed(heads)} out of --freeze, or add a task")
    if any(all(freezing.wholly(part, state) for part in ("backbone", *heads)) for state in freezing.states):
        raise UsageError(f"everything is frozen for some time, when nothing could train; let {listed(heads)} train all along")
    if not fresh:
        _check_learned(freezing, set(trained))


def _check_learned(freezing: FreezeRules, trained: set[str]) -> None:
    for rule in freezing.rules:
        parts = {"backbone" if name.startswith("backbone.") else f"head:{name.split('.')[1]}" for name in freezing.always}
        wrong = [part for part in sorted(parts - trained) if any(map(rule.pattern.match, _of(part, freezing.always)))]
        if rule.frozen and wrong:
            raise UsageError(
                f"--freeze {rule.item} would keep random weights: the starting model has no trained {wrong[0]}; "
                "start from a model that has it with --init, or say --init scratch if that is meant"
            )


def _of(part: str, weights: Iterable[str]) -> list[str]:
    return [name for name in weights if name.startswith(prefix_of(part))]
